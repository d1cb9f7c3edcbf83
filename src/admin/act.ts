import type { ErrorCode } from "../core/error-table.ts";
import type { Actor, AdministrativeEvent } from "../core/event.ts";
import type { OperationId, TenantId } from "../core/ids.ts";
import { actorOf } from "../tenancy/principal.ts";
import type { AdminCaller } from "./admin-operation.ts";

/** What is known of an operation under way: becomes its one event when it has been answered. */
export interface Act {
  readonly operationId: OperationId;
  readonly actor: Actor;
  /** The tenant whose audit trail it belongs to; null: the deployment's. */
  tenantId: TenantId | null;
  target: string | null;
  outcome: AdministrativeEvent["outcome"];
  code: ErrorCode | null;
  cause: unknown;
}

/** What a request brings along in the Hono application, and what is noted of it there. */
export interface AdminEnv {
  Bindings: { readonly by: AdminCaller };
  Variables: { act: Act | undefined };
}

const OPERATOR: Actor = { kind: "operator", subject: "operator", issuer: null, clientId: null };

export function beginAct(operationId: OperationId, by: AdminCaller): Act {
  return {
    operationId,
    actor: actorBehind(by),
    tenantId: tenantOf(by),
    target: null,
    outcome: "ok",
    code: null,
    cause: undefined,
  };
}

export function actorBehind(by: AdminCaller): Actor {
  return by.kind === "operator" ? OPERATOR : actorOf(by.principal);
}

/** The tenant whose administrator asks; null for the operator. */
export function tenantOf(by: AdminCaller): TenantId | null {
  return by.kind === "operator" ? null : by.snapshot.id;
}
