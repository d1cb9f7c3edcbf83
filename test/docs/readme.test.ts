import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServerDefinition } from "../../src/catalog/define.ts";
import { mcp } from "../support/mcp-request.ts";
import { OPERATOR_TOKEN, startTestServer, type TestServer } from "../support/running-server.ts";
import { openShell } from "./shell.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** An empty project as the README's reader has it after `npm install`. */
let project: string;
let readme: string;
let server: TestServer;

/** The code block of a language that contains a text. */
function block(language: string, containing: string): string {
  const found = [...readme.matchAll(/^```(\w*)\n(.*?)^```$/gms)].filter(
    (match) => match[1] === language && match[2]?.includes(containing),
  );
  expect(found.map((match) => match[2])).toHaveLength(1);
  return found[0]?.[2] ?? "";
}

beforeAll(async () => {
  readme = await readFile(join(ROOT, "README.md"), "utf8");
  project = await mkdtemp(join(tmpdir(), "bulkhead-readme-"));
  await mkdir(join(project, "node_modules/@modelcontextprotocol"), { recursive: true });
  await writeFile(join(project, "package.json"), '{"type":"module"}');
  await symlink(ROOT, join(project, "node_modules/bulkhead-mcp"));
  for (const name of ["zod", "@modelcontextprotocol/client"])
    await symlink(join(ROOT, "node_modules", name), join(project, "node_modules", name));
  await writeFile(join(project, "server.ts"), block("ts", "defineTool({"));
  const module = (await import(join(project, "server.ts"))) as { default: ServerDefinition };
  server = await startTestServer({ server: module.default });
});
afterAll(async () => {
  await server.close();
  await rm(project, { recursive: true, force: true });
});

function run(
  file: string,
  env: Record<string, string>,
): Promise<{ status: number | null; out: string; err: string }> {
  return new Promise((resolve) => {
    const child: ChildProcess = spawn(
      process.execPath,
      ["--conditions=bulkhead-source", "--import", join(ROOT, "node_modules/tsx/dist/loader.mjs"), file],
      {
        cwd: project,
        env: { ...process.env, ...env, NO_COLOR: "1" },
      },
    );
    let out = "";
    let err = "";
    child.stdout?.on("data", (chunk) => {
      out += chunk;
    });
    child.stderr?.on("data", (chunk) => {
      err += chunk;
    });
    child.once("close", (status) => resolve({ status, out, err }));
  });
}

test("the first tool has 15 lines of code at most", () => {
  const lines = block("ts", "defineTool({")
    .split("\n")
    .filter((line) => line.trim() !== "");
  expect(lines.length).toBeLessThanOrEqual(15);
});

test("the client of the README gets the answer that the README shows, and another tenant its own", async () => {
  await writeFile(join(project, "client.ts"), block("ts", "StreamableHTTPClientTransport"));
  const acme = await run("client.ts", { MCP_URL: server.acme.mcp, MCP_TOKEN: server.acme.token });
  expect(acme).toEqual({ status: 0, out: block("", "Saved"), err: "" });
  const globex = await run("client.ts", { MCP_URL: server.globex.mcp, MCP_TOKEN: server.globex.token });
  expect(globex.out).toContain("for Globex.");
  const wrong = await run("client.ts", { MCP_URL: server.acme.mcp, MCP_TOKEN: server.globex.token });
  expect(wrong.status).not.toBe(0);
});

test("the table of the README is a tenant's table", async () => {
  await server.database.admin(
    `SET ROLE bulkhead_owner; SET search_path = app; ${block("sql", "protect_table")} RESET ROLE; RESET search_path`,
  );
  const [policy] = await server.database.admin<{ n: number }>(
    "SELECT count(*)::int AS n FROM pg_policies WHERE tablename = 'notes' AND permissive = 'RESTRICTIVE'",
  );
  expect(policy?.n).toBe(1);
});

test("every address and command of the README is there, and every file it links to", async () => {
  for (const path of [
    "/healthz",
    "/readyz",
    "/metrics",
    "/admin/v1/openapi.json",
    "/.well-known/oauth-protected-resource/mcp",
  ]) {
    expect([path, (await fetch(server.url + path)).status]).toEqual([path, 200]);
  }
  const links = [...readme.matchAll(/\]\((?!http)([^)#]+)\)/g)].map((match) => match[1] ?? "");
  expect(links.length).toBeGreaterThan(5);
  for (const link of links) await expect(readFile(join(ROOT, link), "utf8")).resolves.not.toBe("");
});

test("the commands of the README get tokens, connect a tenant and make a key", async () => {
  const shell = await openShell();
  try {
    const env = { BULKHEAD_URL: server.url, BULKHEAD_OPERATOR_TOKEN: OPERATOR_TOKEN };
    // The identity provider of the README is not there to be asked for its keys.
    const here = (script: string): string =>
      script
        .replaceAll("https://mcp.example.com", server.url)
        .replaceAll("TOKEN=…", `TOKEN=${OPERATOR_TOKEN}`)
        .replace(/bulkhead issuers add \S+/, `$& --jwks-uri ${server.url}/issuers/acme/jwks`);
    const run = async (containing: string): Promise<string> => {
      const { status, out, err } = await shell.run(here(block("sh", containing)), env);
      expect([status, err]).toEqual([0, ""]);
      return out;
    };
    const token = (await run("bulkhead tokens issue")).trim();
    expect((await mcp(server.acme.mcp, token, "tools/list")).status).toBe(200);
    await run("bulkhead issuers add");
    const metadata = `${server.url}/.well-known/oauth-protected-resource/t/initech/mcp`;
    expect(await (await fetch(metadata)).json()).toMatchObject({
      authorization_servers: expect.arrayContaining(["https://initech.eu.auth0.com/"]),
    });
    const key = /\bbk_\S+/.exec(await run("bulkhead keys create"))?.[0] ?? "";
    expect((await mcp(`${server.url}/t/initech/mcp`, key, "tools/list")).status).toBe(200);
  } finally {
    await shell.close();
  }
});
