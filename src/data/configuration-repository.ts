import { deepFreeze } from "../core/deep-freeze.ts";
import type { IssuerId, Slug, TenantId } from "../core/ids.ts";
import { effectiveLimits, type PartialLimits } from "../tenancy/limits.ts";
import type { ConfigurationSource } from "../tenancy/tenant-directory.ts";
import type { Roles, TenantSnapshot, TrustedIssuer } from "../tenancy/tenant-snapshot.ts";
import type { SystemDoor } from "./system-door.ts";

interface IssuerRow {
  id: IssuerId;
  issuer: string;
  jwksUri: string;
  broker: boolean;
  audience: string | null;
  tenantClaim: string | null;
  tenantValue: string | null;
  algorithms: string[];
  tokenType: string;
  development: boolean;
}

interface SnapshotRow {
  id: TenantId;
  slug: Slug;
  name: string;
  status: "active" | "suspended";
  plan: string;
  limits: PartialLimits;
  plan_limits: PartialLimits;
  tool_sets: string[] | null;
  plan_tool_sets: string[];
  scopes: string[];
  roles: Roles;
  settings: Record<string, unknown>;
  placement: "shared" | "dedicated";
  version: string;
  issuers: IssuerRow[];
}

/** One statement reads a whole snapshot, so that it is of one version. */
const SNAPSHOT = `
  SELECT t.id, t.slug, t.name, t.status, t.plan, t.limits, p.limits AS plan_limits, t.tool_sets, p.tool_sets AS plan_tool_sets,
         t.scopes, t.roles, t.settings, t.placement, (SELECT v.version FROM bulkhead.configuration_version v) AS version,
         coalesce((
           SELECT jsonb_agg(jsonb_build_object(
                    'id', i.id, 'issuer', i.issuer, 'jwksUri', i.jwks_uri, 'broker', i.tenant_id IS NULL, 'audience', i.audience,
                    'tenantClaim', i.tenant_claim, 'tenantValue', coalesce(b.claim_value, i.tenant_value),
                    'algorithms', i.algorithms, 'tokenType', i.token_type, 'development', i.development)
                  ORDER BY i.tenant_id NULLS LAST, i.id)
             FROM bulkhead.issuers i
             LEFT JOIN bulkhead.broker_tenants b ON b.issuer_id = i.id AND b.tenant_id = t.id
            WHERE i.tenant_id = t.id OR b.tenant_id = t.id), '[]') AS issuers
    FROM bulkhead.tenants t JOIN bulkhead.plans p ON p.name = t.plan`;

/** The configuration in PostgreSQL, read through the system door. */
export function createConfigurationSource(system: SystemDoor): ConfigurationSource {
  const one = async (condition: string, values: readonly unknown[]): Promise<TenantSnapshot | null> =>
    system.run("read configuration", async (db) => {
      const { rows } = await db.query<SnapshotRow>(`${SNAPSHOT} ${condition}`, values);
      return rows[0] === undefined ? null : toSnapshot(rows[0]);
    });

  return {
    snapshotOfSlug: (slug) => one("WHERE t.slug = $1", [slug]),
    snapshotOfClaim: (issuer, claimValue) =>
      one(
        "JOIN bulkhead.broker_tenants claimed ON claimed.tenant_id = t.id WHERE claimed.issuer_id = $1 AND claimed.claim_value = $2",
        [issuer, claimValue],
      ),
    brokers: () =>
      system.run("read configuration", async (db) => {
        const { rows } = await db.query<{ issuer: IssuerRow }>(
          `SELECT jsonb_build_object('id', i.id, 'issuer', i.issuer, 'jwksUri', i.jwks_uri, 'broker', true, 'audience', i.audience,
                    'tenantClaim', i.tenant_claim, 'tenantValue', NULL, 'algorithms', i.algorithms, 'tokenType', i.token_type,
                    'development', i.development) AS issuer
             FROM bulkhead.issuers i WHERE i.tenant_id IS NULL ORDER BY i.id`,
        );
        return Object.freeze(rows.map((row) => toIssuer(row.issuer)));
      }),
    changesSince: (version) =>
      system.run("read configuration", async (db) => {
        // The version first: a change between the two statements is then read twice, not missed.
        const { rows } = await db.query<{ version: string }>(
          "SELECT version FROM bulkhead.configuration_version",
        );
        const current = Number(rows[0]?.version ?? 0);
        if (current === version) return { version, tenants: [], everything: false };
        const changes = await db.query<{ noted: number; all: boolean; tenants: TenantId[] | null }>(
          `SELECT count(*)::int AS noted, coalesce(bool_or(tenant_id IS NULL), false) AS all,
                  array_agg(DISTINCT tenant_id) FILTER (WHERE tenant_id IS NOT NULL) AS tenants
             FROM bulkhead.configuration_changes WHERE version > $1 AND version <= $2`,
          [version, current],
        );
        const { noted = 0, all = true, tenants = null } = changes.rows[0] ?? {};
        // One note for each version; where some are gone already, whoever asks has slept too long to know.
        return { version: current, tenants: tenants ?? [], everything: all || noted !== current - version };
      }),
  };
}

function toSnapshot(row: SnapshotRow): TenantSnapshot {
  return Object.freeze({
    id: row.id,
    slug: row.slug,
    name: row.name,
    status: row.status,
    plan: row.plan,
    // Handlers are shown limits and settings, and the next request has the same ones.
    limits: deepFreeze(effectiveLimits(row.plan_limits, row.limits)),
    toolSets: new Set(row.tool_sets ?? row.plan_tool_sets),
    scopes: Object.freeze(row.scopes),
    roles: deepFreeze(row.roles),
    settings: deepFreeze(row.settings),
    issuers: Object.freeze(row.issuers.map(toIssuer)),
    placement: row.placement,
    version: Number(row.version),
  });
}

function toIssuer(row: IssuerRow): TrustedIssuer {
  return Object.freeze({ ...row, algorithms: Object.freeze(row.algorithms) });
}
