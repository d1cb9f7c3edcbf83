import type { IdSource, Slug, TenantId } from "../core/ids.ts";
import type { PartialLimits } from "../tenancy/limits.ts";
import type { TenantSql, TenantStore } from "../tenancy/tenant-context.ts";
import type { Roles } from "../tenancy/tenant-snapshot.ts";
import { createStore } from "./store.ts";
import type { SystemDoor } from "./system-door.ts";
import type { TenantDoor } from "./tenant-door.ts";

/** A demonstration tenant as this room needs to know it. */
export interface TenantToSetUp {
  readonly slug: Slug;
  readonly name: string;
  readonly plan: string;
  readonly roles: Roles;
  seed?(into: { readonly sql: TenantSql; readonly store: TenantStore }): Promise<void>;
}

/** What development starts with. */
export interface DevelopmentToSetUp {
  readonly plans: Readonly<
    Record<string, { readonly limits?: PartialLimits; readonly toolSets?: readonly string[] }>
  >;
  readonly tenants: readonly TenantToSetUp[];
}

/** Longest time that one statement of a seed may take, in milliseconds. */
const SEED_TIMEOUT_MS = 60_000;

/**
 * Sets up a development database, or brings one up to date: plans, and demonstration tenants with their data. May be
 * called again after it was interrupted anywhere.
 */
export async function setUpDevelopment(
  doors: { readonly system: SystemDoor; readonly tenant: TenantDoor; readonly ids: IdSource },
  wanted: DevelopmentToSetUp,
): Promise<void> {
  const { system, ids } = doors;
  await system.transaction("set up development", async (lock) => {
    // One at a time: two processes that start on a new database would both fill its tenants.
    await lock.query("SELECT 1 FROM bulkhead.deployment FOR UPDATE");
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
          `INSERT INTO bulkhead.tenants (id, slug, name, plan, roles)
           SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT 1 FROM bulkhead.retired_slugs WHERE slug = $2)
           ON CONFLICT (slug) DO NOTHING`,
          [ids.tenant(), tenant.slug, tenant.name, tenant.plan, JSON.stringify(tenant.roles)],
        );
      }
    });
    for (const tenant of wanted.tenants) await seed(doors, tenant);
    await lock.query("UPDATE bulkhead.deployment SET set_up_at = coalesce(set_up_at, now())");
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
