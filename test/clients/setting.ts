import { inject } from "vitest";
import { connectionSettings } from "../../src/data/connection-settings.ts";
import { migrate } from "../../src/data/migrate.ts";
import { createEmptyDatabase } from "../cli/empty-database.ts";
import { startTestServer } from "../support/running-server.ts";
import features from "./fixtures/features.ts";
import type { Target } from "./shown-client.ts";

const FEATURES = "test/clients/fixtures/features.ts";

/** The same server module for clients of both transports. */
export interface ClientSetting {
  readonly targets: Readonly<Record<"http" | "stdio", Target>>;
  /** What the operator's log has said so far, of that transport. */
  log(kind: "http" | "stdio"): string;
  close(): Promise<void>;
}

export async function openClientSetting(): Promise<ClientSetting> {
  const server = await startTestServer({ server: features });
  const database = await createEmptyDatabase();
  await migrate(connectionSettings(database.url), { mode: "production" });
  await database.query(
    "INSERT INTO bulkhead.tenants (id, slug, name, plan) VALUES ('tnt_01m7xv7963y72d6g0n7hheymq5', 'acme', 'Acme', 'enterprise')",
  );
  let errors = "";
  return {
    targets: {
      http: { kind: "http", url: server.acme.mcp, token: server.acme.token },
      stdio: {
        kind: "stdio",
        command: {
          command: process.execPath,
          args: [inject("commandMain"), "stdio", FEATURES, "--tenant", "acme", "--subject", "ada"],
          cwd: inject("commandRoot"),
          env: { DATABASE_URL: database.url },
          onError: (text) => {
            errors += text;
          },
        },
      },
    },
    log: (kind) => (kind === "stdio" ? errors : JSON.stringify(server.instances[0].log())),
    async close() {
      await server.close();
      await database.drop();
    },
  };
}
