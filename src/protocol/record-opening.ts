import type { Clock } from "../core/clock.ts";
import type { EventSink, OperationEvent } from "../core/event.ts";
import type { IdSource } from "../core/ids.ts";
import { outcomeFacts } from "../observe/audit-facts.ts";
import type { AuditTrail } from "../observe/audit-trail.ts";
import { actorOf, type Principal } from "../tenancy/principal.ts";
import type { Revision } from "./revisions.ts";

/** Where an opening is put on record. */
export interface OpeningRecord {
  readonly clock: Clock;
  readonly ids: Pick<IdSource, "operation">;
  readonly emit: EventSink;
  readonly audit: Pick<AuditTrail, "record">;
}

/** Leaves the one event, and the audit row, of an operation that opens something and runs no handler: a session, a stream. */
export function recordOpening(
  { clock, ids, emit, audit }: OpeningRecord,
  of: {
    readonly principal: Principal;
    readonly method: "initialize" | "subscriptions/listen";
    readonly revision: Revision;
    readonly traceId: string | null;
    /** Milliseconds since 1970. */
    readonly at: number;
    /** When it began, on the monotonic clock. */
    readonly started: number;
    readonly bytesIn: number;
    readonly bytesOut: number;
  },
): void {
  const event: OperationEvent = {
    type: "operation",
    at: of.at,
    tenantId: of.principal.tenantId,
    operationId: ids.operation(),
    actor: actorOf(of.principal),
    method: of.method,
    target: null,
    readOnly: true,
    outcome: "ok",
    code: null,
    durationMs: clock.monotonic() - of.started,
    bytesIn: of.bytesIn,
    bytesOut: of.bytesOut,
    protocolVersion: of.revision,
    traceId: of.traceId,
    access: { reason: "not_required" },
    notes: null,
  };
  audit.record(outcomeFacts(event));
  emit(event);
}
