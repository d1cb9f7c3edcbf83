import type { TenantViews } from "../catalog/tenant-view.ts";
import type { Slug } from "../core/ids.ts";
import type { AccessPolicy } from "../identity/access-policy.ts";
import type { TenantName } from "../tenancy/tenant-record.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";

/** What explaining a decision needs: the very parts that decide about calls. */
export interface AccessPorts {
  readonly policy: AccessPolicy;
  readonly views: TenantViews;
  /** The tenant as this instance serves it; null: there is none. */
  readonly snapshotOf: (name: TenantName) => TenantSnapshot | null | Promise<TenantSnapshot | null>;
  /** Scopes that the tokens of a demonstration user have. Null outside development. */
  readonly scopesOfDemonstrationUser:
    | ((tenant: Slug, user: DemonstrationSubject) => readonly string[] | null)
    | null;
}

/** A subject that may be a demonstration user. */
export interface DemonstrationSubject {
  readonly subject: string;
  /** Null: not said. */
  readonly issuer: string | null;
}
