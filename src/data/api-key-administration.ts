import type { Actor } from "../core/event.ts";
import { Fault } from "../core/fault.ts";
import type { ApiKeyId } from "../core/ids.ts";
import type { ApiKeyRecord, NewApiKey } from "../tenancy/api-key-record.ts";
import type { TenantName } from "../tenancy/tenant-record.ts";
import { type CreationPageRequest, creationPage, type PlacedRow, pageValues } from "./creation-page.ts";
import { lockTenant, tenantIdOf } from "./lock-tenant.ts";
import type { SystemDoor } from "./system-door.ts";

/** Keys of a tenant, expired ones included: all of them may be in its snapshot. */
const MAX_KEYS = 200;
/** Bytes of their names and permissions together: a tenant that fills it must not take others' time and memory with its snapshot. */
const MAX_BYTES = 524_288;

interface ApiKeyRow extends PlacedRow {
  id: ApiKeyId;
  name: string;
  permissions: string[];
  expires_at: Date;
  created_by: Actor;
  created_at: Date;
}

/** Never the hash: whoever reads a list has no use for it. */
const COLUMNS = `
  k.id, k.name, k.permissions, k.expires_at, k.created_by, k.created_at,
  (extract(epoch FROM k.created_at) * 1000000)::bigint AS created_micros`;

const LIST = `
  SELECT ${COLUMNS} FROM bulkhead.api_keys k
   WHERE k.tenant_id = $1
     AND ($2::bigint IS NULL OR (k.created_at, k.id) > (timestamptz 'epoch' + $2::bigint * interval '1 microsecond', $3::text))
   ORDER BY k.created_at, k.id LIMIT $4`;

const COUNT = `
  SELECT count(*)::int AS keys, coalesce(sum(octet_length(k.name || array_to_string(k.permissions, ' '))), 0)::int AS bytes
    FROM bulkhead.api_keys k WHERE k.tenant_id = $1`;

const INSERT = `
  INSERT INTO bulkhead.api_keys AS k (id, tenant_id, name, secret_hash, permissions, expires_at, created_by)
  VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ${COLUMNS}`;

const DELETE = `DELETE FROM bulkhead.api_keys k WHERE k.id = $1 AND k.tenant_id = $2 RETURNING ${COLUMNS}`;

/** API keys of tenants as the admin API reads and changes them. */
export function createApiKeyAdministration(system: SystemDoor) {
  return {
    listApiKeys: (tenant: TenantName, page: CreationPageRequest) =>
      system.run("read configuration", async (db) => {
        const tenantId = await tenantIdOf(db, tenant);
        if (tenantId === null) return null;
        const { rows } = await db.query<ApiKeyRow>(LIST, [tenantId, ...pageValues(page)]);
        return { tenantId, ...creationPage(rows, page.limit, { key: (row) => row.id, item: toRecord }) };
      }),

    createApiKey: (tenant: TenantName, key: NewApiKey) =>
      system.transaction("change configuration", async (db) => {
        const locked = await lockTenant(db, tenant);
        if (locked === null) return { kind: "tenant_not_found" } as const;
        if (!locked.apiKeys) return { kind: "keys_off" } as const;
        const { rows: counts } = await db.query<{ keys: number; bytes: number }>(COUNT, [locked.id]);
        const { keys = 0, bytes = 0 } = counts[0] ?? {};
        const added = Buffer.byteLength(key.name + key.permissions.join(" "));
        if (keys >= MAX_KEYS || bytes + added > MAX_BYTES) return { kind: "too_many" } as const;
        const { rows } = await db.query<ApiKeyRow>(INSERT, [
          key.id,
          locked.id,
          key.name,
          Buffer.from(key.secretHash),
          key.permissions,
          key.expiresAt,
          JSON.stringify(key.createdBy),
        ]);
        if (rows[0] === undefined) throw new Fault("internal", { detail: "The key was not written." });
        return { kind: "done", tenantId: locked.id, key: toRecord(rows[0]) } as const;
      }),

    deleteApiKey: (tenant: TenantName, id: ApiKeyId) =>
      system.transaction("change configuration", async (db) => {
        const tenantId = await tenantIdOf(db, tenant);
        if (tenantId === null) return { kind: "tenant_not_found" } as const;
        const { rows } = await db.query<ApiKeyRow>(DELETE, [id, tenantId]);
        return rows[0] === undefined
          ? ({ kind: "key_not_found" } as const)
          : ({ kind: "done", tenantId, key: toRecord(rows[0]) } as const);
      }),
  };
}

function toRecord(row: ApiKeyRow): ApiKeyRecord {
  return {
    id: row.id,
    name: row.name,
    permissions: row.permissions,
    expiresAt: row.expires_at,
    createdBy: row.created_by,
    createdAt: row.created_at,
  };
}
