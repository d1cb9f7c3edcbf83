import type { TenantId } from "../core/ids.ts";
import { ADMIN_PERMISSION } from "../core/permission.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { Authenticator } from "../identity/authenticator.ts";
import { permissionsUnder } from "../identity/principal-of.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import type { AdminCaller } from "./admin-operation.ts";

/**
 * Why somebody who was let in would not be let in now; null: they still would. Time passes between the two while a body
 * comes, or an issuer answers: whoever knows that they are about to be revoked would open requests beforehand.
 */
export type RefusedMeanwhile = (by: AdminCaller) => Promise<Refusal | null>;

/** @param rooms.current the tenant as it is now; null: it is gone. */
export function createRefusedMeanwhile(rooms: {
  readonly current: (tenantId: TenantId) => TenantSnapshot | null | Promise<TenantSnapshot | null>;
  readonly stillHolds: Authenticator["stillHolds"];
}): RefusedMeanwhile {
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
