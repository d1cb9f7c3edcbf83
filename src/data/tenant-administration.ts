import { Fault } from "../core/fault.ts";
import type { NewTenant, TenantChange, TenantName, TenantRecord } from "../tenancy/tenant-record.ts";
import { creationPage } from "./creation-page.ts";
import type { SystemConnection, SystemDoor } from "./system-door.ts";
import { TENANT_COLUMNS, type TenantRow, toTenantRecord } from "./tenant-rows.ts";
import { violatedConstraint } from "./violated-constraint.ts";

const LIST = `
  SELECT ${TENANT_COLUMNS}
    FROM bulkhead.tenants t JOIN bulkhead.plans p ON p.name = t.plan
   WHERE $1::bigint IS NULL OR (t.created_at, t.id) > (timestamptz 'epoch' + $1::bigint * interval '1 microsecond', $2::text)
   ORDER BY t.created_at, t.id LIMIT $3`;

const ONE = `
  SELECT ${TENANT_COLUMNS}
    FROM bulkhead.tenants t JOIN bulkhead.plans p ON p.name = t.plan
   WHERE t.id = $1 OR t.slug = $1`;

const INSERT = `
  INSERT INTO bulkhead.tenants (id, slug, name, plan, limits, tool_sets, scopes, roles, settings)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`;

/** Development brokers name a tenant by its id. Those of production are mapped one by one, by the operator. */
const MAP_DEVELOPMENT_BROKERS = `
  INSERT INTO bulkhead.broker_tenants (issuer_id, claim_value, tenant_id)
  SELECT i.id, $1, $1 FROM bulkhead.issuers i WHERE i.tenant_id IS NULL AND i.development`;

const CHANGE = `
  UPDATE bulkhead.tenants
     SET name = coalesce($3, name), plan = coalesce($4, plan), limits = coalesce($5::jsonb, limits),
         tool_sets = CASE WHEN $6::boolean THEN $7::text[] ELSE tool_sets END,
         scopes = coalesce($8::text[], scopes), roles = coalesce($9::jsonb, roles), settings = coalesce($10::jsonb, settings),
         api_keys = coalesce($11::boolean, api_keys), dpop = coalesce($12::text, dpop)
   WHERE (id = $1 OR slug = $1) AND ($2::bigint[] IS NULL OR version = ANY ($2::bigint[]))`;

const SET_STATUS = `
  UPDATE bulkhead.tenants SET status = $3
   WHERE (id = $1 OR slug = $1) AND status <> $3 AND ($2::bigint[] IS NULL OR version = ANY ($2::bigint[]))`;

/** Tenants as the operator reads and changes them. */
export function createTenantAdministration(system: SystemDoor) {
  return {
    async listTenants(page: {
      readonly after: { readonly createdMicros: string; readonly key: string } | null;
      readonly limit: number;
    }) {
      const { rows } = await system.run("read configuration", (db) =>
        db.query<TenantRow>(LIST, [
          page.after?.createdMicros ?? null,
          page.after?.key ?? null,
          page.limit + 1,
        ]),
      );
      return creationPage(rows, page.limit, { key: (row) => row.id, item: toTenantRecord });
    },

    tenant: (name: TenantName): Promise<TenantRecord | null> =>
      system.run("read configuration", (db) => read(db, name)),

    async createTenant(tenant: NewTenant) {
      const values = [
        tenant.id,
        tenant.slug,
        tenant.name,
        tenant.plan,
        JSON.stringify(tenant.limits),
        tenant.toolSets,
        tenant.scopes,
        JSON.stringify(tenant.roles),
        JSON.stringify(tenant.settings),
      ];
      try {
        return await system.transaction("change configuration", async (db) => {
          await db.query(INSERT, values);
          await db.query(MAP_DEVELOPMENT_BROKERS, [tenant.id]);
          return { kind: "done", tenant: await readOwn(db, tenant.id) } as const;
        });
      } catch (error) {
        const constraint = violatedConstraint(error);
        if (constraint === "tenants_slug_key" || constraint === "retired_slugs_pkey") {
          return { kind: "slug_taken" } as const;
        }
        if (constraint === "tenants_plan_fkey") return { kind: "plan_unknown" } as const;
        throw error;
      }
    },

    async changeTenant(name: TenantName, change: TenantChange, expected: readonly number[] | null) {
      const values = [
        name,
        expected,
        change.name ?? null,
        change.plan ?? null,
        json(change.limits),
        change.toolSets !== undefined,
        change.toolSets ?? null,
        change.scopes ?? null,
        json(change.roles),
        json(change.settings),
        change.apiKeys ?? null,
        change.dpop ?? null,
      ];
      try {
        return await system.transaction("change configuration", async (db) => {
          const { rowCount } = await db.query(CHANGE, values);
          if (rowCount === 1) return { kind: "done", tenant: await readOwn(db, name) } as const;
          return (await read(db, name)) === null
            ? ({ kind: "tenant_not_found" } as const)
            : ({ kind: "version_conflict" } as const);
        });
      } catch (error) {
        if (violatedConstraint(error) === "tenants_plan_fkey") return { kind: "plan_unknown" } as const;
        throw error;
      }
    },

    setTenantStatus: (name: TenantName, status: TenantRecord["status"], expected: readonly number[] | null) =>
      system.transaction("change configuration", async (db) => {
        const { rowCount } = await db.query(SET_STATUS, [name, expected, status]);
        if (rowCount === 1) return { kind: "done", tenant: await readOwn(db, name) } as const;
        const tenant = await read(db, name);
        if (tenant === null) return { kind: "tenant_not_found" } as const;
        const asAsked = tenant.status === status && (expected === null || expected.includes(tenant.version));
        return asAsked ? ({ kind: "done", tenant } as const) : ({ kind: "version_conflict" } as const);
      }),
  };
}

async function read(db: SystemConnection, name: TenantName): Promise<TenantRecord | null> {
  const { rows } = await db.query<TenantRow>(ONE, [name]);
  return rows[0] === undefined ? null : toTenantRecord(rows[0]);
}

/** What this transaction has written: nobody else can have changed or removed it yet. */
async function readOwn(db: SystemConnection, name: TenantName): Promise<TenantRecord> {
  const tenant = await read(db, name);
  if (tenant === null) throw new Fault("internal", { detail: "A tenant just written cannot be read." });
  return tenant;
}

function json(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}
