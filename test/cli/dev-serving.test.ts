import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { ReadyLine } from "../../src/cli/dev-messages.ts";
import { processStart } from "../../src/data/embedded/process-identity.ts";
import { callTool, mcp } from "../support/mcp-request.ts";
import { createCommandBench, fixture, type RunningCommand, waitFor } from "./bulkhead-command.ts";
import { createEmptyDatabase, type EmptyDatabase } from "./empty-database.ts";

const bench = createCommandBench();
/** Of the whole file: development databases may be used again. */
let database: EmptyDatabase;
beforeAll(async () => {
  database = await createEmptyDatabase();
});
afterAll(async () => {
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

const PROCESS = fixture("tools-of-the-process.ts");

describe("a serving process", () => {
  let serving: Serving;
  beforeAll(async () => {
    serving = await serve(PROCESS);
  });

  test("a promise that a tool forgets and that rejects ends nobody's calls, and is in the log", async () => {
    const { dev, call } = serving;
    const child = await call("pid");
    expect(child).toMatch(/^\d+$/);
    expect(await call("forget")).toBe("forgotten");
    await waitFor(() => dev.stderr().includes("nobody waited for"), "it was on record");
    expect(await call("pid")).toBe(child);
  });

  test("a listener that throws when a call is over ends nobody's calls, and is in the log", async () => {
    const { dev, call } = serving;
    const child = await call("pid");
    expect(await call("throw_when_over")).toBe("listening");
    await waitFor(() => dev.stderr().includes("thrown by a listener"), "it was on record");
    expect(await call("pid")).toBe(child);
  });

  test("at SIGTERM a call under way is answered, and then it ends", async () => {
    const { dev, call } = serving;
    await expectAnswerAfter(call, () => dev.signal("SIGTERM"));
    expect(await dev.ended).toEqual({ status: 0, signal: null });
  });
});

test("at one Ctrl-C a call under way is answered, and then everything ends", async () => {
  const { dev, line, call } = await serve(PROCESS);
  const child = Number(await call("pid"));
  await expectAnswerAfter(call, () => dev.signal("SIGINT", "group"));
  expect(await dev.ended).toEqual({ status: 0, signal: null });
  expect(await processStart(child)).toBeNull();
  await expect(fetch(`${line.url}/healthz`)).rejects.toThrow();
  expect(dev.errorLines().at(-1)).toMatchObject({ event: "lifecycle", phase: "stopped" });
});

test("a second Ctrl-C waits for no call, and all the same leaves nothing running", async () => {
  const { dev, call } = await serve(PROCESS);
  const child = Number(await call("pid"));
  const slow = call("wait", { milliseconds: 20_000 });
  await waitFor(async () => (await call("waiting")) === "1", "the slow call was under way");
  dev.signal("SIGINT");
  await delay(700);
  expect(await processStart(child)).not.toBeNull();
  const asked = performance.now();
  dev.signal("SIGINT");
  expect(await dev.ended).toEqual({ status: 0, signal: null });
  // Without it the call would have had five seconds.
  expect(performance.now() - asked).toBeLessThan(2_500);
  expect(await processStart(child)).toBeNull();
  expect(await slow).toBeNull();
});

/** Asks for a slow call and does something while it is under way. */
async function expectAnswerAfter(call: Serving["call"], act: () => void): Promise<void> {
  const slow = call("wait", { milliseconds: 1_200 });
  await waitFor(async () => (await call("waiting")) === "1", "the slow call was under way");
  act();
  expect(await slow).toBe("waited");
}

test("when the serving process is killed in the middle of a call the caller hears of it, another takes its place, and the tokens stay good", async () => {
  const secret = "an-operator-token-of-the-environment-0123456789";
  const { dev, line, call } = await serve(PROCESS, { BULKHEAD_OPERATOR_TOKEN: secret, KEPT: "kept" });
  const pid = Number(await call("pid"));
  expect(pid).not.toBe(dev.pid);

  // What a tool's code finds in its environment.
  const environment = (await call("environment")) ?? "";
  expect(JSON.parse(environment)).toMatchObject({ KEPT: "kept" });
  const initial = process.platform === "linux" ? await readFile(`/proc/${pid}/environ`, "utf8") : "";
  for (const text of [environment, initial]) {
    expect(text).not.toMatch(/DATABASE_URL|BULKHEAD_OPERATOR_TOKEN/);
    for (const value of [secret, line.admin.token, database.url]) expect(text).not.toContain(value);
  }

  // In the middle of a call, whose connection ends with it.
  const slow = call("wait", { milliseconds: 20_000 });
  await waitFor(async () => (await call("waiting")) === "1", "the slow call was under way");
  const killed = performance.now();
  process.kill(pid, "SIGKILL");
  expect(await slow).toBeNull();
  expect(performance.now() - killed).toBeLessThan(5_000);
  await waitFor(async () => ![null, String(pid)].includes(await call("pid")), "another process served");
  // A second or two on a machine that is not busy with other tests.
  expect(performance.now() - killed).toBeLessThan(15_000);
  expect(dev.errorLines()).toContainEqual({
    event: "notice",
    message: "the serving process ended (SIGKILL); starting another",
  });
  expect(dev.stdout().match(/\n/g)).toHaveLength(1);

  // It is stopped as the first would have been.
  await expectAnswerAfter(call, () => {
    dev.signal("SIGINT", "group");
    // As npm hands a Ctrl-C on that the terminal has sent already: the same wish.
    setTimeout(() => dev.signal("SIGINT"), 150);
  });
  expect(await dev.ended).toEqual({ status: 0, signal: null });
});

test("a changed module is served as it is now, and one that an edit broke once it is mended", async () => {
  const directory = await bench.directory();
  const module = join(directory, "server.mts");
  const write = (text: string): Promise<void> =>
    writeFile(module, `import { defineServer, defineTool } from ${LIBRARY};\n${text}`);
  await write(serverWith('"first"'));
  const { dev, line } = await serve(module);
  const [acme] = line.tenants;
  const tools = async (): Promise<string[] | null> => {
    const answer = await mcp(acme?.mcp ?? "", acme?.token ?? "", "tools/list").catch(() => null);
    return answer?.json.result?.tools.map((tool: { name: string }) => tool.name) ?? null;
  };
  const serves = (name: string): Promise<void> =>
    waitFor(async () => (await tools())?.[0] === name, `it served "${name}"`);
  await serves("first");

  await write(serverWith('"second"'));
  await serves("second");

  await write("export default defineServer({ name: ");
  await dev.says("waiting for a change of the module");
  expect(dev.errorLines()).toContainEqual({
    event: "error",
    code: "module_failed",
    message: expect.stringMatching(/server\.m?ts:2:\d+: ERROR: Unexpected end of file/),
    remedy: "Correct the error shown.",
  });
  expect(await tools()).toBeNull();

  // Mended, with a part in a directory that was not there before; then only the part changes.
  await mkdir(join(directory, "parts"));
  await writeFile(join(directory, "parts", "name.mts"), 'export const name = "third";\n');
  await write(`import { name } from "./parts/name.mts";\n${serverWith("name")}`);
  await serves("third");
  await writeFile(join(directory, "parts", "name.mts"), 'export const name = "fourth";\n');
  await serves("fourth");

  dev.signal("SIGTERM");
  expect(await dev.ended).toEqual({ status: 0, signal: null });
  expect(dev.stdout().match(/\n/g)).toHaveLength(1);
});

const LIBRARY = JSON.stringify(pathToFileURL(join(inject("commandRoot"), "dist/index.js")).href);

function serverWith(tool: string): string {
  return `export default defineServer({
    name: "edited",
    version: "1.0.0",
    tools: [defineTool({ name: ${tool}, description: "Nothing.", run: () => "nothing" })],
  });\n`;
}
