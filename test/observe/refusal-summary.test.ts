import { expect, test } from "vitest";
import type { AuditFacts } from "../../src/core/audit-row.ts";
import type { BulkheadEvent, RefusalEvent } from "../../src/core/event.ts";
import type { TenantId } from "../../src/core/ids.ts";
import { createRefusalSummary } from "../../src/observe/refusal-summary.ts";

function start() {
  const rows: AuditFacts[] = [];
  const events: BulkheadEvent[] = [];
  const summary = createRefusalSummary({
    record: (facts) => rows.push(facts),
    emit: (event) => events.push(event),
  });
  const refuse = (tenant: string | null, more: Partial<RefusalEvent> = {}): void =>
    summary.consume({
      type: "refusal",
      at: 1,
      tenantId: tenant as TenantId | null,
      stage: "protocol",
      code: "tool_unknown",
      ...more,
    });
  return { rows, events, summary, refuse };
}

test("many of the same are one row and one line, of their tenant", () => {
  const { rows, events, summary, refuse } = start();
  for (let i = 0; i < 100; i++) refuse("tnt_a", { at: i });
  refuse("tnt_b", { stage: "admit", code: "rate_limited" });
  refuse(null, { stage: "identity", code: "token_invalid" });
  summary.report();
  expect(events).toMatchObject([
    {
      type: "refusal_summary",
      tenantId: "tnt_a",
      stage: "protocol",
      code: "tool_unknown",
      count: 100,
      since: 0,
      at: 99,
    },
    { type: "refusal_summary", tenantId: "tnt_b", stage: "admit", code: "rate_limited", count: 1 },
    { type: "refusal_summary", tenantId: null, stage: "identity", code: "token_invalid", count: 1 },
  ]);
  // Nobody's refusals are in nobody's trail.
  expect(rows.map((row) => [row.tenantId, row.details?.count])).toEqual([
    ["tnt_a", 100],
    ["tnt_b", 1],
  ]);
  summary.report();
  expect(events).toHaveLength(3);
});

test("refusals for lack of a permission are told apart by it", () => {
  const { rows, events, summary, refuse } = start();
  const lacking = { stage: "catalog", code: "scope_insufficient" } as const;
  for (let i = 0; i < 3; i++) refuse("tnt_a", { ...lacking, permission: "tickets:write" });
  refuse("tnt_a", { ...lacking, permission: "tickets:manage" });
  refuse("tnt_a");
  summary.report();
  const told = [
    ["tickets:write", 3],
    ["tickets:manage", 1],
    [undefined, 1],
  ];
  expect(events.map((event) => event.type === "refusal_summary" && [event.permission, event.count])).toEqual(
    told,
  );
  expect(rows.map((row) => [row.details?.permission, row.details?.count])).toEqual(told);
  expect(Object.keys(rows[2]?.details ?? {})).not.toContain("permission");
});

test("beyond its bound different ones are summed up under nobody's name", () => {
  const { rows, events, summary, refuse } = start();
  for (let i = 0; i < 2_500; i++) refuse(`tnt_${i}`, { permission: "a:read" });
  summary.report();
  expect(events).toHaveLength(2_001);
  expect(events.at(-1)).toMatchObject({ tenantId: null, stage: "several", code: "several", count: 500 });
  expect(events.at(-1)).not.toHaveProperty("permission");
  expect(rows).toHaveLength(2_000);
});
