import type { ApiKeyId, TenantId } from "../core/ids.ts";
import type { ApiKeyRecord, NewApiKey } from "../tenancy/api-key-record.ts";
import type { TenantName } from "../tenancy/tenant-record.ts";
import type { PageRequest, TenantPageOf } from "./page.ts";

type TenantMissing = { readonly kind: "tenant_not_found" };
type KeyDone = { readonly kind: "done"; readonly tenantId: TenantId; readonly key: ApiKeyRecord };

export type ApiKeyCreation =
  | KeyDone
  | TenantMissing
  /** The tenant has not turned API keys on. */
  | { readonly kind: "keys_off" }
  | { readonly kind: "too_many" };
export type ApiKeyDeletion = KeyDone | TenantMissing | { readonly kind: "key_not_found" };

/** What the admin API needs of the keeper of API keys. */
export interface ApiKeyAdministration {
  /** Null: there is no such tenant. */
  listApiKeys(tenant: TenantName, page: PageRequest): Promise<TenantPageOf<ApiKeyRecord> | null>;
  createApiKey(tenant: TenantName, key: NewApiKey): Promise<ApiKeyCreation>;
  deleteApiKey(tenant: TenantName, id: ApiKeyId): Promise<ApiKeyDeletion>;
}
