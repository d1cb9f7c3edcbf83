import helpdesk from "../../examples/helpdesk/server.ts";
import type { BulkheadOptions } from "../../src/bulkhead-options.ts";
import type { ServerDefinition } from "../../src/catalog/define.ts";
import { freePort } from "../../src/cli/free-port.ts";
import type { DevelopmentTenantAccess } from "../../src/development-access.ts";
import { type Bulkhead, createBulkhead } from "../../src/server.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";

export const OPERATOR_TOKEN = "operator-token-for-tests-0123456789abcdef";

/** One instance of a running server. */
export interface TestInstance {
  readonly bulkhead: Bulkhead;
  /** Where this instance listens; the first one's is the public URL. */
  readonly url: string;
  /** Log lines so far, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: a log line has whatever its event has.
  readonly log: () => any[];
}

/** A real server with two tenants, acme and globex, on a database of its own. */
export interface TestServer {
  readonly database: TestDatabase;
  readonly instances: readonly [TestInstance, ...TestInstance[]];
  readonly url: string;
  readonly shared: string;
  readonly acme: DevelopmentTenantAccess;
  readonly globex: DevelopmentTenantAccess;
  /** A token of one of a tenant's demonstration users. */
  token(tenant: "acme" | "globex", subject: string): string;
  admin(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; json: Record<string, unknown> }>;
  close(): Promise<void>;
}

/** Starts `instances` servers (default 1) of a module (default the help desk) in this process, on one database. */
export async function startTestServer(
  options: {
    readonly server?: ServerDefinition;
    readonly instances?: number;
    readonly settings?: Partial<BulkheadOptions>;
    readonly database?: TestDatabase;
  } = {},
): Promise<TestServer> {
  const database =
    options.database ?? (await createTestDatabase(options.server === undefined ? "helpdesk" : "plain"));
  const ports: number[] = [];
  for (let i = 0; i < (options.instances ?? 1); i++) ports.push(await freePort(0));
  const url = `http://127.0.0.1:${ports[0]}`;
  const started: TestInstance[] = [];
  for (const port of ports) {
    const lines: string[] = [];
    const bulkhead = createBulkhead({
      server: options.server ?? helpdesk,
      databaseUrl: database.adminUrl,
      publicUrl: url,
      hosts: [`127.0.0.1:${port}`],
      operatorToken: OPERATOR_TOKEN,
      mode: "development",
      migrate: true,
      log: { write: (text) => void lines.push(...text.split("\n").filter((line) => line !== "")) },
      drainMs: 3_000,
      connections: { tenant: 6, system: 3 },
      ...options.settings,
    });
    await bulkhead.listen(port);
    started.push({
      bulkhead,
      url: `http://127.0.0.1:${port}`,
      log: () => lines.map((line) => JSON.parse(line)),
    });
  }
  const [first, ...rest] = started;
  const [acme, globex] = (await first?.bulkhead.development()?.tenants()) ?? [];
  if (first === undefined || acme === undefined || globex === undefined)
    throw new TypeError("The server has no two tenants.");
  return {
    database,
    instances: [first, ...rest],
    url,
    shared: `${url}/mcp`,
    acme,
    globex,
    token(tenant, subject) {
      const found = (tenant === "acme" ? acme : globex).users.find((user) => user.subject === subject);
      if (found === undefined) throw new TypeError(`${tenant} has no user ${subject}.`);
      return found.token;
    },
    async admin(method, path, body, headers = {}) {
      const response = await fetch(`${url}/admin/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${OPERATOR_TOKEN}`,
          "content-type": "application/json",
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, json: (await response.json()) as Record<string, unknown> };
    },
    async close() {
      for (const instance of started) await instance.bulkhead.close();
      await database.drop();
    },
  };
}
