import type { Principal } from "../tenancy/principal.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import type { Credential } from "./credential.ts";

/** A caller who is known, for the one tenant that the credential may act for. */
export interface Caller {
  readonly snapshot: TenantSnapshot;
  readonly principal: Principal;
  readonly credential: Credential;
  /** Permissions of the credential itself; the principal has those of its roles besides. */
  readonly scopes: ReadonlySet<string>;
}
