import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { type AuditFacts, type AuditRow, CHAIN_START, sealAuditRow } from "../../src/core/audit-row.ts";
import { Fault } from "../../src/core/fault.ts";
import type { InstanceId, OperationId, TenantId } from "../../src/core/ids.ts";
import { type AuditStore, createAuditTrail } from "../../src/observe/audit-trail.ts";

const RUN = "ins_1" as InstanceId;
const TENANTS = ["a", "b", "deployment"] as const;

/**
 * What becomes of a batch: all is well; cut before or after its commit; or cut while it is under way, so that it
 * would commit before the next attempt, or only after it.
 */
const FATES = ["well", "before", "after", "late-first", "late-beaten"] as const;
type Fate = (typeof FATES)[number];

/** What PostgreSQL does with batches. Each has the next of `fates`, and where there is none all is well. */
function createStore() {
  const rows: AuditRow[] = [];
  const gone = new Set<string>();
  let underWay: { batch: readonly AuditRow[]; fate: Fate } | null = null;
  const insert = (batch: readonly AuditRow[]): void => {
    const taken = batch.some((row) =>
      rows.some(
        (old) =>
          (old.tenantId === row.tenantId && old.seq === row.seq) ||
          (old.kind === "outcome" && row.kind === "outcome" && old.operationId === row.operationId),
      ),
    );
    if (taken) throw new Error("23505");
    rows.push(...batch);
  };
  const settleLate = (fate: Fate): void => {
    if (underWay?.fate !== fate) return;
    const { batch } = underWay;
    underWay = null;
    try {
      insert(batch.filter((row) => !gone.has(row.tenantId)));
    } catch {
      // Nobody hears of it any more.
    }
  };
  const store: AuditStore & { fates: Fate[] } = {
    fates: [],
    async append(batch, again) {
      await Promise.resolve();
      const fate = store.fates.shift() ?? "well";
      settleLate("late-first");
      if (fate === "before") throw new Fault("database_unavailable");
      if (batch.some((row) => row.target === "bad")) throw new Error("22P05");
      const missing = batch.filter(
        (row) => !gone.has(row.tenantId) && !(again && rows.some((old) => old.hash === row.hash)),
      );
      if (fate !== "well" && fate !== "after") {
        underWay ??= { batch: missing, fate };
        throw new Fault("database_unavailable");
      }
      insert(missing);
      settleLate("late-beaten");
      if (fate === "after") throw new Fault("database_unavailable");
    },
  };
  const erase = (tenant: string): void => {
    gone.add(tenant);
    rows.splice(0, rows.length, ...rows.filter((row) => row.tenantId !== tenant));
  };
  return { store, rows, gone, erase };
}

const oneRow = fc.record({
  tenant: fc.constantFrom(...TENANTS),
  kind: fc.constantFrom<AuditFacts["kind"][]>("intent", "outcome", "refusals", "administrative"),
  waits: fc.boolean(),
  bad: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
});
const oneStep = fc.record({
  rows: fc.array(oneRow, { maxLength: 8 }),
  fates: fc.array(fc.constantFrom(...FATES), { maxLength: 4 }),
  // Less than a row lingers, as long as that, or until the store is asked again.
  pauseMs: fc.constantFrom(0, 50, 1_000),
  erase: fc.option(fc.constantFrom("a", "b"), { freq: 10 }),
});

interface Given {
  readonly facts: AuditFacts;
  readonly settled: Promise<"committed" | "recorded" | "rejected">;
}

test("whatever is cut, no row is lost, none is written twice, and every chain holds", async () => {
  vi.useFakeTimers();
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(oneStep, { minLength: 1, maxLength: 12 }), async (steps) => {
        const { store, rows, gone, erase } = createStore();
        const audit = createAuditTrail({ store, runId: RUN, emit: () => {}, now: () => 1 });
        const all: Given[] = [];
        for (const step of steps) {
          store.fates = [...step.fates];
          for (const { tenant, kind, waits, bad } of step.rows) {
            const facts = factsOf({ tenant, kind, bad, number: all.length });
            if (!waits) audit.record(facts);
            const settled = waits
              ? audit.commit(facts).then(
                  () => "committed" as const,
                  () => "rejected" as const,
                )
              : Promise.resolve("recorded" as const);
            all.push({ facts, settled });
          }
          await vi.advanceTimersByTimeAsync(step.pauseMs);
          if (step.erase !== null) erase(step.erase);
        }
        store.fates = [];
        await audit.close();

        for (const { facts, settled } of all) {
          const how = await settled;
          const own = rows.filter((row) => row.operationId === facts.operationId);
          const written = own.filter((row) => row.kind === facts.kind).length;
          if (facts.target === "bad" || gone.has(facts.tenantId)) expect(own).toEqual([]);
          else if (how !== "rejected" || facts.kind !== "intent") expect([how, written]).toEqual([how, 1]);
          // Whose caller was told that nothing ran: not on record, or as failed.
          else expect(own.map((row) => row.code)).toEqual(written === 0 ? [] : [null, "audit_unavailable"]);
          if (facts.target === "bad") expect(how).not.toBe("committed");
        }
        expectChains(rows);
      }),
      { numRuns: 300 },
    );
  } finally {
    vi.useRealTimers();
  }
});

test("a part of a batch that was written without an answer is known again, however the batch is split then", async () => {
  const { store, rows } = createStore();
  const audit = createAuditTrail({ store, runId: RUN, emit: () => {}, now: () => 1 });
  // Seven attempts to put the first bad row aside, and the eighth, with rows 4 to 7, is cut.
  store.fates = [...Array<Fate>(7).fill("well"), "after"];
  for (let number = 0; number < 16; number++)
    audit.record(factsOf({ tenant: "a", kind: "administrative", bad: number === 0 || number === 8, number }));
  // The first attempt ends with the cut, the second comes with whoever waits.
  await audit.close();
  expect(rows.map((row) => row.operationId)).toEqual([1, 2, 3, 4, 5, 6, 7].map((n) => `op_${n}`));
  await audit.commit(factsOf({ tenant: "a", kind: "administrative", bad: false, number: 16 }));
  await audit.close();
  expect(rows.map((row) => row.operationId)).toEqual(
    [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16].map((n) => `op_${n}`),
  );
  expectChains(rows);
});

function expectChains(rows: readonly AuditRow[]): void {
  for (const tenant of TENANTS) {
    let head = CHAIN_START;
    for (const row of rows.filter((each) => each.tenantId === tenant)) {
      expect(row).toEqual(sealAuditRow(row, RUN, head));
      head = row;
    }
  }
}

function factsOf(of: {
  readonly tenant: (typeof TENANTS)[number];
  readonly kind: AuditFacts["kind"];
  readonly bad: boolean;
  readonly number: number;
}): AuditFacts {
  return {
    tenantId: of.tenant as TenantId | "deployment",
    kind: of.kind,
    operationId: `op_${of.number}` as OperationId,
    at: 1,
    actor: null,
    action: "tools/call",
    target: of.bad ? "bad" : null,
    outcome: null,
    code: null,
    durationMs: null,
    details: null,
  };
}
