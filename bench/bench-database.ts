import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { createIdSource, type Slug, type TenantId } from "../src/core/ids.ts";
import { connectionSettings } from "../src/data/connection-settings.ts";
import { startEmbeddedPostgres } from "../src/data/embedded/embedded-postgres.ts";
import { ensureDatabase } from "../src/data/ensure-database.ts";
import type { BenchRun } from "./bench-run.ts";

export interface BenchTenant {
  readonly id: TenantId;
  readonly slug: Slug;
}

/** An embedded PostgreSQL of a figure's own, as `bulkhead dev` runs it, with an empty database. */
export interface BenchDatabase {
  /** As its superuser. */
  readonly url: string;
  /** Runs a statement as superuser. */
  admin<T extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<T[]>;
  /**
   * Adds tenants under a plan that limits rate and concurrency, but so high that the bench never reaches it: the limits
   * are looked at and nothing is refused. The database must have been migrated.
   */
  addTenants(count: number): Promise<readonly BenchTenant[]>;
  stop(): Promise<void>;
}

export async function startBenchDatabase(bench: BenchRun, name: string): Promise<BenchDatabase> {
  const dataDir = join(bench.scratch, name);
  await mkdir(dataDir);
  const starting = startEmbeddedPostgres({ dataDir });
  // Before it runs: a bench that is stopped meanwhile must not leave it.
  let pool: pg.Pool | null = null;
  const stop = await bench.cleanup.add(async () => {
    const started = await starting.catch(() => null);
    await pool?.end();
    await started?.stop({ remove: true });
    await rm(dataDir, { recursive: true, force: true });
  });
  const postgres = await starting;
  bench.cpus.moveToOthers(postgres.pid);
  await ensureDatabase(postgres.adminUrl, "bench");
  const connections = new pg.Pool({ ...connectionSettings(postgres.urlOf("bench")), max: 2 });
  // Its errors come again with the next statement.
  connections.on("error", () => {});
  pool = connections;
  const admin: BenchDatabase["admin"] = async (text, values = []) =>
    (await connections.query(text, [...values])).rows;
  return {
    url: postgres.urlOf("bench"),
    admin,
    async addTenants(count) {
      const ids = createIdSource(Date.now);
      const tenants = Array.from({ length: count }, (_, i) => ({
        id: ids.tenant(),
        slug: `bench-${i + 1}` as Slug,
      }));
      await admin(`INSERT INTO bulkhead.plans (name, limits)
        VALUES ('bench', '{"requestsPerMinute": 60000000, "burst": 1000000, "maxConcurrency": 512}')`);
      await admin(
        `INSERT INTO bulkhead.tenants (id, slug, name, plan, seeded_at)
         SELECT id, slug, slug, 'bench', now() FROM unnest($1::text[], $2::text[]) AS t (id, slug)`,
        [tenants.map((tenant) => tenant.id), tenants.map((tenant) => tenant.slug)],
      );
      return tenants;
    },
    stop,
  };
}
