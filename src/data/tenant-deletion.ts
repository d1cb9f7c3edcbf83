import { Fault } from "../core/fault.ts";
import type { Slug, TenantId } from "../core/ids.ts";
import type { DeletionProof, TenantName } from "../tenancy/tenant-record.ts";
import type { SystemConnection, SystemDoor } from "./system-door.ts";

/** How often, 50 ms apart, the writers that the deletion overtook are looked for: ten seconds in all. */
const WRITER_CHECKS = 200;

/** Waits for claims being issued (they hold FOR KEY SHARE) and keeps new ones from being issued. */
const LOCK_TENANT =
  "SELECT t.id, t.slug, t.version FROM bulkhead.tenants t WHERE t.id = $1 OR t.slug = $1 FOR UPDATE";

/** Transactions that have written, or may be writing, a tenant table or the audit trail: each holds this lock until it ends. */
const WRITERS = `
  SELECT DISTINCT l.virtualtransaction AS writer
    FROM pg_catalog.pg_locks l
    JOIN pg_catalog.pg_class c ON c.oid = l.relation
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN bulkhead.protected_tables p ON p.schema_name = n.nspname AND p.table_name = c.relname
   WHERE (p.table_name IS NOT NULL OR c.oid = 'bulkhead.audit_entries'::regclass)
     AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
     AND l.mode = 'RowExclusiveLock' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
     AND ($1::text[] IS NULL OR l.virtualtransaction = ANY ($1::text[]))`;

/** Tables whose rows are of one tenant, each. What another one refers to comes after that one, so that all are counted. */
const ERASE = {
  api_keys: "DELETE FROM bulkhead.api_keys WHERE tenant_id = $1",
  revocations: "DELETE FROM bulkhead.revocations WHERE tenant_id = $1",
  role_assignments: "DELETE FROM bulkhead.role_assignments WHERE tenant_id = $1",
  used_proofs: "DELETE FROM bulkhead.used_proofs WHERE tenant_id = $1",
  stream_events: "DELETE FROM bulkhead.stream_events WHERE tenant_id = $1",
  sessions: "DELETE FROM bulkhead.sessions WHERE tenant_id = $1",
  signals: "DELETE FROM bulkhead.signals WHERE tenant_id = $1",
  tasks: "DELETE FROM bulkhead.tasks WHERE tenant_id = $1",
} as const;

/**
 * Erases a tenant in one transaction: its claims, rows, identity providers, the tenant itself, its audit trail. A
 * statement that was running for the tenant meanwhile may still commit a row that the transaction could not see; so
 * afterwards, when no claim of the tenant holds any more, those writers are waited for and what they left is erased too.
 */
export function createTenantDeletion(system: SystemDoor) {
  return {
    async deleteTenant(name: TenantName, expected: readonly number[] | null) {
      const erased = new Map<string, number>();
      const outcome = await system.transaction("erase a tenant", async (db) => {
        const { rows } = await db.query<{ id: TenantId; slug: Slug; version: string }>(LOCK_TENANT, [name]);
        const tenant = rows[0];
        if (tenant === undefined) return { kind: "tenant_not_found" } as const;
        if (expected !== null && !expected.includes(Number(tenant.version))) {
          return { kind: "version_conflict" } as const;
        }
        return { kind: "done", proof: await erase(db, tenant, erased) } as const;
      });
      if (outcome.kind !== "done") return outcome;
      const settled = await system.run("erase a tenant", (db) => eraseLateRows(db, outcome.proof.id, erased));
      return {
        kind: "done",
        proof: { ...outcome.proof, erased: Object.fromEntries(erased) },
        settled,
      } as const;
    },
  };
}

async function erase(
  db: SystemConnection,
  { id, slug }: { readonly id: TenantId; readonly slug: Slug },
  erased: Map<string, number>,
): Promise<DeletionProof> {
  const claims = await db.query("DELETE FROM bulkhead.tenant_claims WHERE tenant_id = $1", [id]);
  erased.set("bulkhead.tenant_claims", claims.rowCount ?? 0);
  await eraseRows(db, id, erased);
  const brokers = await db.query("DELETE FROM bulkhead.broker_tenants WHERE tenant_id = $1", [id]);
  erased.set("bulkhead.broker_tenants", brokers.rowCount ?? 0);
  const keys = await db.query(
    "DELETE FROM bulkhead.development_keys WHERE issuer_id IN (SELECT i.id FROM bulkhead.issuers i WHERE i.tenant_id = $1)",
    [id],
  );
  erased.set("bulkhead.development_keys", keys.rowCount ?? 0);
  for (const [table, statement] of Object.entries(ERASE)) {
    const gone = await db.query(statement, [id]);
    erased.set(`bulkhead.${table}`, gone.rowCount ?? 0);
  }
  const issuers = await db.query("DELETE FROM bulkhead.issuers WHERE tenant_id = $1", [id]);
  erased.set("bulkhead.issuers", issuers.rowCount ?? 0);
  const tenants = await db.query("DELETE FROM bulkhead.tenants WHERE id = $1", [id]);
  erased.set("bulkhead.tenants", tenants.rowCount ?? 0);
  await eraseAudit(db, id, erased);
  const { rows } = await db.query<{ deleted_at: Date }>(
    "INSERT INTO bulkhead.retired_slugs (slug, tenant_id, erased) VALUES ($1, $2, $3) RETURNING deleted_at",
    [slug, id, JSON.stringify(Object.fromEntries(erased))],
  );
  if (rows[0] === undefined) throw new Fault("internal", { detail: "The tombstone was not written." });
  return { id, slug, erased: Object.fromEntries(erased), deletedAt: rows[0].deleted_at };
}

/** True when no writer that the deletion overtook is left. */
async function eraseLateRows(
  db: SystemConnection,
  id: TenantId,
  erased: Map<string, number>,
): Promise<boolean> {
  let writers = await writersAmong(db, null);
  for (let check = 0; writers.length > 0 && check < WRITER_CHECKS; check++) {
    await db.query("SELECT pg_catalog.pg_sleep(0.05)");
    writers = await writersAmong(db, writers);
  }
  await eraseRows(db, id, erased);
  await eraseAudit(db, id, erased);
  return writers.length === 0;
}

async function writersAmong(db: SystemConnection, candidates: readonly string[] | null): Promise<string[]> {
  const { rows } = await db.query<{ writer: string }>(WRITERS, [candidates]);
  return rows.map((row) => row.writer);
}

async function eraseRows(db: SystemConnection, id: TenantId, erased: Map<string, number>): Promise<void> {
  const { rows } = await db.query<{ gone: Record<string, number> }>(
    "SELECT bulkhead.erase_tenant_rows($1) AS gone",
    [id],
  );
  for (const [table, count] of Object.entries(rows[0]?.gone ?? {})) add(erased, table, count);
}

async function eraseAudit(db: SystemConnection, id: TenantId, erased: Map<string, number>): Promise<void> {
  const { rows } = await db.query<{ gone: string }>("SELECT bulkhead.erase_audit($1) AS gone", [id]);
  add(erased, "bulkhead.audit_entries", Number(rows[0]?.gone ?? 0));
}

function add(erased: Map<string, number>, table: string, count: number): void {
  erased.set(table, (erased.get(table) ?? 0) + count);
}
