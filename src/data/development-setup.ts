import type { IdSource, IssuerId, Slug, TenantId } from "../core/ids.ts";
import type { PartialLimits } from "../tenancy/limits.ts";
import type { TenantSql, TenantStore } from "../tenancy/tenant-context.ts";
import { createStore } from "./store.ts";
import type { SystemConnection, SystemDoor } from "./system-door.ts";
import type { TenantDoor } from "./tenant-door.ts";

/** A demonstration tenant as this room needs to know it. */
export interface TenantToSetUp {
  readonly slug: Slug;
  readonly name: string;
  readonly plan: string;
  seed?(into: { readonly sql: TenantSql; readonly store: TenantStore }): Promise<void>;
}

/** What development starts with. */
export interface DevelopmentToSetUp {
  readonly plans: Readonly<
    Record<string, { readonly limits?: PartialLimits; readonly toolSets?: readonly string[] }>
  >;
  readonly tenants: readonly TenantToSetUp[];
  /** URL of a tenant's issuer, and of the broker's (slug null). */
  readonly issuerOf: (slug: Slug | null) => string;
  readonly jwksUriOf: (issuer: string) => string;
  readonly newSigningKey: () => Promise<Readonly<Record<string, unknown>>>;
}

/** An issuer of the development authorization server, with its private key. */
export interface DevelopmentIssuerRecord {
  readonly slug: Slug | null;
  readonly tenantId: TenantId | null;
  readonly issuer: string;
  readonly privateKey: Readonly<Record<string, unknown>>;
}

/** Longest time that one statement of a seed may take, in milliseconds. */
const SEED_TIMEOUT_MS = 60_000;

/**
 * Sets up a development database, or brings one up to date: plans, demonstration tenants with their data, and an issuer
 * with a key for each tenant and for the broker. May be called again after it was interrupted anywhere.
 */
export async function setUpDevelopment(
  doors: { readonly system: SystemDoor; readonly tenant: TenantDoor; readonly ids: IdSource },
  wanted: DevelopmentToSetUp,
): Promise<readonly DevelopmentIssuerRecord[]> {
  const { system, ids } = doors;
  await system.transaction("set up development", async (db) => {
    // Plans are set as the module states them once; afterwards the operator may have changed them.
    const { rows } = await db.query<{ isNew: boolean }>(
      'SELECT set_up_at IS NULL AS "isNew" FROM bulkhead.deployment',
    );
    const isNew = rows[0]?.isNew === true;
    for (const [name, plan] of Object.entries(wanted.plans)) {
      await db.query(
        `INSERT INTO bulkhead.plans (name, limits, tool_sets) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET limits = excluded.limits, tool_sets = excluded.tool_sets WHERE $4`,
        [name, JSON.stringify(plan.limits ?? {}), plan.toolSets ?? [], isNew],
      );
    }
    for (const tenant of wanted.tenants) {
      await db.query(
        `INSERT INTO bulkhead.tenants (id, slug, name, plan)
         SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT 1 FROM bulkhead.retired_slugs WHERE slug = $2)
         ON CONFLICT (slug) DO NOTHING`,
        [ids.tenant(), tenant.slug, tenant.name, tenant.plan],
      );
    }
  });
  for (const tenant of wanted.tenants) await seed(doors, tenant);
  return system.transaction("set up development", async (db) => {
    const issuers = await setUpIssuers(db, ids, wanted);
    await db.query("UPDATE bulkhead.deployment SET set_up_at = coalesce(set_up_at, now())");
    return issuers;
  });
}

/** Fills a tenant once: what an interrupted attempt has left is removed first. */
async function seed(
  doors: { readonly system: SystemDoor; readonly tenant: TenantDoor },
  tenant: TenantToSetUp,
): Promise<void> {
  const { rows } = await doors.system.run("set up development", (db) =>
    db.query<{ id: TenantId }>("SELECT id FROM bulkhead.tenants WHERE slug = $1 AND seeded_at IS NULL", [
      tenant.slug,
    ]),
  );
  const id = rows[0]?.id;
  if (id === undefined) return;
  if (tenant.seed !== undefined) {
    await doors.system.run("set up development", (db) =>
      db.query("SELECT bulkhead.erase_tenant_rows($1)", [id]),
    );
    const sql = doors.tenant.open({ tenantId: id, readOnly: false, statementTimeoutMs: SEED_TIMEOUT_MS });
    await tenant.seed({ sql, store: createStore(sql) });
  }
  await doors.system.run("set up development", (db) =>
    db.query("UPDATE bulkhead.tenants SET seeded_at = now() WHERE id = $1", [id]),
  );
}

/** Every tenant has an issuer of its own and a place in the broker's table. Their URLs follow the port of this start. */
async function setUpIssuers(
  db: SystemConnection,
  ids: IdSource,
  wanted: DevelopmentToSetUp,
): Promise<DevelopmentIssuerRecord[]> {
  const { rows: tenants } = await db.query<{ id: TenantId; slug: Slug }>(
    "SELECT id, slug FROM bulkhead.tenants ORDER BY created_at, id",
  );
  const { rows: old } = await db.query<{ id: IssuerId; tenant_id: TenantId | null; issuer: string }>(
    "SELECT id, tenant_id, issuer FROM bulkhead.issuers WHERE development",
  );
  const records: DevelopmentIssuerRecord[] = [];
  const ensure = async (slug: Slug | null, tenantId: TenantId | null): Promise<IssuerId> => {
    const issuer = wanted.issuerOf(slug);
    const known = old.find((row) => row.tenant_id === tenantId);
    const id = known?.id ?? ids.issuer();
    if (known === undefined) {
      await db.query(
        `INSERT INTO bulkhead.issuers (id, tenant_id, issuer, jwks_uri, tenant_claim, tenant_value, algorithms, development)
         VALUES ($1, $2, $3, $4, 'tenant_id', $2, '{ES256}', true)`,
        [id, tenantId, issuer, wanted.jwksUriOf(issuer)],
      );
    } else if (known.issuer !== issuer) {
      await db.query("UPDATE bulkhead.issuers SET issuer = $2, jwks_uri = $3 WHERE id = $1", [
        id,
        issuer,
        wanted.jwksUriOf(issuer),
      ]);
    }
    // The key belongs to the registration, not to its URL, which changes with the port.
    const { rows } = await db.query<{ private_jwk: Record<string, unknown> }>(
      "SELECT private_jwk FROM bulkhead.development_keys WHERE issuer_id = $1",
      [id],
    );
    const privateKey = rows[0]?.private_jwk ?? (await wanted.newSigningKey());
    if (rows[0] === undefined) {
      await db.query("INSERT INTO bulkhead.development_keys (issuer_id, private_jwk) VALUES ($1, $2)", [
        id,
        JSON.stringify(privateKey),
      ]);
    }
    records.push({ slug, tenantId, issuer, privateKey });
    return id;
  };
  const broker = await ensure(null, null);
  for (const tenant of tenants) {
    await ensure(tenant.slug, tenant.id);
    await db.query(
      "INSERT INTO bulkhead.broker_tenants (issuer_id, claim_value, tenant_id) VALUES ($1, $2, $2) ON CONFLICT DO NOTHING",
      [broker, tenant.id],
    );
  }
  return records;
}
