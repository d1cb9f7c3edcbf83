import { connectionSettings } from "../data/connection-settings.ts";
import { migrate } from "../data/migrate.ts";
import { databaseUrl, type Environment } from "./environment.ts";
import { loadServerModule } from "./load-server-module.ts";

/**
 * `bulkhead migrate`: Bulkhead's migrations, then those of the module.
 * @returns the exit status.
 * @throws Fault for what keeps it from that.
 */
export async function runMigrate(options: {
  readonly module: string | undefined;
  readonly json: boolean;
  readonly env: Environment;
}): Promise<number> {
  const settings = connectionSettings(databaseUrl(options.env));
  const server = options.module === undefined ? undefined : await loadServerModule(options.module);
  const report = await migrate(settings, { mode: "production", app: server?.migrations });
  if (options.json)
    process.stdout.write(`${JSON.stringify({ event: "migrated", applied: report.applied })}\n`);
  else if (report.applied.length === 0) process.stdout.write("Nothing to migrate.\n");
  else process.stdout.write(`Applied ${report.applied.join(", ")}.\n`);
  return 0;
}
