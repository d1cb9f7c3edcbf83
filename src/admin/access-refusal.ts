import { type Refusal, refuse } from "../core/refusal.ts";
import type { AdminCaller, AdminOperation } from "./admin-operation.ts";

/**
 * Whether a caller may use an operation at all: null where so. Decided before anything of the body is read, from the
 * path alone.
 *
 * The tenant comes before the operation: another tenant's path answers as one that does not exist, whatever is there.
 *
 * @param named what the route calls `{t}`, decoded; undefined for a path without it.
 */
export function accessRefusal(
  operation: Pick<AdminOperation, "access">,
  by: AdminCaller,
  named: string | undefined,
): Refusal | null {
  if (by.kind === "operator") return null;
  const { id, slug } = by.snapshot;
  if (named !== undefined && named !== id && named !== slug) return refuse("tenant_not_found");
  return operation.access === "operator" ? refuse("operator_only") : null;
}

/** Refuses a body with members that only the operator may send: null where it has none. */
export function membersRefusal(
  operation: Pick<AdminOperation, "tenantMembers">,
  by: AdminCaller,
  body: unknown,
): Refusal | null {
  const { tenantMembers } = operation;
  if (by.kind === "operator" || tenantMembers === undefined) return null;
  if (typeof body !== "object" || body === null) return null;
  // The names are those of the schema, which is strict: nothing that a caller made up comes back.
  const others = Object.keys(body).filter((member) => !tenantMembers.includes(member));
  if (others.length === 0) return null;
  return refuse("operator_only", { detail: `Only the operator may send ${others.join(", ")}.` });
}
