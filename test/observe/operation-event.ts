import type { OperationEvent } from "../../src/core/event.ts";
import type { OperationId, TenantId } from "../../src/core/ids.ts";

/** A read-only call of a tenant. */
export function operationEvent(of: {
  readonly tenantId?: string;
  readonly more?: Partial<OperationEvent>;
}): OperationEvent {
  return {
    type: "operation",
    at: Date.UTC(2026, 10, 21, 9, 8, 7, 6),
    tenantId: (of.tenantId ?? "tnt_a") as TenantId,
    operationId: "op_1" as OperationId,
    actor: { kind: "user", subject: "ada", issuer: "https://issuer.example", clientId: null },
    method: "tools/call",
    target: "get_ticket",
    readOnly: true,
    outcome: "ok",
    code: null,
    durationMs: 1.23456,
    bytesIn: 312,
    bytesOut: 1,
    protocolVersion: "2026-07-28",
    traceId: null,
    access: { reason: "implied", permission: "tickets:read", by: "tickets:write", from: "role agent" },
    notes: null,
    ...of.more,
  };
}
