import type { TenantId } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";

/** What an instance serves: every tenant that is placed on shared instances, or the one tenant it is dedicated to. */
export type InstanceRole =
  | { readonly kind: "shared" }
  | { readonly kind: "dedicated"; readonly tenantId: TenantId };

/**
 * Decides whether this instance serves a tenant. Null: it does. A tenant that is placed elsewhere is refused for now, not
 * served here by mistake: forwarding it to its own instances takes this place.
 */
export function decidePlacement(
  role: InstanceRole,
  snapshot: Pick<TenantSnapshot, "id" | "placement">,
): Refusal | null {
  const here = role.kind === "dedicated" ? role.tenantId === snapshot.id : snapshot.placement === "shared";
  return here ? null : refuse("placement_elsewhere", { retryAfterMs: 5_000 });
}
