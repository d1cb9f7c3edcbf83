import type { ApiKeyId, IssuerId, Slug, TenantId } from "../core/ids.ts";
import type { TenantSnapshot, TrustedIssuer } from "./tenant-snapshot.ts";

/** What was found, and the version of the configuration that it is of: read in one statement. */
export interface Reading<Found> {
  /** Null: there is none. */
  readonly found: Found | null;
  readonly version: number;
}

/** What of the configuration changed after a version. `everything`: a plan or a broker, so all snapshots are old. */
export interface ConfigurationChanges {
  readonly version: number;
  readonly tenants: readonly TenantId[];
  readonly everything: boolean;
}

/**
 * Where configuration is kept: the data room's port. Each rejects when it cannot be read. Whoever names a tenant is told
 * its id alone, which is cheap however large the tenant's snapshot is: only ids lead to that.
 */
export interface ConfigurationSource {
  idOfSlug(slug: Slug): Promise<Reading<TenantId>>;
  /** Null also where the key's tenant has turned keys off. */
  idOfKey(key: ApiKeyId): Promise<Reading<TenantId>>;
  idOfClaim(issuer: IssuerId, claimValue: string): Promise<Reading<TenantId>>;
  snapshotOfId(id: TenantId): Promise<Reading<TenantSnapshot>>;
  brokers(): Promise<readonly TrustedIssuer[]>;
  /** Waits for nothing that a tenant can hold up. */
  changesSince(version: number): Promise<ConfigurationChanges>;
}
