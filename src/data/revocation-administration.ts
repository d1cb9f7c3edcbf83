import type { Actor } from "../core/event.ts";
import { Fault } from "../core/fault.ts";
import type { RevocationId } from "../core/ids.ts";
import type { NewRevocation, RevocationRecord, RevocationTarget } from "../tenancy/revocation-record.ts";
import type { TenantName } from "../tenancy/tenant-record.ts";
import { type CreationPageRequest, creationPage, type PlacedRow, pageValues } from "./creation-page.ts";
import { lockTenant, tenantIdOf } from "./lock-tenant.ts";
import type { SystemDoor } from "./system-door.ts";

/** Revocations of a tenant, those included that have expired and are not removed yet: all are in its snapshot. */
const MAX_REVOCATIONS = 5_000;
/** Bytes of what they name together: a tenant that fills it must not take others' time and memory with its snapshot. */
const MAX_BYTES = 1_048_576;

interface RevocationRow extends PlacedRow {
  id: RevocationId;
  kind: RevocationTarget["kind"];
  issuer: string | null;
  value: string | null;
  not_before: Date | null;
  expires_at: Date | null;
  created_by: Actor;
  created_at: Date;
}

interface Counts {
  revocations: number;
  same: number;
  bytes: number;
}

const COLUMNS = `
  r.id, r.kind, r.issuer, r.value, r.not_before, r.expires_at, r.created_by, r.created_at,
  (extract(epoch FROM r.created_at) * 1000000)::bigint AS created_micros`;

const LIST = `
  SELECT ${COLUMNS} FROM bulkhead.revocations r
   WHERE r.tenant_id = $1
     AND ($2::bigint IS NULL OR (r.created_at, r.id) > (timestamptz 'epoch' + $2::bigint * interval '1 microsecond', $3::text))
   ORDER BY r.created_at, r.id LIMIT $4`;

const COUNT = `
  SELECT count(*)::int AS revocations,
         count(*) FILTER (WHERE kind = $2 AND issuer IS NOT DISTINCT FROM $3 AND value IS NOT DISTINCT FROM $4)::int AS same,
         coalesce(sum(octet_length(issuer || value)), 0)::int AS bytes
    FROM bulkhead.revocations WHERE tenant_id = $1`;

/** greatest() is null only where both are: a signing key's moment and expiry. */
const REVOKE = `
  INSERT INTO bulkhead.revocations AS r (id, tenant_id, kind, issuer, value, not_before, expires_at, created_by)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
  ON CONFLICT (tenant_id, kind, issuer, value) DO UPDATE
    SET not_before = greatest(r.not_before, excluded.not_before), expires_at = greatest(r.expires_at, excluded.expires_at)
  RETURNING ${COLUMNS}`;

const DELETE = `DELETE FROM bulkhead.revocations r WHERE r.id = $1 AND r.tenant_id = $2 RETURNING ${COLUMNS}`;

/** Revocations of tenants as the admin API reads and changes them. */
export function createRevocationAdministration(system: SystemDoor) {
  return {
    listRevocations: (tenant: TenantName, page: CreationPageRequest) =>
      system.run("read configuration", async (db) => {
        const tenantId = await tenantIdOf(db, tenant);
        if (tenantId === null) return null;
        const { rows } = await db.query<RevocationRow>(LIST, [tenantId, ...pageValues(page)]);
        return { tenantId, ...creationPage(rows, page.limit, { key: (row) => row.id, item: toRecord }) };
      }),

    revoke: (tenant: TenantName, { id, target, expiresAt, createdBy }: NewRevocation) =>
      system.transaction("change configuration", async (db) => {
        const locked = await lockTenant(db, tenant);
        if (locked === null) return { kind: "tenant_not_found" } as const;
        const identity = [locked.id, target.kind, target.issuer, target.value];
        const { rows: counts } = await db.query<Counts>(COUNT, identity);
        const { revocations = 0, same = 0, bytes = 0 } = counts[0] ?? {};
        const added = Buffer.byteLength((target.issuer ?? "") + (target.value ?? ""));
        const full = revocations >= MAX_REVOCATIONS || bytes + added > MAX_BYTES;
        // What is there already is only given its later moment.
        if (same === 0 && full) return { kind: "too_many" } as const;
        const { rows } = await db.query<RevocationRow>(REVOKE, [
          id,
          ...identity,
          target.notBefore,
          expiresAt,
          JSON.stringify(createdBy),
        ]);
        if (rows[0] === undefined) throw new Fault("internal", { detail: "The revocation was not written." });
        const revocation = toRecord(rows[0]);
        const kind = revocation.id === id ? ("created" as const) : ("repeated" as const);
        return { kind, tenantId: locked.id, revocation };
      }),

    deleteRevocation: (tenant: TenantName, id: RevocationId) =>
      system.transaction("change configuration", async (db) => {
        const tenantId = await tenantIdOf(db, tenant);
        if (tenantId === null) return { kind: "tenant_not_found" } as const;
        const { rows } = await db.query<RevocationRow>(DELETE, [id, tenantId]);
        return rows[0] === undefined
          ? ({ kind: "revocation_not_found" } as const)
          : ({ kind: "done", tenantId, revocation: toRecord(rows[0]) } as const);
      }),
  };
}

function toRecord(row: RevocationRow): RevocationRecord {
  return {
    id: row.id,
    target: targetOf(row),
    expiresAt: row.expires_at,
    createdBy: row.created_by,
    createdAt: row.created_at,
  };
}

/** The table's own constraints hold what the kind says of the other columns. */
function targetOf({ kind, issuer, value, not_before: notBefore }: RevocationRow): RevocationTarget {
  if (kind === "tenant" && notBefore !== null) return { kind, issuer: null, value: null, notBefore };
  if (issuer !== null && value !== null) {
    if (kind === "subject" && notBefore !== null) return { kind, issuer, value, notBefore };
    if (kind === "token" || kind === "signing_key") return { kind, issuer, value, notBefore: null };
  }
  throw new Fault("internal", { detail: "A revocation's row contradicts its kind." });
}
