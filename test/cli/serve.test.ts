import { request } from "node:http";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { connectionSettings } from "../../src/data/connection-settings.ts";
import { migrate } from "../../src/data/migrate.ts";
import { createCommandBench, fixture, HELPDESK, type RunningCommand } from "./bulkhead-command.ts";
import { createEmptyDatabase, type EmptyDatabase } from "./empty-database.ts";

const OPERATOR_TOKEN = "operator-token-for-tests-0123456789abcdef";
const PUBLIC_URL = "https://mcp.example.com";

const bench = createCommandBench();
afterAll(() => bench.close());

async function expectError(
  command: RunningCommand,
  error: { code: string; message: unknown; remedy: unknown },
): Promise<void> {
  expect(await command.ended).toEqual({ status: 1, signal: null });
  expect(command.stdout()).toBe("");
  expect(command.errorLines().filter((line) => line.event === "error")).toEqual([
    { event: "error", ...error },
  ]);
}

describe("serve", () => {
  let database: EmptyDatabase;
  beforeEach(async () => {
    database = await createEmptyDatabase();
  });
  afterEach(async () => {
    await bench.close();
    await database.drop();
  });

  test("serves a fresh database once it is migrated, and finishes what is under way at SIGTERM", async () => {
    const env = {
      DATABASE_URL: database.url,
      BULKHEAD_OPERATOR_TOKEN: OPERATOR_TOKEN,
      BULKHEAD_PUBLIC_URL: PUBLIC_URL,
    };
    const first = bench.run(["migrate", HELPDESK, "--json"], { env });
    expect(await first.ended).toEqual({ status: 0, signal: null });
    expect(JSON.parse(first.stdout())).toEqual({
      event: "migrated",
      applied: expect.arrayContaining(["bulkhead/0001_foundation.sql", "app/0001_helpdesk.sql"]),
    });
    const again = bench.run(["migrate", HELPDESK], { env });
    const command = bench.run(["serve", HELPDESK, "--port", "0", "--json"], { env });
    const line = (await command.ready()) as unknown as { listening: { port: number } };
    const { port } = line.listening;
    expect(line).toEqual({
      event: "ready",
      url: PUBLIC_URL,
      mcp: `${PUBLIC_URL}/mcp`,
      listening: { host: "127.0.0.1", port },
    });
    expect(await again.ended).toEqual({ status: 0, signal: null });
    expect(again.stdout()).toBe("Nothing to migrate.\n");

    // What a probe asks comes by address; everything else is for the public host.
    const local = `http://127.0.0.1:${port}`;
    expect((await fetch(`${local}/healthz`)).status).toBe(200);
    const ready = await fetch(`${local}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([200, { status: "ready" }]);
    expect((await ask(port, { path: "/metrics" })).status).toBe(401);
    expect((await ask(port, { path: "/metrics", token: "bko_wrong" })).status).toBe(401);
    const metrics = await ask(port, { path: "/metrics", token: OPERATOR_TOKEN });
    expect([metrics.status, metrics.text]).toEqual([200, expect.stringContaining("# TYPE bulkhead_")]);
    expect((await ask(port, { path: "/admin/v1/tenants" })).status).toBe(401);

    // A request of which the half has come.
    const body = JSON.stringify({ slug: "acme", name: "Acme", plan: "free" });
    let send: () => void = () => {};
    let connected: () => void = () => {};
    const connection = new Promise<void>((resolve) => {
      connected = resolve;
    });
    const underWay = ask(port, {
      path: "/admin/v1/tenants",
      token: OPERATOR_TOKEN,
      body: [body.slice(0, 10), body.slice(10)],
      between: (go) => {
        send = go;
        connected();
      },
    });
    await Promise.race([connection, underWay]);
    await ask(port, { path: "/metrics", token: OPERATOR_TOKEN });
    command.signal("SIGTERM");
    await command.says('"phase":"draining"');
    send();
    expect((await underWay).status).toBe(201);
    expect(await command.ended).toEqual({ status: 0, signal: null });
    expect(command.errorLines().at(-1)).toMatchObject({ event: "lifecycle", phase: "stopped" });
    expect(command.stderr()).not.toContain(OPERATOR_TOKEN);
    expect(await database.query("SELECT slug FROM bulkhead.tenants")).toEqual([{ slug: "acme" }]);
  });

  test("refuses a database that is not migrated, and one that development has used", async () => {
    const env = { DATABASE_URL: database.url, BULKHEAD_PUBLIC_URL: PUBLIC_URL };
    const unmigrated = bench.run(["serve", HELPDESK, "--port", "0", "--json"], { env });
    await expectError(unmigrated, {
      code: "database_not_migrated",
      message: expect.stringContaining("0001_foundation.sql"),
      remedy: "Run bulkhead migrate.",
    });
    expect(await database.query("SELECT 1 FROM pg_namespace WHERE nspname = 'bulkhead'")).toEqual([]);

    await migrate(connectionSettings(database.url), { mode: "development" });
    const development = bench.run(["serve", fixture("tools-of-the-process.ts"), "--port", "0", "--json"], {
      env,
    });
    await expectError(development, {
      code: "database_is_development",
      message: expect.any(String),
      remedy: expect.stringContaining("bulkhead dev"),
    });
  });
});

describe("serve says what it lacks", { concurrent: true }, () => {
  const NOWHERE = "postgres://someone:a-secret@127.0.0.1:1/nothing";

  test("a database", async () => {
    const command = bench.run(["serve", HELPDESK, "--public-url", PUBLIC_URL, "--json"]);
    await expectError(command, {
      code: "database_url_missing",
      message: "No database is configured.",
      remedy: expect.stringContaining("DATABASE_URL"),
    });
  });

  test("a public URL", async () => {
    const command = bench.run(["serve", HELPDESK, "--json"], { env: { DATABASE_URL: NOWHERE } });
    await expectError(command, {
      code: "setting_invalid",
      message: expect.stringContaining("URL under which clients reach this server"),
      remedy: expect.stringContaining("--public-url"),
    });
  });

  test("a database that answers, without its password", async () => {
    const command = bench.run(["serve", HELPDESK, "--public-url", PUBLIC_URL, "--json"], {
      env: { DATABASE_URL: NOWHERE },
    });
    await expectError(command, {
      code: "database_unavailable",
      message: expect.any(String),
      remedy: expect.any(String),
    });
    expect(command.stderr()).not.toContain("a-secret");
  });

  test("an operator token that is long enough", async () => {
    const command = bench.run(["serve", HELPDESK, "--public-url", PUBLIC_URL, "--json"], {
      env: { DATABASE_URL: NOWHERE, BULKHEAD_OPERATOR_TOKEN: "too-short" },
    });
    await expectError(command, {
      code: "setting_invalid",
      message: expect.stringContaining("32 characters"),
      remedy: expect.any(String),
    });
    expect(command.stderr()).not.toContain("too-short");
  });

  test("a master key of 32 bytes, and does not quote what it was given", async () => {
    const malformed = ["a-master-key-that-is-too-short", `${"k".repeat(42)}=`, "+".repeat(43)];
    for (const masterKey of malformed) {
      const command = bench.run(["serve", HELPDESK, "--public-url", PUBLIC_URL, "--json"], {
        env: { DATABASE_URL: NOWHERE, BULKHEAD_MASTER_KEY: masterKey },
      });
      await expectError(command, {
        code: "setting_invalid",
        message: expect.stringContaining("32 bytes in base64url"),
        remedy: expect.any(String),
      });
      expect(command.stderr()).not.toContain(masterKey);
    }
  });

  test("a module; and a module finds no secrets in the environment", async () => {
    const command = bench.run(["serve", fixture("tells-secrets.ts"), "--public-url", PUBLIC_URL, "--json"], {
      env: { DATABASE_URL: NOWHERE, BULKHEAD_OPERATOR_TOKEN: OPERATOR_TOKEN },
    });
    await expectError(command, {
      code: "module_failed",
      message: expect.stringContaining(`secrets in the environment: none; HOME is ${process.env.HOME}`),
      remedy: "Correct the error shown.",
    });
  });
});

/** A request to the public host, at this port. */
function ask(
  port: number,
  what: {
    readonly path: string;
    readonly token?: string;
    /** Parts of a body, the second of which is sent when `go` is called. */
    readonly body?: readonly [string, string];
    /** Called once the connection stands and the first part is on its way. */
    readonly between?: (go: () => void) => void;
  },
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const { path, token, body } = what;
    const req = request(
      {
        host: "127.0.0.1",
        port,
        path,
        method: body === undefined ? "GET" : "POST",
        agent: false,
        headers: {
          host: "mcp.example.com",
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined
            ? {}
            : { "content-type": "application/json", "content-length": body.join("").length }),
        },
      },
      (res) => {
        let text = "";
        res.on("data", (chunk) => {
          text += chunk;
        });
        res.on("end", () => resolve({ status: res.statusCode ?? 0, text }));
      },
    );
    req.on("error", reject);
    if (body === undefined) {
      req.end();
    } else {
      req.once("socket", (socket) =>
        socket.once("connect", () => req.write(body[0], () => what.between?.(() => req.end(body[1])))),
      );
    }
  });
}
