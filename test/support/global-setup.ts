import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { connectionSettings } from "../../src/data/connection-settings.ts";
import { startEmbeddedPostgres } from "../../src/data/embedded/embedded-postgres.ts";
import { ensureDatabase } from "../../src/data/ensure-database.ts";
import { migrate } from "../../src/data/migrate.ts";
import { compileCommand } from "./compiled-command.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** URL of the cluster of this test run, as its superuser. */
    readonly clusterUrl: string;
    /** The command, compiled: for `node`. */
    readonly commandMain: string;
    /** The package that it is the command of, with the examples and the fixtures of its tests. */
    readonly commandRoot: string;
  }
}

/** Databases to clone: Bulkhead alone, and with the help desk's tables. */
export const TEMPLATES = { plain: "template_plain", helpdesk: "template_helpdesk" } as const;

const HELPDESK_MIGRATIONS = new URL("../../examples/helpdesk/migrations/", import.meta.url);

/** One PostgreSQL for the whole run, in a directory of its own that goes with it. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const command = await compileCommand();
  const dataDir = await mkdtemp(join(tmpdir(), "bulkhead-test-"));
  const postgres = await startEmbeddedPostgres({ dataDir, durable: false });
  const remove = async (): Promise<void> => {
    await command.remove();
    await postgres.stop({ remove: true });
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    for (const [kind, name] of Object.entries(TEMPLATES)) {
      await ensureDatabase(postgres.adminUrl, name);
      await migrate(connectionSettings(postgres.urlOf(name)), {
        mode: "development",
        app: kind === "helpdesk" ? HELPDESK_MIGRATIONS : undefined,
      });
    }
  } catch (error) {
    // Without this a migration that fails would leave the cluster running.
    await remove();
    throw error;
  }
  project.provide("clusterUrl", postgres.adminUrl);
  project.provide("commandMain", command.main);
  project.provide("commandRoot", command.root);
  return remove;
}
