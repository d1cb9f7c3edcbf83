import type { ErrorCode } from "./error-table.ts";
import type { InstanceId, OperationId, TenantId } from "./ids.ts";

/**
 * What happened, once. Log lines, metrics, usage and audit are all made from these events and from nothing else, so
 * they cannot disagree.
 */
export type BulkheadEvent =
  | OperationEvent
  | RefusalEvent
  | RefusalSummaryEvent
  | AdministrativeEvent
  | ToolLogEvent
  | LifecycleEvent
  | ConfigurationEvent
  | FaultEvent;

/**
 * How an operation ended. `tool_error` is an answer with isError: the tool ran and said no. `input_required`: it asked the
 * client for something, and goes on in a later request; `task`: it goes on in the background.
 */
export type OperationOutcome =
  | "ok"
  | "tool_error"
  | "input_required"
  | "task"
  | "refused"
  | "failed"
  | "cancelled";

/** Who acted: a person or program of a tenant, or the operator. */
export interface Actor {
  readonly kind: "user" | "client" | "key" | "operator";
  readonly subject: string;
  readonly issuer: string | null;
  readonly clientId: string | null;
}

/** Why an operation was allowed, in the words of the one function that decides. */
export interface AccessNote {
  readonly reason: "not_required" | "granted" | "implied" | "wildcard" | "administrator";
  /** The permission that the operation needs; absent where it needs none. */
  readonly permission?: string;
  /** The granted permission that decided … */
  readonly by?: string;
  /** … and where the caller has it from: `scope`, `api key`, `command line`, or `role` and its name. */
  readonly from?: string;
}

/** One MCP operation of an authenticated caller, from the moment its method was known until its answer. */
export interface OperationEvent {
  readonly type: "operation";
  readonly at: number;
  readonly tenantId: TenantId;
  readonly operationId: OperationId;
  readonly actor: Actor;
  /** JSON-RPC method, one of those we know. */
  readonly method: string;
  /** Name of a tool or prompt, or a resource's registered URI or template; null where there is none. Never free text. */
  readonly target: string | null;
  /** False for an operation that may change something: it left an intent row before it ran. */
  readonly readOnly: boolean;
  readonly outcome: OperationOutcome;
  readonly code: ErrorCode | null;
  readonly durationMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly protocolVersion: string;
  /** W3C trace id that the client sent (32 hexadecimal digits); null where it sent none. */
  readonly traceId: string | null;
  /** Why the caller was let in. */
  readonly access: AccessNote;
  /** What the handler added with `ctx.audit`. */
  readonly notes: Readonly<Record<string, string | number | boolean | null>> | null;
  /** Internal cause of a failure, for the log only. */
  readonly cause?: unknown;
}

/** A request that was refused before it became an operation. Aggregated: never a row each. */
export interface RefusalEvent {
  readonly type: "refusal";
  readonly at: number;
  /** Null where no tenant could be known. */
  readonly tenantId: TenantId | null;
  readonly stage: "http" | "admit" | "identity" | "tenancy" | "placement" | "protocol" | "catalog";
  readonly code: ErrorCode;
  /** The permission that was lacking, one that the catalog names: never a text of the caller's. */
  readonly permission?: string;
  readonly cause?: unknown;
}

/** How many requests were refused in the same way since the last summary: what the log and the audit trail show of them. */
export interface RefusalSummaryEvent {
  readonly type: "refusal_summary";
  readonly at: number;
  readonly since: number;
  readonly tenantId: TenantId | null;
  /** `several`, as the code, where different ones were too many to be told apart. */
  readonly stage: RefusalEvent["stage"] | "several";
  readonly code: ErrorCode | "several";
  readonly permission?: string;
  readonly count: number;
}

/** An act of the operator or of a tenant's administrator through the admin API or the command line. */
export interface AdministrativeEvent {
  readonly type: "administrative";
  readonly at: number;
  readonly operationId: OperationId;
  readonly actor: Actor;
  /** For example `tenants.create`. */
  readonly action: string;
  readonly tenantId: TenantId | null;
  readonly target: string | null;
  readonly outcome: "ok" | "refused" | "failed";
  readonly code: ErrorCode | null;
  readonly durationMs: number;
  readonly cause?: unknown;
}

/** A line that a handler wrote with `ctx.log`. */
export interface ToolLogEvent {
  readonly type: "tool_log";
  readonly at: number;
  readonly tenantId: TenantId;
  readonly operationId: OperationId;
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>> | null;
}

export interface LifecycleEvent {
  readonly type: "lifecycle";
  readonly at: number;
  readonly instanceId: InstanceId;
  readonly phase: "started" | "draining" | "stopped";
  readonly detail?: string;
}

/** A tenant's configuration, or that of the deployment (tenant null), was seen to have changed. */
export interface ConfigurationEvent {
  readonly type: "configuration";
  readonly at: number;
  readonly tenantId: TenantId | null;
  readonly version: number;
}

/** Something broke outside any one operation, or is not as it should be. */
export interface FaultEvent {
  readonly type: "fault";
  readonly at: number;
  readonly level: "warn" | "error";
  readonly where: string;
  readonly message: string;
  readonly tenantId?: TenantId;
  readonly cause?: unknown;
}

/** Where events go. Must not throw and must not wait. */
export type EventSink = (event: BulkheadEvent) => void;
