import { describe, expect, test } from "vitest";
import type { AuditFacts, AuditRow } from "../../src/core/audit-row.ts";
import type { BulkheadEvent } from "../../src/core/event.ts";
import { Fault } from "../../src/core/fault.ts";
import type { InstanceId, OperationId, TenantId } from "../../src/core/ids.ts";
import { type AuditStore, createAuditTrail } from "../../src/observe/audit-trail.ts";

const RUN = "ins_1" as InstanceId;

/** A store in memory that can be slow and can fail, before or after it has kept the rows. */
function memoryStore(): AuditStore & {
  rows: AuditRow[];
  batches: number;
  fail: "no" | "before" | "after";
  delayMs: number;
} {
  const store = {
    rows: [] as AuditRow[],
    batches: 0,
    fail: "no" as "no" | "before" | "after",
    delayMs: 1,
    async append(rows: readonly AuditRow[], again: boolean) {
      store.batches++;
      await new Promise((resolve) => setTimeout(resolve, store.delayMs));
      if (store.fail === "before") throw new Fault("database_unavailable");
      const missing = rows.filter((row) => !again || store.rows.every((old) => old.hash !== row.hash));
      for (const row of missing) {
        if (store.rows.some((old) => old.tenantId === row.tenantId && old.seq === row.seq))
          throw new Error("duplicate place in the chain");
      }
      store.rows.push(...missing);
      if (store.fail === "after") throw new Fault("database_unavailable");
    },
  };
  return store;
}

function facts(tenant: string, operation: string, kind: AuditFacts["kind"] = "outcome"): AuditFacts {
  return {
    tenantId: tenant as TenantId,
    kind,
    operationId: operation as OperationId,
    at: 1,
    actor: null,
    action: "tools/call",
    target: "t",
    outcome: "ok",
    code: null,
    durationMs: 1,
    details: null,
  };
}

function trail(store: AuditStore) {
  const events: BulkheadEvent[] = [];
  return {
    events,
    audit: createAuditTrail({ store, runId: RUN, emit: (event) => void events.push(event), now: () => 1 }),
  };
}

function expectChain(rows: readonly AuditRow[], tenant: string): void {
  const own = rows.filter((row) => row.tenantId === tenant);
  own.forEach((row, index) => {
    expect(row.seq).toBe(index + 1);
    if (index > 0) expect(row.prevHash).toBe(own[index - 1]?.hash);
  });
}

describe("the audit trail", () => {
  test("lets many callers share a commit, and keeps each tenant's chain", async () => {
    const store = memoryStore();
    store.delayMs = 10;
    const { audit } = trail(store);
    await Promise.all(
      Array.from({ length: 200 }, (_unused, i) => audit.commit(facts(i % 3 === 0 ? "a" : "b", `op${i}`))),
    );
    expect(store.rows).toHaveLength(200);
    expect(store.batches).toBeLessThan(5);
    expectChain(store.rows, "a");
    expectChain(store.rows, "b");
  });

  test("tells who waits that it is not known whether a row was committed, and goes on when the store does", async () => {
    const store = memoryStore();
    const { audit, events } = trail(store);
    await audit.commit(facts("a", "op1"));
    store.fail = "before";
    await expect(audit.commit(facts("a", "op2"))).rejects.toMatchObject({ code: "audit_unavailable" });
    // What has run is put on record once that can be; what has not leaves nothing.
    await expect(audit.commit(facts("a", "op3"))).rejects.toMatchObject({ code: "audit_unavailable" });
    await expect(audit.commit(facts("a", "op4", "intent"))).rejects.toMatchObject({
      code: "audit_unavailable",
    });
    store.fail = "no";
    await audit.commit(facts("a", "op5"));
    expect(store.rows.map((row) => row.operationId)).toEqual(["op1", "op2", "op3", "op5"]);
    expectChain(store.rows, "a");
    expect(events.some((event) => event.type === "fault" && event.where === "audit")).toBe(true);
  });

  test("an intent that was on its way gets the outcome that its operation failed: its caller was told so", async () => {
    const store = memoryStore();
    const { audit } = trail(store);
    store.fail = "after";
    await expect(audit.commit(facts("a", "op1", "intent"))).rejects.toMatchObject({
      code: "audit_unavailable",
    });
    store.fail = "no";
    await audit.close();
    expect(
      store.rows.map(({ kind, operationId, outcome, code }) => [kind, operationId, outcome, code]),
    ).toEqual([
      ["intent", "op1", "ok", null],
      ["outcome", "op1", "failed", "audit_unavailable"],
    ]);
    expectChain(store.rows, "a");
  });

  test("does not write a row twice when a commit's answer was lost", async () => {
    const store = memoryStore();
    const { audit } = trail(store);
    store.fail = "after";
    audit.record(facts("a", "op1"));
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(store.rows).toHaveLength(1);
    store.fail = "no";
    await audit.commit(facts("a", "op2"));
    await audit.close();
    expect(store.rows.map((row) => row.operationId)).toEqual(["op1", "op2"]);
    expectChain(store.rows, "a");
  });

  test("goes on with the chains of all tenants after a failure, not only of those that were written again", async () => {
    const store = memoryStore();
    const { audit, events } = trail(store);
    await audit.commit(facts("a", "op1"));
    await audit.commit(facts("b", "op2"));
    store.fail = "before";
    await expect(audit.commit(facts("a", "op3"))).rejects.toMatchObject({ code: "audit_unavailable" });
    store.fail = "no";
    await audit.commit(facts("a", "op4"));
    await audit.commit(facts("b", "op5"));
    await audit.commit(facts("c", "op6"));
    expectChain(store.rows, "a");
    expectChain(store.rows, "b");
    expectChain(store.rows, "c");
    expect(store.rows.map((row) => row.operationId)).toEqual(["op1", "op2", "op3", "op4", "op5", "op6"]);
    expect(events).toHaveLength(1);
  });

  test("finds one bad row among many in few steps", async () => {
    const store = memoryStore();
    store.delayMs = 0;
    const append = store.append.bind(store);
    let tries = 0;
    store.append = async (rows, again) => {
      tries++;
      if (rows.some((row) => row.operationId === ("bad" as OperationId))) throw new Error("22P05");
      await append(rows, again);
    };
    const { audit, events } = trail(store);
    for (let i = 0; i < 256; i++) audit.record(facts(i % 2 === 0 ? "a" : "b", i === 100 ? "bad" : `op${i}`));
    await audit.close();
    expect(store.rows).toHaveLength(255);
    expect(tries).toBeLessThan(20);
    expectChain(store.rows, "a");
    expectChain(store.rows, "b");
    expect(events).toHaveLength(1);
  });

  test("keeps rows nobody waits for until the store takes them, and writes them when it closes", async () => {
    const store = memoryStore();
    const { audit } = trail(store);
    store.fail = "before";
    for (let i = 0; i < 20; i++) audit.record(facts("a", `op${i}`));
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(store.rows).toHaveLength(0);
    store.fail = "no";
    await audit.close();
    expect(store.rows).toHaveLength(20);
    expectChain(store.rows, "a");
  });

  test("asks a store that does not answer now and then, however many rows come meanwhile", async () => {
    const store = memoryStore();
    const { audit, events } = trail(store);
    store.fail = "before";
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 600; i++) audit.record(facts("a", `op${round}-${i}`));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    // The first, and one for which the timer ran already.
    expect(store.batches).toBeLessThanOrEqual(2);
    expect(events.length).toBe(store.batches);
    store.fail = "no";
    await audit.close();
    expect(store.rows).toHaveLength(12_000);
    expectChain(store.rows, "a");
  });

  test("a row that the database refuses fails alone, and nobody else's with it", async () => {
    const store = memoryStore();
    const append = store.append.bind(store);
    store.append = async (rows, again) => {
      if (rows.some((row) => row.operationId === ("bad" as OperationId)))
        throw new Error("22P05: a NUL in text");
      await append(rows, again);
    };
    const { audit, events } = trail(store);
    audit.record(facts("a", "bad"));
    const results = await Promise.allSettled([
      audit.commit(facts("b", "op1")),
      audit.commit(facts("a", "bad")),
      audit.commit(facts("b", "op2")),
      audit.commit(facts("a", "op3")),
    ]);
    expect(results.map((result) => result.status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
      "fulfilled",
    ]);
    await audit.commit(facts("a", "op4"));
    expect(store.rows.map((row) => row.operationId)).toEqual(["op1", "op2", "op3", "op4"]);
    expectChain(store.rows, "a");
    expectChain(store.rows, "b");
    expect(events.filter((event) => event.type === "fault")).toHaveLength(2);
  });
});
