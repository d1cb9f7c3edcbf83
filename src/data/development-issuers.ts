import type { IdSource, IssuerId, Slug, TenantId } from "../core/ids.ts";
import type { SystemConnection, SystemDoor } from "./system-door.ts";

/** An issuer of the development authorization server, with its private key. */
export interface DevelopmentIssuerRecord {
  readonly issuer: string;
  readonly privateKey: Readonly<Record<string, unknown>>;
  /** The tenant whose issuer it is; of the broker: every tenant that it may name. Oldest first. */
  readonly tenants: readonly {
    readonly id: TenantId;
    readonly slug: Slug;
    readonly name: string;
    readonly scopes: readonly string[];
  }[];
}

/** The issuers of a development database: one of each tenant, and the broker. */
export interface DevelopmentIssuers {
  /** Before serving: brings all of them up to date. May be called again after it was interrupted anywhere. */
  setUp(): Promise<void>;
  /**
   * Gives an issuer to every tenant that has had none yet, and forgets what was kept of tenants that are gone. One that
   * somebody removed comes back with the next start only.
   */
  refresh(): Promise<void>;
  /** Of a tenant, or the broker (slug null). Null: there is none. */
  find(slug: Slug | null): Promise<DevelopmentIssuerRecord | null>;
  /** Tells a tenant whose issuer was removed from one that is gone. */
  hasTenant(id: TenantId): Promise<boolean>;
}

interface IssuerRow {
  slug: Slug | null;
  tenantId: TenantId | null;
  id: IssuerId | null;
  issuer: string | null;
  hasKey: boolean;
}

/** The marker of a tenant that was given an issuer, among what is kept under the issuer's name. */
const SET_UP = "Issuer";

/** Every tenant and, without one, the broker, beside the issuer that each has. */
const ISSUERS = `
  SELECT t.slug, t.id AS "tenantId", i.id, i.issuer, k.issuer_id IS NOT NULL AS "hasKey"
    FROM (SELECT id, slug, created_at FROM bulkhead.tenants UNION ALL SELECT NULL, NULL, '-infinity') t
    LEFT JOIN bulkhead.issuers i ON i.development AND coalesce(i.tenant_id, '') = coalesce(t.id, '')
    LEFT JOIN bulkhead.development_keys k ON k.issuer_id = i.id
   WHERE NOT $1 OR t.id IS NOT NULL AND i.id IS NULL AND NOT EXISTS (
           SELECT 1 FROM bulkhead.development_storage s WHERE s.issuer_name = t.slug AND s.kind = '${SET_UP}')
   ORDER BY t.created_at, t.id`;

const MAP_TENANTS = `
  INSERT INTO bulkhead.broker_tenants (issuer_id, claim_value, tenant_id)
  SELECT i.id, t.id, t.id FROM bulkhead.issuers i CROSS JOIN bulkhead.tenants t
   WHERE i.development AND i.tenant_id IS NULL AND ($1::text[] IS NULL OR t.id = ANY ($1::text[]))
     AND NOT EXISTS (SELECT 1 FROM bulkhead.broker_tenants b WHERE b.issuer_id = i.id AND b.tenant_id = t.id)`;

const FORGET = `
  DELETE FROM bulkhead.development_storage s
   WHERE CASE WHEN s.issuer_name = $1
         THEN s.payload ? 'account' AND NOT EXISTS (
                SELECT 1 FROM bulkhead.tenants t WHERE t.id = split_part(s.payload ->> 'account', '/', 1))
         ELSE NOT EXISTS (SELECT 1 FROM bulkhead.tenants t WHERE t.slug = s.issuer_name) END`;

const FIND = `
  SELECT i.issuer, k.private_jwk AS "privateKey", t.id, t.slug, t.name, t.scopes
    FROM bulkhead.issuers i
    JOIN bulkhead.development_keys k ON k.issuer_id = i.id
    LEFT JOIN bulkhead.broker_tenants b ON b.issuer_id = i.id AND i.tenant_id IS NULL
    LEFT JOIN bulkhead.tenants t ON t.id = coalesce(i.tenant_id, b.tenant_id)
   WHERE i.development AND CASE WHEN $1::text IS NULL THEN i.tenant_id IS NULL ELSE i.tenant_id IS NOT NULL AND t.slug = $1 END
   ORDER BY t.created_at, t.id`;

export function createDevelopmentIssuers(options: {
  readonly system: SystemDoor;
  readonly ids: IdSource;
  /** Last part of the broker's URL, under which what it gave to clients is kept. */
  readonly brokerName: string;
  /** URL of a tenant's issuer, and of the broker's (slug null). It follows the port of this start. */
  readonly issuerOf: (slug: Slug | null) => string;
  readonly jwksUriOf: (issuer: string) => string;
  readonly newSigningKey: () => Promise<Readonly<Record<string, unknown>>>;
}): DevelopmentIssuers {
  const { system, ids, brokerName } = options;

  async function complete(db: SystemConnection, row: IssuerRow): Promise<void> {
    const url = options.issuerOf(row.slug);
    const id = row.id ?? ids.issuer();
    if (row.id === null) {
      await db.query(
        `INSERT INTO bulkhead.issuers (id, tenant_id, issuer, jwks_uri, tenant_claim, tenant_value, algorithms, development)
         VALUES ($1, $2, $3, $4, 'tenant_id', $2, '{ES256}', true)`,
        [id, row.tenantId, url, options.jwksUriOf(url)],
      );
    } else if (row.issuer !== url) {
      await db.query("UPDATE bulkhead.issuers SET issuer = $2, jwks_uri = $3 WHERE id = $1", [
        id,
        url,
        options.jwksUriOf(url),
      ]);
    }
    // The key belongs to the registration, not to its URL, which changes with the port.
    if (!row.hasKey) {
      await db.query("INSERT INTO bulkhead.development_keys (issuer_id, private_jwk) VALUES ($1, $2)", [
        id,
        JSON.stringify(await options.newSigningKey()),
      ]);
    }
    await db.query(
      `INSERT INTO bulkhead.development_storage (issuer_name, kind, id, payload) VALUES ($1, '${SET_UP}', '', '{}')
       ON CONFLICT DO NOTHING`,
      [row.slug ?? brokerName],
    );
  }

  /** One at a time on all instances. */
  const completeAll = (missingOnly: boolean): Promise<void> =>
    system.transaction("set up development", async (db) => {
      await db.query("SELECT 1 FROM bulkhead.deployment FOR UPDATE");
      const { rows } = await db.query<IssuerRow>(ISSUERS, [missingOnly]);
      for (const row of rows) await complete(db, row);
      await db.query(MAP_TENANTS, [missingOnly ? rows.map((row) => row.tenantId) : null]);
    });

  return {
    setUp: () => completeAll(false),
    async refresh() {
      const missing = await system.run("set up development", async (db) => {
        await db.query(FORGET, [brokerName]);
        const { rowCount } = await db.query(ISSUERS, [true]);
        return (rowCount ?? 0) > 0;
      });
      if (missing) await completeAll(true);
    },
    async find(slug) {
      const { rows } = await system.run("read configuration", (db) =>
        db.query<{
          issuer: string;
          privateKey: Record<string, unknown>;
          id: TenantId | null;
          slug: Slug;
          name: string;
          scopes: string[];
        }>(FIND, [slug]),
      );
      const [first] = rows;
      if (first === undefined) return null;
      return {
        issuer: first.issuer,
        privateKey: first.privateKey,
        tenants: rows.flatMap(({ id, slug, name, scopes }) =>
          id === null ? [] : [{ id, slug, name, scopes }],
        ),
      };
    },
    async hasTenant(id) {
      const { rowCount } = await system.run("read configuration", (db) =>
        db.query("SELECT 1 FROM bulkhead.tenants WHERE id = $1", [id]),
      );
      return rowCount === 1;
    },
  };
}
