/** One operation, of whatever generation and transport: from its method to its answer, with its one event. */
import type { Clock } from "./core/clock.ts";
import type { EventSink, OperationEvent, RefusalEvent } from "./core/event.ts";
import type { Eventually } from "./core/eventually.ts";
import type { IdSource, OperationId } from "./core/ids.ts";
import { isRefusal, type Refusal, refuse } from "./core/refusal.ts";
import { accessNote } from "./identity/access-note.ts";
import type { Caller } from "./identity/caller.ts";
import type { HeldPlace } from "./limits/concurrency.ts";
import { intentFacts, outcomeFacts } from "./observe/audit-facts.ts";
import type { AuditTrail } from "./observe/audit-trail.ts";
import type { OpenConversation } from "./protocol/conversation.ts";
import type { McpRequest } from "./protocol/mcp-request.ts";
import type { Work } from "./protocol/open-work.ts";
import type { OperationRunner, Run } from "./protocol/operation-runner.ts";
import type { Operation } from "./protocol/operations.ts";
import type { Performed } from "./protocol/performed.ts";
import type { Reply } from "./protocol/reply.ts";
import type { createResponseText } from "./protocol/response-text.ts";
import { traceIdOf } from "./protocol/trace-context.ts";
import { actorOf } from "./tenancy/principal.ts";

/** What operations are made of. */
export interface OperateRooms {
  readonly clock: Clock;
  readonly ids: Pick<IdSource, "operation">;
  readonly emit: EventSink;
  readonly audit: AuditTrail;
  readonly runner: OperationRunner;
  readonly responseText: ReturnType<typeof createResponseText>;
  /** Finds what a request asks for, as this caller may have it. */
  readonly resolve: (request: McpRequest, caller: Caller) => Eventually<Operation | Refusal>;
  /** What the call of a tool that may run in the background is instead: one that makes a task. Null: it runs as it is. */
  readonly asTask: (order: OperationOrder, operation: Operation) => TaskMaking | Refusal | null;
}

/** An operation that makes a task, and how what comes before the task asks back. */
export interface TaskMaking {
  readonly operation: Operation;
  readonly open: OpenConversation;
}

/** An admitted request, and the way back. */
export interface OperationOrder {
  readonly caller: Caller;
  readonly request: McpRequest;
  readonly reply: Reply;
  /** Its place among the tenant's operations in flight. */
  readonly place: Pick<HeldPlace, "keepUntil">;
  readonly work: Work;
  readonly open: OpenConversation;
  readonly bytesIn: number;
  /** Its time limit in milliseconds. Default: the tenant's for calls. */
  readonly limitMs?: number;
}

/** Finds the operation in this tenant's catalog, runs it in this tenant's context, answers it, and leaves its one event. */
export type Operate = (order: OperationOrder) => Promise<void>;

export function createOperate(rooms: OperateRooms): Operate {
  const { clock, emit, responseText } = rooms;

  return async (order) => {
    const { caller, request, reply } = order;
    const { snapshot, principal } = caller;
    const started = clock.monotonic();
    const operationId = rooms.ids.operation();
    const at = clock.now();

    const refuseOperation = (refusal: Refusal): void => {
      emit({
        type: "refusal",
        at,
        tenantId: snapshot.id,
        stage: "catalog",
        code: refusal.code,
        ...lackedPermission(refusal),
        cause: refusal.cause,
      });
      reply.answer(responseText(request, refusal), refusal);
    };

    const resolved = rooms.resolve(request, caller);
    const found = resolved instanceof Promise ? await resolved : resolved;
    if (isRefusal(found)) return refuseOperation(found);
    const making = rooms.asTask(order, found);
    if (isRefusal(making)) return refuseOperation(making);
    const operation = making === null ? found : making.operation;
    const open = making === null ? order.open : making.open;

    const actor = actorOf(principal);
    const { target, readOnly } = operation;
    const access = accessNote(operation.access, caller);
    const begun = {
      tenantId: snapshot.id,
      operationId,
      at,
      actor,
      method: request.method,
      target,
      access,
    };
    /** Its one event, from which come the log line, the metrics and the audit row. Whole, since all of them read it. */
    const eventOf = (run: Run, result: Performed | Refusal, text: string): OperationEvent => ({
      type: "operation",
      at,
      tenantId: snapshot.id,
      operationId,
      actor,
      method: request.method,
      target,
      readOnly,
      outcome: isRefusal(result) ? outcomeOf(result) : result.outcome,
      code: result.code,
      durationMs: clock.monotonic() - started,
      bytesIn: order.bytesIn,
      bytesOut: Buffer.byteLength(text),
      protocolVersion: request.revision,
      traceId: traceIdOf(request.trace),
      access,
      notes: run.notes,
      cause: run.cause,
    });

    // Whatever may change something is on record before it runs.
    if (!readOnly) {
      const unrecorded = await recorded(rooms.audit.commit(intentFacts(begun)), false);
      if (unrecorded !== null) return refuseOperation(unrecorded);
    }

    const { work, limitMs } = order;
    const run = await rooms.runner.run({
      operation,
      request,
      snapshot,
      principal,
      operationId,
      reply,
      work,
      open,
      limitMs,
    });
    if (run.stillWorking !== null) order.place.keepUntil(run.stillWorking);

    let result = withOperationId(run.result, operationId);
    let text = responseText(request, result);
    let event = eventOf(run, result, text);
    if (!readOnly) {
      const unrecorded = await recorded(rooms.audit.commit(outcomeFacts(event)), true);
      if (unrecorded !== null) {
        result = withOperationId(unrecorded, operationId);
        text = responseText(request, result);
        event = eventOf(run, result, text);
      }
    } else if (request.method !== "ping") {
      // A ping says nothing of anybody, and counts against no rate: rows of it would be without a bound.
      rooms.audit.record(outcomeFacts(event));
    }
    emit(event);
    reply.answer(text, isRefusal(result) ? result : null);
  };
}

/** The permission that was lacking: what the catalog requires, and nothing that the caller sent. */
export function lackedPermission(refusal: Refusal): Pick<RefusalEvent, "permission"> {
  const permission = refusal.code === "scope_insufficient" ? refusal.scopes?.[0] : undefined;
  return permission === undefined ? {} : { permission };
}

/** A refusal of an operation says which one, so that the operator finds its cause in the log. */
function withOperationId(result: Performed | Refusal, operationId: OperationId): Performed | Refusal {
  return isRefusal(result) ? { ...result, data: { ...result.data, operationId } } : result;
}

/** Null once an audit row is committed, or the refusal that answers instead. */
async function recorded(commit: Promise<void>, executed: boolean): Promise<Refusal | null> {
  try {
    await commit;
    return null;
  } catch (cause) {
    return refuse("audit_unavailable", { cause, retryAfterMs: 1_000, data: { executed } });
  }
}

function outcomeOf(refusal: Refusal): OperationEvent["outcome"] {
  switch (refusal.code) {
    case "resource_unknown":
    case "task_unknown":
    case "url_elicitation_required":
    case "params_invalid":
    case "client_capability_missing":
      return "tool_error";
    case "stopping":
    case "cancelled":
    case "call_timed_out":
    case "credentials_ended":
      return "cancelled";
    default:
      return "failed";
  }
}
