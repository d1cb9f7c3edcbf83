import type { TenantId } from "../core/ids.ts";
import { ADMIN_PERMISSION } from "../core/permission.ts";
import { refuse } from "../core/refusal.ts";
import type { Authenticator } from "../identity/authenticator.ts";
import { permissionsUnder } from "../identity/principal-of.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import type { OperationContext } from "./admin-operation.ts";

/**
 * Looks once more at an administrator who was let in. A body may come, or an issuer answer, seconds after that: whoever
 * is about to be revoked would open requests beforehand.
 *
 * @param rooms.current the tenant as it is now; null: it is gone.
 */
export function createRefusedMeanwhile(rooms: {
  readonly current: (tenantId: TenantId) => TenantSnapshot | null | Promise<TenantSnapshot | null>;
  readonly stillHolds: Authenticator["stillHolds"];
}): OperationContext["refusedMeanwhile"] {
  return async (by) => {
    if (by.kind === "operator") return null;
    const snapshot = await rooms.current(by.snapshot.id);
    if (snapshot === null) return refuse("operator_token_required", { cause: "the tenant is gone" });
    if (snapshot.status === "suspended") return refuse("tenant_suspended");
    if (!rooms.stillHolds(snapshot, by)) {
      return refuse("operator_token_required", { cause: "the token does not count any more" });
    }
    return permissionsUnder(snapshot, by).has(ADMIN_PERMISSION) ? null : refuse("administrator_required");
  };
}
