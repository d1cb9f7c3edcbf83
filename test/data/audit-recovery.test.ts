import { afterAll, beforeAll, expect, test } from "vitest";
import { CHAIN_START, sealAuditRow } from "../../src/core/audit-row.ts";
import { systemClock } from "../../src/core/clock.ts";
import { createIdSource, type InstanceId, type OperationId, type TenantId } from "../../src/core/ids.ts";
import { createAuditRepository } from "../../src/data/audit-repository.ts";
import { createInstanceRepository } from "../../src/data/instance-repository.ts";
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

async function instanceWithIntents(count: number): Promise<{ id: InstanceId; operations: OperationId[] }> {
  const id = ids.instance();
  await createInstanceRepository(database.system).register({ id, mode: "production", version: "test" });
  let head = CHAIN_START;
  const rows = Array.from({ length: count }, () => {
    const row = sealAuditRow(
      {
        tenantId: tenant,
        kind: "intent",
        operationId: ids.operation(),
        at: Date.now(),
        actor: null,
        action: "tools/call",
        target: "t",
        outcome: null,
        code: null,
        durationMs: null,
        details: null,
      },
      id,
      head,
    );
    head = row;
    return row;
  });
  await createAuditRepository(database.system).append(rows);
  return { id, operations: rows.flatMap((row) => (row.operationId === null ? [] : [row.operationId])) };
}

const outcomes = (
  operations: OperationId[],
): Promise<{ operation_id: string; outcome: string; run_id: string }[]> =>
  database.admin(
    "SELECT operation_id, outcome, run_id FROM bulkhead.audit_entries WHERE kind = 'outcome' AND operation_id = ANY ($1) ORDER BY operation_id",
    [operations],
  );

test("intents of an instance that is gone get the outcome unknown, once, also when several look; a living one's are left", async () => {
  const repository = createAuditRepository(database.system);
  const gone = await instanceWithIntents(30);
  const living = await instanceWithIntents(5);
  await database.admin("UPDATE bulkhead.instances SET seen_at = now() - interval '1 minute' WHERE id = $1", [
    gone.id,
  ]);
  const rescuers = [ids.instance(), ids.instance(), ids.instance()];
  const closed = await Promise.all(
    rescuers.map((runId) => repository.closeOrphans({ runId, deadAfterMs: 15_000, now: Date.now() })),
  );
  expect(closed.reduce((sum, count) => sum + count, 0)).toBe(30);
  const rows = await outcomes(gone.operations);
  expect(rows).toHaveLength(30);
  expect(new Set(rows.map((row) => row.outcome))).toEqual(new Set(["unknown"]));
  expect(rows.every((row) => row.run_id.endsWith("/recovery"))).toBe(true);
  expect(await outcomes(living.operations)).toEqual([]);
});

test("an instance that says it has stopped is taken up at once", async () => {
  const stopped = await instanceWithIntents(2);
  await createInstanceRepository(database.system).stopped(stopped.id);
  expect(
    await createAuditRepository(database.system).closeOrphans({
      runId: ids.instance(),
      deadAfterMs: 3_600_000,
      now: Date.now(),
    }),
  ).toBe(2);
});

test("nothing is written for a tenant that does not exist any more", async () => {
  const row = sealAuditRow(
    {
      tenantId: ids.tenant(),
      kind: "outcome",
      operationId: ids.operation(),
      at: 1,
      actor: null,
      action: "tools/call",
      target: null,
      outcome: "ok",
      code: null,
      durationMs: 1,
      details: null,
    },
    ids.instance(),
    CHAIN_START,
  );
  await createAuditRepository(database.system).append([row]);
  expect(
    await database.admin("SELECT 1 FROM bulkhead.audit_entries WHERE tenant_id = $1", [row.tenantId]),
  ).toEqual([]);
});

test("an operation cannot have two outcomes", async () => {
  const operation = ids.operation();
  const make = (run: InstanceId) =>
    sealAuditRow(
      {
        tenantId: tenant,
        kind: "outcome",
        operationId: operation,
        at: 1,
        actor: null,
        action: "tools/call",
        target: null,
        outcome: "ok",
        code: null,
        durationMs: 1,
        details: null,
      },
      run,
      CHAIN_START,
    );
  const repository = createAuditRepository(database.system);
  await repository.append([make(ids.instance())]);
  await expect(repository.append([make(ids.instance())])).rejects.toMatchObject({ code: "23505" });
});
