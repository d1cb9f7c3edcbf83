import { randomBytes } from "node:crypto";
import { parseSlug } from "../../src/core/ids.ts";
import { createConfigurationSource } from "../../src/data/configuration-repository.ts";
import { discoverIssuer } from "../../src/identity/issuer-discovery.ts";
import { createSecretBox, type SecretBox } from "../../src/identity/secret-box.ts";
import type { TenantSnapshot } from "../../src/tenancy/tenant-snapshot.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type AdminAnswer, type AdminServer, startAdminServer } from "./admin-server.ts";
import { administratorOf, callersByName } from "./callers.ts";

/** The admin API over a database with the tenants acme and globex, whose administrators it knows. */
export interface IdentityServer extends AdminServer {
  readonly database: TestDatabase;
  readonly box: SecretBox;
  /** Metadata documents by their URL: all that can be fetched. */
  readonly metadata: Map<string, unknown>;
  /** URLs that were fetched. */
  readonly fetched: string[];
  /** As an administrator of the tenant. */
  callAs(tenant: string, method: string, path: string, body?: unknown): Promise<AdminAnswer>;
  /** What instances would know of a tenant now. */
  snapshot(slug: string): Promise<TenantSnapshot>;
  /** Tables with a row in whose text any of these occurs, read past every policy. */
  tablesWith(...texts: string[]): Promise<string[]>;
  stop(): Promise<void>;
}

export async function startIdentityServer(
  options: {
    readonly allowLoopback?: boolean;
    readonly masterKey?: boolean;
    readonly privateAddresses?: boolean;
  } = {},
): Promise<IdentityServer> {
  const database = await createTestDatabase();
  const box = createSecretBox(randomBytes(32).toString("base64url"));
  const metadata = new Map<string, unknown>();
  const fetched: string[] = [];
  const fetch = async (url: string): Promise<Uint8Array> => {
    fetched.push(url);
    if (options.privateAddresses === true) throw new Error("the name has an address that is not public");
    if (!metadata.has(url)) throw new Error("connect ECONNREFUSED 10.9.8.7:443");
    return Buffer.from(JSON.stringify(metadata.get(url)));
  };
  const server = await startAdminServer(database.system, undefined, {
    authenticate: callersByName(database.system),
    issuers: {
      allowLoopback: options.allowLoopback === true,
      discoverIssuer: (issuer) => discoverIssuer(issuer, fetch),
      sealSecret: (text, context) => (options.masterKey === false ? null : box.seal(text, context)),
    },
  });
  for (const slug of ["acme", "globex"]) {
    await server.call("POST", "/tenants", { body: { slug, name: slug, plan: "enterprise" } });
  }
  server.events.length = 0;
  const source = createConfigurationSource(database.system);
  return {
    ...server,
    database,
    box,
    metadata,
    fetched,
    callAs: (tenant, method, path, body) =>
      server.call(method, path, { body, token: administratorOf(tenant) }),
    async snapshot(slug) {
      const parsed = parseSlug(slug);
      const id = parsed === null ? null : (await source.idOfSlug(parsed)).found;
      const snapshot = id === null ? null : (await source.snapshotOfId(id)).found;
      if (snapshot === null) throw new TypeError(`There is no tenant ${slug}.`);
      return snapshot;
    },
    async tablesWith(...texts) {
      const tables = await database.admin<{ name: string }>(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname IN ('bulkhead', 'app') ORDER BY 1",
      );
      const found: string[] = [];
      for (const { name } of tables) {
        const rows = await database.admin(
          `SELECT 1 FROM ${name} AS r WHERE EXISTS (SELECT 1 FROM unnest($1::text[]) AS t WHERE position(t IN r::text) > 0) LIMIT 1`,
          [texts],
        );
        if (rows.length > 0) found.push(name);
      }
      return found;
    },
    async stop() {
      await server.close();
      await database.drop();
    },
  };
}

/** What an answer says but for the name of its operation. */
export function withoutOperation({ status, body }: AdminAnswer): unknown {
  const { operationId, ...rest } = body;
  return { status, rest, named: typeof operationId === "string" };
}

/** Paths of what an answer calls not valid. */
export function errorPaths({ body }: AdminAnswer): string[] {
  return ((body.errors ?? []) as { path: string }[]).map((error) => error.path);
}

/** What a list has, page by page. */
export async function allPages(
  server: Pick<AdminServer, "call">,
  path: string,
  limit: number,
): Promise<Record<string, unknown>[][]> {
  const pages: Record<string, unknown>[][] = [];
  let cursor: unknown;
  do {
    const next = cursor === undefined ? "" : `&cursor=${String(cursor)}`;
    const { body } = await server.call("GET", `${path}?limit=${limit}${next}`);
    pages.push(body.items as Record<string, unknown>[]);
    cursor = body.nextCursor;
  } while (cursor !== undefined);
  return pages;
}
