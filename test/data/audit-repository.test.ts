import { EventEmitter, once } from "node:events";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type AuditFacts, type AuditRow, CHAIN_START, sealAuditRow } from "../../src/core/audit-row.ts";
import { systemClock } from "../../src/core/clock.ts";
import { Fault } from "../../src/core/fault.ts";
import { createIdSource, type InstanceId, type TenantId } from "../../src/core/ids.ts";
import { createAuditRepository } from "../../src/data/audit-repository.ts";
import { createAuditTrail } from "../../src/observe/audit-trail.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

const ids = createIdSource(systemClock.now);
let database: TestDatabase;
let tenant: TenantId;
beforeAll(async () => {
  database = await createTestDatabase();
  tenant = ids.tenant();
  await database.admin(
    "INSERT INTO bulkhead.tenants (id, slug, name, plan) VALUES ($1, 'acme', 'Acme', 'free')",
    [tenant],
  );
});
afterAll(() => database.drop());

const TEXTS = [
  "",
  "plain",
  '"',
  "\\",
  "\n\t\r\u001f\u007f",
  "é ß 漢字 😀",
  "\u2028\ufeff",
  "null",
  "{}",
  "a".repeat(9_000),
];

function chain(runId: InstanceId, length: number, factsOf: (i: number) => Partial<AuditFacts>): AuditRow[] {
  const rows: AuditRow[] = [];
  for (let i = 0; i < length; i++) {
    const facts: AuditFacts = {
      tenantId: tenant,
      kind: "outcome",
      operationId: ids.operation(),
      at: 1_800_000_000_123 + i,
      actor: { kind: "user", subject: "ada", issuer: null, clientId: null },
      action: "tools/call",
      target: null,
      outcome: "ok",
      code: null,
      durationMs: 0.1 + i / 7,
      details: { access: { reason: "not_required" } },
      ...factsOf(i),
    };
    rows.push(sealAuditRow(facts, runId, rows.at(-1) ?? CHAIN_START));
  }
  return rows;
}

interface StoredRow {
  tenant_id: TenantId;
  seq: string;
  kind: AuditFacts["kind"];
  operation_id: AuditFacts["operationId"];
  at: Date;
  actor: AuditFacts["actor"];
  action: string;
  target: string | null;
  outcome: string | null;
  code: string | null;
  duration_ms: number | null;
  details: AuditFacts["details"];
  prev_hash: Buffer;
  hash: Buffer;
}

/** How many rows a run has. */
async function written(runId: InstanceId): Promise<number> {
  const [stored] = await database.admin<{ n: string }>(
    "SELECT count(*) AS n FROM bulkhead.audit_entries WHERE run_id = $1",
    [runId],
  );
  return Number(stored?.n);
}

/** Of a run's rows, as the database has them now: those whose seal or place does not fit. */
async function misfits(runId: InstanceId): Promise<number[]> {
  const stored = await database.admin<StoredRow>(
    "SELECT * FROM bulkhead.audit_entries WHERE run_id = $1 ORDER BY seq",
    [runId],
  );
  let head = CHAIN_START;
  return stored.flatMap((row) => {
    const facts: AuditFacts = {
      tenantId: row.tenant_id,
      kind: row.kind,
      operationId: row.operation_id,
      at: row.at.getTime(),
      actor: row.actor,
      action: row.action,
      target: row.target,
      outcome: row.outcome,
      code: row.code,
      durationMs: row.duration_ms,
      details: row.details,
    };
    const sealed = sealAuditRow(facts, runId, head);
    head = { seq: Number(row.seq), hash: row.hash.toString("hex") };
    return sealed.hash === head.hash &&
      sealed.seq === head.seq &&
      sealed.prevHash === row.prev_hash.toString("hex")
      ? []
      : [head.seq];
  });
}

test("what PostgreSQL gives back has the seal that was written, whatever stands in it", async () => {
  const run = ids.instance();
  const rows = chain(run, TEXTS.length * 4, (i) => {
    const text = TEXTS[i % TEXTS.length] ?? "";
    return {
      actor:
        i % 3 === 0
          ? null
          : { kind: "key", subject: text, issuer: text, clientId: i % 2 === 0 ? null : text },
      target: text,
      code: text,
      durationMs: [null, 0, 1e-7, 123_456.789_012_345, 0.1 + i][i % 5] ?? null,
      details:
        i % 4 === 0
          ? null
          : { run: text, [`z${text}`]: 1e21, count: i, [text]: { b: -0.5, a: [true, null] } },
    };
  });
  await createAuditRepository(database.system).append(rows);
  expect(await misfits(run)).toEqual([]);
  expect(await written(run)).toBe(rows.length);
});

test("batches of different sizes, also at the same time, do not write into each other", async () => {
  const repository = createAuditRepository(database.system);
  const runs = [300, 1, 40, 700].map((length) =>
    chain(ids.instance(), length, (i) => ({ target: TEXTS[i % 7] ?? "" })),
  );
  await Promise.all(runs.map((rows) => repository.append(rows)));
  const last = chain(ids.instance(), 3, () => ({}));
  await repository.append(last);
  for (const rows of [...runs, last]) {
    const run = rows[0]?.runId as InstanceId;
    expect(await misfits(run)).toEqual([]);
    expect(await written(run)).toBe(rows.length);
  }
});

test("rows that are sent again are passed over where they are there, and no others in their places", async () => {
  const repository = createAuditRepository(database.system);
  const run = ids.instance();
  const rows = chain(run, 5, () => ({}));
  await repository.append(rows.slice(0, 3));
  await expect(repository.append(rows)).rejects.toMatchObject({ code: "23505" });
  await repository.append(rows, true);
  await repository.append(rows, true);
  expect(await written(run)).toBe(5);
  expect(await misfits(run)).toEqual([]);
  await expect(
    repository.append(
      chain(run, 5, () => ({})),
      true,
    ),
  ).rejects.toMatchObject({ code: "23505" });
});

test("rows that are sent again wait for those that are still to be committed", async () => {
  const run = ids.instance();
  const rows = chain(run, 1, () => ({}));
  const steps = new EventEmitter();
  const inserted = once(steps, "inserted");
  const commit = once(steps, "commit");
  const slow = createAuditRepository({
    ...database.system,
    run: (reason, work) =>
      database.system.transaction(reason, async (db) => {
        const result = await work(db);
        steps.emit("inserted");
        await commit;
        return result;
      }),
  });
  const first = slow.append(rows);
  await inserted;
  const again = createAuditRepository(database.system).append(rows, true);
  await vi.waitUntil(async () => {
    const waiting = await database.admin(
      "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    );
    return waiting.length > 0;
  });
  steps.emit("commit");
  await Promise.all([first, again]);
  expect(await written(run)).toBe(1);
});

test("what says nothing of a row is told as no answer, and what a row is refused for as that", async () => {
  const [row] = chain(ids.instance(), 1, () => ({}));
  if (row === undefined) throw new Error("no row");
  const repository = createAuditRepository(database.system);
  const broken = { ...row, sealed: row.sealed.replace('"tools/call"', '"\\u0000"') };
  await expect(repository.append([broken])).rejects.toMatchObject({ code: "22P05" });
  // As a standby says it.
  const standby = createAuditRepository({
    ...database.system,
    run: (reason, work) =>
      database.system.transaction(reason, async (db) => {
        await db.query("SET TRANSACTION READ ONLY");
        return await work(db);
      }),
  });
  await expect(standby.append([row])).rejects.toMatchObject({
    code: "database_unavailable",
    cause: { code: "25006" },
  });
});

test("whatever answers are lost, the trail writes each row once, in one chain", async () => {
  const run = ids.instance();
  const repository = createAuditRepository(database.system);
  let fate: "well" | "before" | "after" | "late" = "well";
  const late: Promise<unknown>[] = [];
  const audit = createAuditTrail({
    store: {
      async append(rows, again) {
        if (fate === "before") throw new Fault("database_unavailable");
        const done = repository.append(rows, again);
        if (fate === "late") late.push(done.catch(() => {}));
        else await done;
        if (fate !== "well") throw new Fault("database_unavailable");
      },
    },
    runId: run,
    emit: () => {},
    now: () => 1,
  });
  const expected: string[] = [];
  const factsOf = (kind: AuditFacts["kind"]): AuditFacts => {
    const [facts] = chain(run, 1, () => ({ kind }));
    if (facts === undefined) throw new Error("no row");
    if (kind !== "intent") expected.push(`${kind} ${facts.operationId}`);
    return facts;
  };
  for (const next of ["well", "after", "before", "late", "late", "well", "late", "after", "well"] as const) {
    fate = next;
    for (const kind of ["administrative", "refusals", "outcome"] as const) audit.record(factsOf(kind));
    await audit.commit(factsOf("intent")).catch(() => {});
  }
  await audit.close();
  await Promise.all(late);
  const rows = await database.admin<{ row: string }>(
    "SELECT kind || ' ' || operation_id AS row FROM bulkhead.audit_entries WHERE run_id = $1",
    [run],
  );
  const stored = rows.map(({ row }) => row);
  expect(new Set(stored).size).toBe(stored.length);
  expect(stored).toEqual(expect.arrayContaining(expected));
  expect(await misfits(run)).toEqual([]);
});

test.each<[what: string, change: string, seen: number[]]>([
  ["a changed text", "UPDATE bulkhead.audit_entries SET target = 'other' WHERE run_id = $1 AND seq = 3", [3]],
  [
    "a changed number",
    "UPDATE bulkhead.audit_entries SET duration_ms = 7 WHERE run_id = $1 AND seq = 3",
    [3],
  ],
  [
    "a member more of the actor",
    `UPDATE bulkhead.audit_entries SET actor = actor || '{"on": "behalf"}' WHERE run_id = $1 AND seq = 3`,
    [3],
  ],
  [
    "a reason of access that was changed",
    `UPDATE bulkhead.audit_entries SET details = '{"access": {"reason": "administrator"}}' WHERE run_id = $1 AND seq = 3`,
    [3],
  ],
  ["a row removed from the middle", "DELETE FROM bulkhead.audit_entries WHERE run_id = $1 AND seq = 3", [4]],
  [
    "two rows that changed places",
    "UPDATE bulkhead.audit_entries SET seq = 100 - seq WHERE run_id = $1 AND seq IN (3, 4)",
    [5, 96, 97],
  ],
])("%s shows", async (_what, change, seen) => {
  const run = ids.instance();
  await createAuditRepository(database.system).append(chain(run, 5, () => ({})));
  expect(await misfits(run)).toEqual([]);
  await database.admin(change, [run]);
  expect(await misfits(run)).toEqual(seen);
});
