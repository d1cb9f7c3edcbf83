import { expect, test } from "vitest";
import { CHAIN_START, sealAuditRow } from "../../src/core/audit-row.ts";
import type { AccessNote, OperationEvent, RefusalEvent } from "../../src/core/event.ts";
import type { InstanceId, OperationId, TenantId } from "../../src/core/ids.ts";
import { intentFacts, outcomeFacts } from "../../src/observe/audit-facts.ts";
import { createLogLines } from "../../src/observe/log-lines.ts";
import { createMetrics } from "../../src/observe/metrics.ts";

const access: AccessNote = {
  reason: "implied",
  permission: "tickets:read",
  by: "tickets:write",
  from: "role agent",
};
const operation: OperationEvent = {
  type: "operation",
  at: 1,
  tenantId: "tnt_a" as TenantId,
  operationId: "op_1" as OperationId,
  actor: { kind: "user", subject: "ada", issuer: "https://issuer.example", clientId: null },
  method: "tools/call",
  target: "get_ticket",
  readOnly: true,
  outcome: "ok",
  code: null,
  durationMs: 1,
  bytesIn: 1,
  bytesOut: 1,
  protocolVersion: "2026-07-28",
  traceId: null,
  access,
  notes: null,
};
const refusal: RefusalEvent = {
  type: "refusal",
  at: 1,
  tenantId: "tnt_a" as TenantId,
  stage: "catalog",
  code: "scope_insufficient",
  permission: "tickets:manage",
};

test("the rows before and after an operation say why its caller was let in, beside what the handler noted", () => {
  expect(intentFacts(operation).details).toEqual({ access });
  expect(outcomeFacts(operation).details).toEqual({ access });
  const notes = { ticket: 7, access: "nothing of the handler's" };
  expect(outcomeFacts({ ...operation, notes }).details).toEqual({ access, notes });
  // It is sealed with the row.
  const hashOf = (event: OperationEvent): string =>
    sealAuditRow(outcomeFacts(event), "ins_1" as InstanceId, CHAIN_START).hash;
  expect(hashOf({ ...operation, access: { ...access, from: "role lead" } })).not.toBe(hashOf(operation));
});

test("the log line of an operation has it as well, and a refusal's the permission that was lacking", () => {
  const lines: Record<string, unknown>[] = [];
  const log = createLogLines({
    destination: { write: (line) => void lines.push(JSON.parse(line)) },
    instanceId: "ins_1" as InstanceId,
    level: "debug",
  });
  log(operation);
  log(refusal);
  log({ ...refusal, type: "refusal_summary", since: 0, count: 4 });
  log({ type: "refusal", at: 1, tenantId: null, stage: "identity", code: "token_invalid" });
  expect(lines.map((line) => [line.event, line.access, line.permission])).toEqual([
    ["operation", access, undefined],
    ["refusal", undefined, "tickets:manage"],
    ["refusals", undefined, "tickets:manage"],
    ["refusal", undefined, undefined],
  ]);
});

test("refusals are counted by the permission that was lacking, whichever tenant it was", async () => {
  const metrics = createMetrics();
  metrics.consume(refusal);
  metrics.consume({ ...refusal, tenantId: "tnt_b" as TenantId });
  metrics.consume({ ...refusal, permission: "tickets:write" });
  metrics.consume({ type: "refusal", at: 1, tenantId: null, stage: "identity", code: "token_invalid" });
  const text = await metrics.text();
  expect(text.match(/^bulkhead_permission_refusals_total\{.*$/gm)).toEqual([
    'bulkhead_permission_refusals_total{permission="tickets:manage"} 2',
    'bulkhead_permission_refusals_total{permission="tickets:write"} 1',
  ]);
  expect(text).toContain(
    'bulkhead_refusals_total{tenant="tnt_a",stage="catalog",code="scope_insufficient"} 2',
  );
});
