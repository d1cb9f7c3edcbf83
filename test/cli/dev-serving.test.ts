import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ReadyLine } from "../../src/cli/dev-messages.ts";
import { processStart } from "../../src/data/embedded/process-identity.ts";
import { callTool, mcp } from "../support/mcp-request.ts";
import { createCommandBench, fixture, ROOT, type RunningCommand, waitFor } from "./bulkhead-command.ts";
import { createEmptyDatabase, type EmptyDatabase } from "./empty-database.ts";

const bench = createCommandBench();
let database: EmptyDatabase;
beforeEach(async () => {
  database = await createEmptyDatabase();
});
afterEach(async () => {
  await bench.close();
  await database.drop();
});

interface Serving {
  readonly dev: RunningCommand;
  readonly line: ReadyLine;
  /** Calls a tool as acme; the text of its result, or null where there was none. */
  call(name: string, args?: Record<string, unknown>): Promise<string | null>;
}

async function serve(module: string, env: Record<string, string> = {}): Promise<Serving> {
  const dataDir = join(await bench.directory(), "data");
  const dev = bench.run(["dev", module, "--port", "0", "--data-dir", dataDir, "--json"], {
    env: { DATABASE_URL: database.url, ...env },
  });
  const line = await dev.ready();
  const [acme] = line.tenants;
  return {
    dev,
    line,
    call: async (name, args) => {
      const answer = await callTool(acme?.mcp ?? "", acme?.token ?? "", name, args).catch(() => null);
      return answer?.json?.result?.content?.[0]?.text ?? null;
    },
  };
}
