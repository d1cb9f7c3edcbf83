import type { AuditFacts } from "../core/audit-row.ts";
import type { AdministrativeEvent, OperationEvent } from "../core/event.ts";

/** What of an operation is known before it runs. */
type BegunOperation = Pick<
  OperationEvent,
  "tenantId" | "operationId" | "at" | "actor" | "method" | "target" | "access"
>;

/** The row that an operation leaves before it may change something. */
export function intentFacts(event: BegunOperation): AuditFacts {
  return {
    tenantId: event.tenantId,
    kind: "intent",
    operationId: event.operationId,
    at: event.at,
    actor: event.actor,
    action: event.method,
    target: event.target,
    outcome: null,
    code: null,
    durationMs: null,
    details: { access: event.access },
  };
}

/** The row that says how an operation ended. */
export function outcomeFacts(event: OperationEvent): AuditFacts {
  return {
    tenantId: event.tenantId,
    kind: "outcome",
    operationId: event.operationId,
    at: event.at,
    actor: event.actor,
    action: event.method,
    target: event.target,
    outcome: event.outcome,
    code: event.code,
    durationMs: event.durationMs,
    details: event.notes === null ? { access: event.access } : { access: event.access, notes: event.notes },
  };
}

/** The row of an act of the operator. */
export function administrativeFacts(event: AdministrativeEvent): AuditFacts {
  return {
    tenantId: event.tenantId ?? "deployment",
    kind: "administrative",
    operationId: event.operationId,
    at: event.at,
    actor: event.actor,
    action: event.action,
    target: event.target,
    outcome: event.outcome,
    code: event.code,
    durationMs: event.durationMs,
    details: null,
  };
}
