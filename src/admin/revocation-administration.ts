import type { RevocationId, TenantId } from "../core/ids.ts";
import type { NewRevocation, RevocationRecord } from "../tenancy/revocation-record.ts";
import type { TenantName } from "../tenancy/tenant-record.ts";
import type { PageRequest, TenantPageOf } from "./page.ts";

type TenantMissing = { readonly kind: "tenant_not_found" };
interface Revoked {
  readonly tenantId: TenantId;
  readonly revocation: RevocationRecord;
}

export type Revoking =
  | (Revoked & { readonly kind: "created" | "repeated" })
  | TenantMissing
  | { readonly kind: "too_many" };
export type RevocationDeletion =
  | (Revoked & { readonly kind: "done" })
  | TenantMissing
  | { readonly kind: "revocation_not_found" };

/** What the admin API needs of the keeper of revocations. */
export interface RevocationAdministration {
  /** Null: there is no such tenant. */
  listRevocations(tenant: TenantName, page: PageRequest): Promise<TenantPageOf<RevocationRecord> | null>;
  /** What is revoked already keeps its id and the later of both moments. */
  revoke(tenant: TenantName, revocation: NewRevocation): Promise<Revoking>;
  deleteRevocation(tenant: TenantName, id: RevocationId): Promise<RevocationDeletion>;
}
