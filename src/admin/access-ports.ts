import type { TenantViews } from "../catalog/tenant-view.ts";
import type { AccessPolicy } from "../identity/access-policy.ts";
import type { TenantName } from "../tenancy/tenant-record.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";

/** What explaining a decision needs: the very parts that decide about calls. */
export interface AccessPorts {
  readonly policy: AccessPolicy;
  readonly views: TenantViews;
  /** The tenant as this instance serves it; null: there is none. */
  readonly snapshotOf: (name: TenantName) => TenantSnapshot | null | Promise<TenantSnapshot | null>;
}
