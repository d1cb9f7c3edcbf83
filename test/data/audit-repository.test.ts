import { afterAll, beforeAll, expect, test } from "vitest";
import { type AuditFacts, type AuditRow, CHAIN_START, sealAuditRow } from "../../src/core/audit-row.ts";
import { systemClock } from "../../src/core/clock.ts";
import { createIdSource, type InstanceId, type TenantId } from "../../src/core/ids.ts";
import { createAuditRepository } from "../../src/data/audit-repository.ts";
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
  const [stored] = await database.admin<{ n: string }>(
    "SELECT count(*) AS n FROM bulkhead.audit_entries WHERE run_id = $1",
    [run],
  );
  expect(Number(stored?.n)).toBe(rows.length);
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
    expect((await repository.heads(run, [tenant])).get(tenant)).toEqual({
      seq: rows.length,
      hash: rows.at(-1)?.hash,
    });
  }
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
