import type { TenantId } from "../core/ids.ts";
import type { TenantName } from "../tenancy/tenant-record.ts";
import type { Roles } from "../tenancy/tenant-snapshot.ts";
import type { SystemConnection } from "./system-door.ts";

/** A tenant whose row this transaction holds, as far as what belongs to it depends on it. */
export interface LockedTenant {
  readonly id: TenantId;
  readonly roles: Roles;
  readonly apiKeys: boolean;
}

/**
 * Holds a tenant's row until the transaction ends, so that whoever counts what the tenant has, and then adds to it, is
 * alone. Claims go on being issued meanwhile: they hold FOR KEY SHARE.
 */
export async function lockTenant(db: SystemConnection, name: TenantName): Promise<LockedTenant | null> {
  const { rows } = await db.query<{ id: TenantId; roles: Roles; apiKeys: boolean }>(
    `SELECT t.id, t.roles, t.api_keys AS "apiKeys" FROM bulkhead.tenants t WHERE t.id = $1 OR t.slug = $1 FOR NO KEY UPDATE`,
    [name],
  );
  return rows[0] ?? null;
}

/** The id of a tenant that may be called by its slug; null: there is none. */
export async function tenantIdOf(db: SystemConnection, name: TenantName): Promise<TenantId | null> {
  const { rows } = await db.query<{ id: TenantId }>(
    "SELECT t.id FROM bulkhead.tenants t WHERE t.id = $1 OR t.slug = $1",
    [name],
  );
  return rows[0]?.id ?? null;
}
