import { join } from "node:path";
import { expect } from "vitest";
import type { ReadyLine } from "../../src/cli/dev-messages.ts";
import { createTestDatabase } from "../support/database.ts";
import { callTool, type HttpAnswer, mcp } from "../support/mcp-request.ts";
import { type CommandBench, createCommandBench, HELPDESK, type RunOptions } from "./bulkhead-command.ts";

/** What a command has done, once it has ended. */
export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output, which must be exactly one line of JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever is there, and assert what it must be.
  json(): any;
}

/** The help desk as `bulkhead dev` serves it, and the commands beside it. */
export interface DevServer {
  readonly bench: CommandBench;
  readonly dataDir: string;
  readonly line: ReadyLine;
  /** What the server has logged. */
  log(): string;
  /** Arguments with spaces between; a list for those that have spaces in them. */
  bulkhead(args: string | readonly string[], options?: RunOptions): Promise<Ran>;
  /** The same against its URL, with this token in place of the operator's in the data directory. */
  bulkheadAs(token: string, args: string): Promise<Ran>;
  mcpUrl(tenant: string): string;
  /** Names of the tools that a token lists at a URL. */
  tools(url: string, token: string): Promise<string[]>;
  call(url: string, token: string, tool: string, args?: Record<string, unknown>): Promise<HttpAnswer>;
  close(): Promise<void>;
}

export async function startDevServer(): Promise<DevServer> {
  const bench = createCommandBench();
  const dataDir = join(await bench.directory(), "data");
  // A migrated one is there in a moment, and no command looks where the server has its data.
  const database = await createTestDatabase("helpdesk");
  const dev = bench.run(["dev", HELPDESK, "--port", "0", "--data-dir", dataDir, "--json"], {
    env: { DATABASE_URL: database.adminUrl },
  });
  const line = await dev.ready();
  const listOf = (args: string | readonly string[]): readonly string[] =>
    typeof args === "string" ? args.split(" ") : args;
  return {
    bench,
    dataDir,
    line,
    log: dev.stderr,
    bulkhead: (args, options) => run(bench, [...listOf(args), "--data-dir", dataDir], options),
    bulkheadAs: (token, args) =>
      run(bench, [...listOf(args), "--url", line.url], { env: { BULKHEAD_OPERATOR_TOKEN: token } }),
    mcpUrl: (tenant) => line.tenants.find(({ slug }) => slug === tenant)?.mcp ?? "",
    async tools(url, token) {
      const { json } = await mcp(url, token, "tools/list");
      return json.result.tools.map((tool: { name: string }) => tool.name);
    },
    call: callTool,
    async close() {
      dev.signal("SIGTERM");
      await dev.ended;
      await bench.close();
      await database.drop();
    },
  };
}

/** Runs a command to its end. */
export async function run(bench: CommandBench, args: readonly string[], options?: RunOptions): Promise<Ran> {
  const command = bench.run(args, options);
  const { status } = await command.ended;
  const stdout = command.stdout();
  return {
    status,
    stdout,
    stderr: command.stderr(),
    json() {
      expect(stdout).toMatch(/^\{.*\}\n$/);
      return JSON.parse(stdout);
    },
  };
}

/** That it succeeded and said nothing but its result. */
export function expectDone(ran: Ran): Ran {
  expect({ status: ran.status, stderr: ran.stderr }).toEqual({ status: 0, stderr: "" });
  return ran;
}

/** That it failed with this code, said so on standard error alone, and with words like these. */
export function expectFailed(ran: Ran, code: string, ...words: readonly (string | RegExp)[]): void {
  expect(ran.stderr).toMatch(
    new RegExp(`^bulkhead: [^\\n]+(\\n[^\\n]+)*\\n {2}code: {3}${code}\\n {2}remedy: .+\\n$`),
  );
  expect({ status: ran.status, stdout: ran.stdout }).toEqual({
    status: code === "usage" ? 2 : 1,
    stdout: "",
  });
  for (const word of words) expect(ran.stderr).toMatch(word);
}
