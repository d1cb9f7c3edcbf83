import type { ErrorCode } from "../core/error-table.ts";
import type { Actor, AdministrativeEvent } from "../core/event.ts";
import type { OperationId, TenantId } from "../core/ids.ts";

/** What is known of an operation under way: becomes its one event when it has been answered. */
export interface Act {
  readonly operationId: OperationId;
  tenantId: TenantId | null;
  target: string | null;
  outcome: AdministrativeEvent["outcome"];
  code: ErrorCode | null;
  cause: unknown;
}

/** Variables of a request in the Hono application. */
export interface AdminEnv {
  Variables: { act: Act | undefined };
}

export const OPERATOR: Actor = { kind: "operator", subject: "operator", issuer: null, clientId: null };

export function beginAct(operationId: OperationId): Act {
  return { operationId, tenantId: null, target: null, outcome: "ok", code: null, cause: undefined };
}
