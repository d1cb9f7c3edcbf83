import { deepFreeze } from "../core/deep-freeze.ts";
import type { Slug, TenantId } from "../core/ids.ts";
import type { ConfigurationSource, Reading } from "../tenancy/configuration-source.ts";
import { effectiveLimits, type PartialLimits } from "../tenancy/limits.ts";
import { NO_REVOCATIONS, type Revocations } from "../tenancy/revocations.ts";
import {
  type ApiKey,
  type DpopMode,
  type Roles,
  subjectKey,
  type TenantSnapshot,
  type TrustedIssuer,
} from "../tenancy/tenant-snapshot.ts";
import type { SystemDoor } from "./system-door.ts";

interface RevocationRow {
  kind: "token" | "subject" | "signing_key" | "tenant";
  issuer: string | null;
  value: string | null;
  notBefore: number | null;
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
  dpop: DpopMode;
  issuers: TrustedIssuer[];
  api_keys: ApiKey[];
  revocations: RevocationRow[];
  role_assignments: { issuer: string; subject: string; roles: string[] }[];
}

/** Of a tenant that is not there. */
interface NoSnapshotRow {
  id: null;
  version: string;
}

/** A registration of an issuer as `i`, as {@link TrustedIssuer} has it; `value` is the tenant's value of its claim. */
const issuerObject = (value: string): string => `jsonb_build_object(
    'id', i.id, 'issuer', i.issuer, 'jwksUri', i.jwks_uri, 'broker', i.tenant_id IS NULL, 'audience', i.audience,
    'otherAudiences', i.other_audiences, 'tenantClaim', i.tenant_claim, 'tenantClaimForm', i.tenant_claim_form,
    'tenantValue', ${value}, 'scopeClaims', i.scope_claims, 'rolesClaim', i.roles_claim, 'algorithms', i.algorithms,
    'tokenType', i.token_type, 'maxLifetimeSeconds', i.max_lifetime_seconds, 'introspection',
    CASE WHEN i.introspection_endpoint IS NOT NULL THEN jsonb_build_object('endpoint', i.introspection_endpoint,
      'clientId', i.introspection_client_id, 'sealedSecret', encode(i.introspection_secret, 'base64')) END,
    'development', i.development)`;

/** Milliseconds since 1970, rounded up: a moment is not over before it has passed. */
const millis = (column: string): string => `ceil(extract(epoch FROM ${column}) * 1000)::bigint`;

/** One statement reads a whole snapshot, so that it is of one version; where there is no tenant, it says that version. */
const SNAPSHOT = `
  SELECT t.id, t.slug, t.name, t.status, t.plan, t.limits, p.limits AS plan_limits, t.tool_sets, p.tool_sets AS plan_tool_sets,
         t.scopes, t.roles, t.settings, t.dpop, t.placement, v.version,
         coalesce((
           SELECT jsonb_agg(${issuerObject("coalesce(b.claim_value, i.tenant_value)")} ORDER BY i.tenant_id NULLS LAST, i.id)
             FROM bulkhead.issuers i
             LEFT JOIN bulkhead.broker_tenants b ON b.issuer_id = i.id AND b.tenant_id = t.id
            WHERE i.tenant_id = t.id OR b.tenant_id = t.id), '[]') AS issuers,
         coalesce((
           SELECT jsonb_agg(jsonb_build_object('id', k.id, 'name', k.name, 'secretHash', encode(k.secret_hash, 'base64'),
                    'permissions', k.permissions, 'createdAt', ${millis("k.created_at")}, 'expiresAt', ${millis("k.expires_at")}))
             FROM bulkhead.api_keys k WHERE k.tenant_id = t.id AND t.api_keys AND k.expires_at > now()), '[]') AS api_keys,
         coalesce((
           SELECT jsonb_agg(jsonb_build_object('kind', r.kind, 'issuer', r.issuer, 'value', r.value,
                    'notBefore', ${millis("r.not_before")}))
             FROM bulkhead.revocations r WHERE r.tenant_id = t.id), '[]') AS revocations,
         coalesce((
           SELECT jsonb_agg(jsonb_build_object('issuer', a.issuer, 'subject', a.subject, 'roles', a.roles))
             FROM bulkhead.role_assignments a WHERE a.tenant_id = t.id), '[]') AS role_assignments
    FROM bulkhead.configuration_version v
    LEFT JOIN (bulkhead.tenants t JOIN bulkhead.plans p ON p.name = t.plan) ON t.id = $1`;

/** What leads to a tenant's id. */
const ID_OF_SLUG = "SELECT t.id FROM bulkhead.tenants t WHERE t.slug = $1";
const ID_OF_KEY = `
  SELECT t.id FROM bulkhead.api_keys k JOIN bulkhead.tenants t ON t.id = k.tenant_id WHERE k.id = $1 AND t.api_keys`;
const ID_OF_CLAIM =
  "SELECT b.tenant_id FROM bulkhead.broker_tenants b WHERE b.issuer_id = $1 AND b.claim_value = $2";

/**
 * Changes told one by one. Beyond it everything may have changed: an instance that starts, or has slept, would otherwise
 * read all that the busiest tenant did in a week.
 */
const MAX_TOLD = 10_000;

/** The configuration in PostgreSQL, read through the system door. */
export function createConfigurationSource(system: SystemDoor): ConfigurationSource {
  const idOf = (find: string, values: readonly unknown[]): Promise<Reading<TenantId>> =>
    system.run("read configuration", async (db) => {
      const { rows } = await db.query<{ found: TenantId | null; version: string }>(
        `SELECT v.version, (${find}) AS found FROM bulkhead.configuration_version v`,
        values,
      );
      return { found: rows[0]?.found ?? null, version: Number(rows[0]?.version ?? 0) };
    });

  return {
    idOfSlug: (slug) => idOf(ID_OF_SLUG, [slug]),
    idOfKey: (key) => idOf(ID_OF_KEY, [key]),
    idOfClaim: (issuer, claimValue) => idOf(ID_OF_CLAIM, [issuer, claimValue]),
    snapshotOfId: (id) =>
      system.run("read configuration", async (db) => {
        const { rows } = await db.query<SnapshotRow | NoSnapshotRow>(SNAPSHOT, [id]);
        const row = rows[0] ?? { id: null, version: "0" };
        return { found: row.id === null ? null : toSnapshot(row), version: Number(row.version) };
      }),
    brokers: () =>
      system.run("read configuration", async (db) => {
        const { rows } = await db.query<{ issuer: TrustedIssuer }>(
          `SELECT ${issuerObject("NULL")} AS issuer FROM bulkhead.issuers i WHERE i.tenant_id IS NULL ORDER BY i.id`,
        );
        return Object.freeze(rows.map((row) => deepFreeze(row.issuer)));
      }),
    changesSince: (version) =>
      system.run("watch configuration", async (db) => {
        // The version first: a change between the two statements is then read twice, not missed.
        const { rows } = await db.query<{ version: string }>(
          "SELECT version FROM bulkhead.configuration_version",
        );
        const current = Number(rows[0]?.version ?? 0);
        if (current === version) return { version, tenants: [], everything: false };
        if (current - version > MAX_TOLD) return { version: current, tenants: [], everything: true };
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
    roleAssignments: new Map(
      row.role_assignments.map(({ issuer, subject, roles }) => [
        subjectKey(issuer, subject),
        Object.freeze(roles),
      ]),
    ),
    settings: deepFreeze(row.settings),
    issuers: deepFreeze(row.issuers),
    apiKeys: new Map(row.api_keys.map((key) => [key.id, deepFreeze(key)])),
    dpop: row.dpop,
    revocations: toRevocations(row.revocations),
    placement: row.placement,
    version: Number(row.version),
  });
}

function toRevocations(rows: readonly RevocationRow[]): Revocations {
  if (rows.length === 0) return NO_REVOCATIONS;
  const keysOf = (kind: RevocationRow["kind"]): string[] =>
    rows.filter((row) => row.kind === kind).map((row) => subjectKey(row.issuer ?? "", row.value ?? ""));
  return Object.freeze({
    tokens: new Set(keysOf("token")),
    signingKeys: new Set(keysOf("signing_key")),
    subjects: new Map(
      rows
        .filter((row) => row.kind === "subject")
        .map((row) => [subjectKey(row.issuer ?? "", row.value ?? ""), row.notBefore ?? 0]),
    ),
    notBefore: rows.find((row) => row.kind === "tenant")?.notBefore ?? null,
  });
}
