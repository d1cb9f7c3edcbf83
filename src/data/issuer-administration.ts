import { Fault } from "../core/fault.ts";
import type { IssuerId, Slug, TenantId } from "../core/ids.ts";
import type { NewIssuer } from "../tenancy/issuer-record.ts";
import type { TenantName } from "../tenancy/tenant-record.ts";
import { type CreationPageRequest, creationPage, pageValues } from "./creation-page.ts";
import { ISSUER_COLUMNS, type IssuerRow, TENANT_ISSUER_COLUMNS, toIssuerRecord } from "./issuer-rows.ts";
import { lockTenant, tenantIdOf } from "./lock-tenant.ts";
import type { SystemConnection, SystemDoor } from "./system-door.ts";
import { violatedConstraint } from "./violated-constraint.ts";

/** Issuers that a tenant may have, brokers included, and brokers of a deployment: each is in many snapshots. */
const MAX_ISSUERS = 20;

const LIST_BROKERS = `
  SELECT ${ISSUER_COLUMNS} FROM bulkhead.issuers i
   WHERE i.tenant_id IS NULL
     AND ($1::bigint IS NULL OR (i.created_at, i.id) > (timestamptz 'epoch' + $1::bigint * interval '1 microsecond', $2::text))
   ORDER BY i.created_at, i.id LIMIT $3`;

const OF_TENANT = `
  FROM bulkhead.issuers i LEFT JOIN bulkhead.broker_tenants b ON b.issuer_id = i.id AND b.tenant_id = $1
 WHERE (i.tenant_id = $1 OR b.tenant_id = $1)`;

const LIST_OF_TENANT = `
  SELECT ${TENANT_ISSUER_COLUMNS} ${OF_TENANT}
     AND ($2::bigint IS NULL
          OR (coalesce(b.created_at, i.created_at), i.id) > (timestamptz 'epoch' + $2::bigint * interval '1 microsecond', $3::text))
   ORDER BY coalesce(b.created_at, i.created_at), i.id LIMIT $4`;

const ONE_OF_TENANT = `SELECT ${TENANT_ISSUER_COLUMNS} ${OF_TENANT} AND i.id = $2`;

const COUNT_OF_TENANT = `
  SELECT count(*)::int AS issuers, count(i.introspection_endpoint)::int AS introspecting ${OF_TENANT}`;

const COUNT_BROKERS = `
  SELECT count(*)::int AS issuers, count(i.introspection_endpoint)::int AS introspecting
    FROM bulkhead.issuers i WHERE i.tenant_id IS NULL`;

const STANDING = `
  SELECT i.tenant_id IS NULL AND NOT i.development AS broker, t.slug AS holder
    FROM bulkhead.issuers i LEFT JOIN bulkhead.tenants t ON t.id = i.tenant_id WHERE i.issuer = $1`;

const INSERT = `
  INSERT INTO bulkhead.issuers (id, tenant_id, issuer, profile, jwks_uri, audience, other_audiences, tenant_claim,
    tenant_claim_form, tenant_value, scope_claims, roles_claim, algorithms, token_type, max_lifetime_seconds,
    introspection_endpoint, introspection_client_id, introspection_secret)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`;

/** Held until the end of the transaction, so that the broker does not go while a tenant is mapped to it. */
const LOCK_BROKER = `
  SELECT i.id, i.introspection_endpoint IS NOT NULL AS introspects FROM bulkhead.issuers i
   WHERE i.issuer = $1 AND i.tenant_id IS NULL AND NOT i.development FOR KEY SHARE`;

/** Whoever holds it is the only one to count the brokers. */
const LOCK_DEPLOYMENT = "SELECT d.mode FROM bulkhead.deployment d FOR UPDATE";

/** Constraints that say that somebody has the issuer, or the broker's value, already. */
const TAKEN = new Set(["issuers_issuer_key", "broker_tenants_pkey", "broker_tenants_one"]);

/** Issuers of tenants, brokers, and which tenants are mapped to which, as the admin API reads and changes them. */
export function createIssuerAdministration(system: SystemDoor) {
  return {
    async listBrokers(page: CreationPageRequest) {
      const { rows } = await system.run("read configuration", (db) =>
        db.query<IssuerRow>(LIST_BROKERS, pageValues(page)),
      );
      return creationPage(rows, page.limit, { key: (row) => row.id, item: toIssuerRecord });
    },

    createBroker: (broker: NewIssuer) =>
      unlessTaken(() =>
        system.transaction("change configuration", async (db) => {
          await db.query(LOCK_DEPLOYMENT);
          const full = fullness(
            (await db.query<Counts>(COUNT_BROKERS)).rows[0],
            broker.introspection !== null,
          );
          if (full !== null) return { kind: "too_many", of: full } as const;
          await insert(db, null, broker);
          const { rows } = await db.query<IssuerRow>(
            `SELECT ${ISSUER_COLUMNS} FROM bulkhead.issuers i WHERE i.id = $1`,
            [broker.id],
          );
          return { kind: "done", issuer: toIssuerRecord(written(rows[0])) } as const;
        }),
      ),

    deleteBroker: (id: IssuerId) =>
      system.transaction("change configuration", async (db) => {
        const { rows } = await db.query<IssuerRow>(
          `DELETE FROM bulkhead.issuers i WHERE i.id = $1 AND i.tenant_id IS NULL RETURNING ${ISSUER_COLUMNS}`,
          [id],
        );
        return rows[0] === undefined
          ? ({ kind: "issuer_not_found" } as const)
          : ({ kind: "done", issuer: toIssuerRecord(rows[0]) } as const);
      }),

    listIssuers: (tenant: TenantName, page: CreationPageRequest) =>
      system.run("read configuration", async (db) => {
        const tenantId = await tenantIdOf(db, tenant);
        if (tenantId === null) return null;
        const { rows } = await db.query<IssuerRow>(LIST_OF_TENANT, [tenantId, ...pageValues(page)]);
        return {
          tenantId,
          ...creationPage(rows, page.limit, { key: (row) => row.id, item: toIssuerRecord }),
        };
      }),

    issuerStanding: (issuer: string) =>
      system.run("read configuration", async (db) => {
        const { rows } = await db.query<{ broker: boolean; holder: Slug | null }>(STANDING, [issuer]);
        if (rows[0] === undefined) return { kind: "free" } as const;
        const { broker, holder } = rows[0];
        return broker ? ({ kind: "broker" } as const) : ({ kind: "taken", holder } as const);
      }),

    createIssuer: (tenant: TenantId, issuer: NewIssuer) =>
      unlessTaken(() =>
        system.transaction("change configuration", async (db) => {
          if ((await lockTenant(db, tenant)) === null) return { kind: "tenant_not_found" } as const;
          const counts = await db.query<Counts>(COUNT_OF_TENANT, [tenant]);
          const full = fullness(counts.rows[0], issuer.introspection !== null);
          if (full !== null) return { kind: "too_many", of: full } as const;
          await insert(db, tenant, issuer);
          return {
            kind: "done",
            issuer: toIssuerRecord(written(await ofTenant(db, tenant, issuer.id))),
          } as const;
        }),
      ),

    mapBroker: (tenant: TenantId, mapping: { readonly issuer: string; readonly tenantValue: string }) =>
      unlessTaken(() =>
        system.transaction("change configuration", async (db) => {
          if ((await lockTenant(db, tenant)) === null) return { kind: "tenant_not_found" } as const;
          const { rows } = await db.query<{ id: IssuerId; introspects: boolean }>(LOCK_BROKER, [
            mapping.issuer,
          ]);
          const broker = rows[0];
          if (broker === undefined) return { kind: "issuer_refused" } as const;
          const counts = await db.query<Counts>(COUNT_OF_TENANT, [tenant]);
          const full = fullness(counts.rows[0], broker.introspects);
          if (full !== null) return { kind: "too_many", of: full } as const;
          await db.query(
            "INSERT INTO bulkhead.broker_tenants (issuer_id, claim_value, tenant_id) VALUES ($1, $2, $3)",
            [broker.id, mapping.tenantValue, tenant],
          );
          return {
            kind: "done",
            issuer: toIssuerRecord(written(await ofTenant(db, tenant, broker.id))),
          } as const;
        }),
      ),

    deleteIssuer: (tenant: TenantName, id: IssuerId, may: { readonly brokers: boolean }) =>
      system.transaction("change configuration", async (db) => {
        const locked = await lockTenant(db, tenant);
        if (locked === null) return { kind: "tenant_not_found" } as const;
        const row = await ofTenant(db, locked.id, id);
        if (row === undefined) return { kind: "issuer_not_found" } as const;
        const issuer = toIssuerRecord(row);
        if (issuer.broker && !may.brokers) return { kind: "operator_only" } as const;
        await (issuer.broker
          ? db.query("DELETE FROM bulkhead.broker_tenants WHERE issuer_id = $1 AND tenant_id = $2", [
              id,
              locked.id,
            ])
          : db.query("DELETE FROM bulkhead.issuers WHERE id = $1 AND tenant_id = $2", [id, locked.id]));
        return { kind: "done", issuer, tenantId: locked.id } as const;
      }),
  };
}

interface Counts {
  issuers: number;
  introspecting: number;
}

/** Of what there are as many as there may be, before one more is added; null: of nothing. */
function fullness(
  counts: Counts | undefined,
  introspects: boolean,
): "issuers" | "introspecting issuers" | null {
  if ((counts?.issuers ?? 0) >= MAX_ISSUERS) return "issuers";
  // An opaque token does not say whose it is: with two issuers to ask, one would be shown the other's tokens.
  return introspects && (counts?.introspecting ?? 0) > 0 ? "introspecting issuers" : null;
}

async function insert(db: SystemConnection, tenant: TenantId | null, issuer: NewIssuer): Promise<void> {
  await db.query(INSERT, [
    issuer.id,
    tenant,
    issuer.issuer,
    issuer.profile,
    issuer.jwksUri,
    issuer.audience,
    issuer.otherAudiences,
    issuer.tenantClaim,
    issuer.tenantClaimForm,
    issuer.tenantValue,
    issuer.scopeClaims,
    issuer.rolesClaim,
    issuer.algorithms,
    issuer.tokenType,
    issuer.maxLifetimeSeconds,
    issuer.introspection?.endpoint ?? null,
    issuer.introspection?.clientId ?? null,
    issuer.introspection === null ? null : Buffer.from(issuer.introspection.sealedSecret),
  ]);
}

async function ofTenant(
  db: SystemConnection,
  tenant: TenantId,
  id: IssuerId,
): Promise<IssuerRow | undefined> {
  const { rows } = await db.query<IssuerRow>(ONE_OF_TENANT, [tenant, id]);
  return rows[0];
}

/** What this transaction has written: nobody else can have removed it yet. */
function written(row: IssuerRow | undefined): IssuerRow {
  if (row === undefined) throw new Fault("internal", { detail: "An issuer just written cannot be read." });
  return row;
}

async function unlessTaken<T>(work: () => Promise<T>): Promise<T | { readonly kind: "issuer_refused" }> {
  try {
    return await work();
  } catch (error) {
    if (TAKEN.has(violatedConstraint(error) ?? "")) return { kind: "issuer_refused" };
    throw error;
  }
}
