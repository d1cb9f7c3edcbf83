import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ReadyLine } from "../../src/cli/dev-messages.ts";
import { connectionSettings } from "../../src/data/connection-settings.ts";
import { migrate } from "../../src/data/migrate.ts";
import { META } from "../support/local-client.ts";
import { createCommandBench, type RunningCommand, waitFor } from "./bulkhead-command.ts";
import { createEmptyDatabase } from "./empty-database.ts";

const FEATURES = "test/clients/fixtures/features.ts";
const bench = createCommandBench();
afterAll(() => bench.close());

/** Messages so far: every line of standard output must be one. */
const messages = (command: RunningCommand) =>
  command
    .stdout()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));

const line = (id: number, method: string, params: object = {}): string =>
  `${JSON.stringify({ jsonrpc: "2.0", id, method, params: { ...params, _meta: META } })}\n`;

async function ask(command: RunningCommand, id: number, method: string, params: object = {}) {
  command.say(line(id, method, params));
  await waitFor(() => messages(command).some((message) => message.id === id), `the answer to ${id}`);
  return messages(command).find((message) => message.id === id);
}

const greet = { name: "greet", arguments: { name: "you" } };
const tenantOf = (answer: { result?: { structuredContent?: { tenant?: string } } }) =>
  answer.result?.structuredContent?.tenant;

const errorOf = (command: RunningCommand) => command.errorLines().find((each) => each.event === "error");

describe("with a data directory that bulkhead dev serves from", () => {
  let dataDir: string;
  let dev: RunningCommand;
  let ready: ReadyLine;

  beforeAll(async () => {
    dataDir = join(await bench.directory(), "data");
    dev = bench.run(["dev", FEATURES, "--port", "0", "--data-dir", dataDir, "--json"]);
    ready = await dev.ready();
  });

  const stdio = (tenant: string, ...more: string[]): RunningCommand =>
    bench.run(["stdio", FEATURES, "--tenant", tenant, "--data-dir", dataDir, "--json", ...more], {
      talk: true,
    });

  const admin = async (method: string, path: string): Promise<number> => {
    const headers = { authorization: `Bearer ${ready.admin.token}` };
    return (await fetch(`${ready.admin.url}${path}`, { method, headers })).status;
  };

  test("it shares the database, prints nothing but messages, and ends with its input", async () => {
    const command = stdio("acme", "--subject", "ada-reader");
    expect(tenantOf(await ask(command, 1, "tools/call", greet))).toBe("acme");
    expect((await ask(command, 2, "tools/call", { name: "write" })).error.data.code).toBe(
      "scope_insufficient",
    );
    expect((await ask(command, 3, "tools/call", { name: "print" })).result.content[0].text).toBe("printed");
    expect(messages(command).map(({ id }) => id)).toEqual([1, 2, 3]);
    expect(command.stderr()).toContain("not a message");
    // What the development server gave out still counts: its issuers are as they were.
    const token = ready.tenants[0]?.token;
    const response = await fetch(ready.tenants[0]?.mcp ?? "", {
      method: "POST",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/list",
      },
      body: line(1, "tools/list"),
    });
    expect(response.status).toBe(200);
    command.say(null);
    expect(await command.ended).toEqual({ status: 0, signal: null });
  });

  test("a tenant that is suspended meanwhile, or is none, is an error with a remedy and exit status 1", async () => {
    const [command, unknown] = [stdio("globex"), stdio("nobody")];
    expect(tenantOf(await ask(command, 1, "tools/call", greet))).toBe("globex");
    expect(await admin("POST", "/tenants/globex/suspend")).toBe(200);
    expect(await command.ended).toEqual({ status: 1, signal: null });
    expect(errorOf(command)).toEqual({
      event: "error",
      code: "tenant_suspended",
      message: "This tenant is suspended. It is globex.",
      remedy: "Ask the operator of this server.",
    });
    expect(await unknown.ended).toEqual({ status: 1, signal: null });
    expect(errorOf(unknown)).toMatchObject({
      code: "tenant_not_found",
      remedy: expect.stringContaining("--tenant"),
    });
    expect(unknown.stdout()).toBe("");
  });

  test("when the process ends that owns the database, another goes on with it, and SIGTERM ends that in order", async () => {
    const first = stdio("acme");
    expect(tenantOf(await ask(first, 1, "tools/call", greet))).toBe("acme");
    dev.signal("SIGTERM");
    expect(await dev.ended).toEqual({ status: 0, signal: null });
    await first.says("going on with another");
    let id = 1;
    await waitFor(
      async () => tenantOf(await ask(first, ++id, "tools/call", greet)) === "acme",
      "it serves again",
    );
    // The next one shares with this one.
    const second = stdio("acme");
    expect(tenantOf(await ask(second, 1, "tools/call", greet))).toBe("acme");
    second.signal("SIGTERM");
    expect(await second.ended).toEqual({ status: 0, signal: null });
    first.say(line(100, "tools/call", { name: "wait" }));
    first.signal("SIGTERM");
    expect(await first.ended).toEqual({ status: 0, signal: null });
    expect(messages(first).some((message) => message.id === 100)).toBe(false);
    expect(errorOf(first)).toBeUndefined();
  });
});

test("with DATABASE_URL it serves from that database, and refuses one that is not migrated", async () => {
  const database = await createEmptyDatabase();
  try {
    const env = { DATABASE_URL: database.url };
    const args = ["stdio", FEATURES, "--tenant", "initech", "--permissions", "things:read", "--json"];
    const early = bench.run(args, { env, input: line(1, "tools/call", greet) });
    expect(await early.ended).toEqual({ status: 1, signal: null });
    expect(errorOf(early)).toMatchObject({ code: "database_not_migrated" });
    await migrate(connectionSettings(database.url), { mode: "production" });
    await database.query(
      "INSERT INTO bulkhead.tenants (id, slug, name, plan) VALUES ('tnt_01m7xv7963y72d6g0n7hheymq5', 'initech', 'Initech', 'free')",
    );
    const command = bench.run(args, { env, input: line(1, "tools/call", greet) + line(2, "tools/list") });
    expect(await command.ended).toEqual({ status: 0, signal: null });
    const [called, listed] = messages(command).toSorted((a, b) => a.id - b.id);
    expect(called.result.structuredContent).toEqual({
      greeting: "Hello, you!",
      tenant: "initech",
      subject: "local",
    });
    expect(listed.result.tools.map(({ name }: { name: string }) => name)).not.toContain("write");
  } finally {
    await database.drop();
  }
});

test("what it cannot make sense of is a matter of usage", async () => {
  const args = ["stdio", FEATURES, "--tenant", "acme", "--json"];
  const permissions = bench.run([...args, "--permissions", "things read"]);
  const subject = bench.run([...args, "--subject", ""]);
  for (const command of [permissions, subject]) {
    expect(await command.ended).toEqual({ status: 2, signal: null });
    expect(errorOf(command)).toMatchObject({ code: "usage" });
  }
});
