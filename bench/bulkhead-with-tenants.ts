import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "../src/cli/free-port.ts";
import { type BenchDatabase, type BenchTenant, startBenchDatabase } from "./bench-database.ts";
import { type BenchIssuer, startBenchIssuer } from "./bench-issuer.ts";
import type { BenchRun } from "./bench-run.ts";
import { type ChildProgram, startChild } from "./child-program.ts";
import type { BulkheadOrder } from "./children/bulkhead-server.ts";
import { initializeRequest, PERMISSION, sendOnce } from "./tool-call-request.ts";

/** Where a tenant is called, and with what. */
export interface TenantAccess {
  readonly id: string;
  readonly slug: string;
  readonly path: string;
  readonly token: string;
}

/** Bulkhead in a process of its own, on a database of its own, with the fifty tools and many tenants. */
export interface BulkheadWithTenants {
  readonly child: ChildProgram;
  readonly origin: string;
  readonly database: BenchDatabase;
  readonly tenants: readonly TenantAccess[];
  /** A further token of a tenant, good for an hour, that nobody has seen yet. */
  newToken(tenant: TenantAccess): Promise<string>;
  stop(): Promise<void>;
}

/** @param of.name of the figure's data directory. */
export async function startBulkheadWithTenants(
  bench: BenchRun,
  of: { readonly name: string; readonly tenants: number; readonly operatorToken?: string },
): Promise<BulkheadWithTenants> {
  const database = await startBenchDatabase(bench, of.name);
  const issuer = await startBenchIssuer(bench.cleanup);
  const logFile = join(bench.scratch, `${of.name}.log`);
  const log = openSync(logFile, "a", 0o600);
  const child = await startChild({
    file: bench.shipped.child("bulkhead-server"),
    prefix: bench.cpus.forServer,
    stderr: log,
    cleanup: bench.cleanup,
  }).finally(() => closeSync(log));
  const order: BulkheadOrder = {
    do: "serve",
    databaseUrl: database.url,
    port: await freePort(0),
    ...(of.operatorToken === undefined ? {} : { operatorToken: of.operatorToken }),
  };
  await child.ask(order).catch(async (cause) => {
    throw new Error(
      `Bulkhead does not start. Its log ends:\n${(await readFile(logFile, "utf8")).slice(-2_000)}`,
      { cause },
    );
  });
  const origin = `http://127.0.0.1:${order.port}`;
  // Only now: starting in development mode, it would make an issuer for each of them.
  const added = await database.addTenants(of.tenants);
  await trust(database, issuer, added);
  const newToken = ({ id, path }: Pick<TenantAccess, "id" | "path">): Promise<string> =>
    issuer.sign({ tenant: id, audience: `${origin}${path}`, scope: PERMISSION });
  const tenants = await Promise.all(
    added.map(async ({ id, slug }) => {
      const path = `/t/${slug}/mcp`;
      return { id, slug, path, token: await newToken({ id, path }) };
    }),
  );
  await untilKnown(origin, tenants);
  return {
    child,
    origin,
    database,
    tenants,
    newToken,
    async stop() {
      await child.stop();
      await database.stop();
    },
  };
}

/** The bench's issuer becomes a broker of all the tenants. */
async function trust(
  database: BenchDatabase,
  issuer: BenchIssuer,
  tenants: readonly BenchTenant[],
): Promise<void> {
  await database.admin(
    `WITH broker AS (
       INSERT INTO bulkhead.issuers (id, issuer, jwks_uri, tenant_claim, algorithms, development)
       VALUES ('iss_' || repeat('0', 26), $1, $2, 'tenant_id', '{ES256}', true) RETURNING id)
     INSERT INTO bulkhead.broker_tenants (issuer_id, claim_value, tenant_id)
     SELECT broker.id, tenant, tenant FROM broker, unnest($3::text[]) AS t (tenant)`,
    [issuer.issuer, issuer.jwksUri, tenants.map((tenant) => tenant.id)],
  );
}

/** The server sees within a second what was added behind its back; the last tenant is the last to be seen. */
async function untilKnown(origin: string, tenants: readonly TenantAccess[]): Promise<void> {
  const last = tenants.at(-1);
  if (last === undefined) return;
  for (let tries = 0; tries < 50; tries++) {
    const { status } = await sendOnce(origin, initializeRequest(last));
    if (status !== 404 && status !== 401) return;
    await delay(200);
  }
  throw new Error("Bulkhead does not see the tenants that were added.");
}
