import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import { connectionSettings, doorSettings } from "../../src/data/connection-settings.ts";
import { migrate } from "../../src/data/migrate.ts";
import { createSystemDoor, type SystemDoor } from "../../src/data/system-door.ts";
import { TEMPLATES } from "./global-setup.ts";

/** A database of one test's own. */
export interface TestDatabase {
  /** As the cluster's superuser. */
  readonly adminUrl: string;
  readonly system: SystemDoor;
  /** Runs statements as superuser: to look behind the walls, or to break one. */
  admin<T extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<T[]>;
  drop(): Promise<void>;
}

/** Clones a template: some tens of milliseconds. Mode development, plans free, team and enterprise. */
export async function createTestDatabase(template: keyof typeof TEMPLATES = "plain"): Promise<TestDatabase> {
  const cluster = connectionSettings(inject("clusterUrl"));
  const name = `test_${randomBytes(8).toString("hex")}`;
  await asAdmin(cluster, (client) => client.query(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATES[template]}`));
  const adminUrl = withDatabase(inject("clusterUrl"), name);
  const settings = connectionSettings(adminUrl);
  // A clone does not take over rights on the database itself: the migrator restores them.
  await migrate(settings, { mode: "development" });
  const system = createSystemDoor(doorSettings(settings, "bulkhead_system"), { connections: 3 });
  const admin = new pg.Pool({ ...settings, max: 2 });
  admin.on("error", () => {});
  return {
    adminUrl,
    system,
    admin: async (text, values) => (await admin.query(text, values)).rows,
    async drop() {
      await system.close();
      await admin.end();
      await asAdmin(cluster, (client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`));
    },
  };
}

function withDatabase(url: string, name: string): string {
  return url.replace(/\/[^/?]*(\?|$)/, `/${name}$1`);
}

async function asAdmin(
  settings: pg.ClientConfig,
  work: (client: pg.Client) => Promise<unknown>,
): Promise<void> {
  const client = new pg.Client(settings);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
