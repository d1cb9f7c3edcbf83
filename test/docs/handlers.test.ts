import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServerDefinition } from "../../src/catalog/define.ts";
import { ERROR_TABLE } from "../../src/core/error-table.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";
import { blocksOf, linksIn, ROOT, readPage } from "./page.ts";

/** A project as the page's reader has it. */
let project: string;
let page: string;
let server: TestServer;

beforeAll(async () => {
  page = await readPage("docs/handlers.md");
  const [block] = blocksOf(page).filter(({ section }) => section === "Asking back");
  expect(block).toMatchObject({ language: "ts" });
  project = await mkdtemp(join(tmpdir(), "bulkhead-handlers-"));
  await mkdir(join(project, "node_modules"));
  await writeFile(join(project, "package.json"), '{"type":"module"}');
  await symlink(ROOT, join(project, "node_modules/bulkhead-mcp"));
  await symlink(join(ROOT, "node_modules/zod"), join(project, "node_modules/zod"));
  await writeFile(join(project, "server.ts"), block?.text ?? "");
  const module = (await import(join(project, "server.ts"))) as { default: ServerDefinition };
  server = await startTestServer({ server: module.default });
});
afterAll(async () => {
  await server.close();
  await rm(project, { recursive: true, force: true });
});

test.each([{ pin: "2026-07-28" } as const, "legacy" as const])(
  "the example that asks for a size orders one coffee for a client in mode %j",
  async (mode) => {
    const asked: string[] = [];
    const client = new Client(
      { name: "bulkhead-test", version: "1.0.0" },
      { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode } },
    );
    client.setRequestHandler("elicitation/create", ({ params }) => {
      asked.push(params.message);
      return { action: "accept", content: { size: "large" } };
    });
    await client.connect(
      new StreamableHTTPClientTransport(new URL(server.acme.mcp), {
        requestInit: { headers: { authorization: `Bearer ${server.acme.token}` } },
      }),
    );
    try {
      const { content } = await client.callTool({ name: "order_coffee", arguments: {} });
      const number = /^Order (\d+): which size\?$/.exec(asked[0] ?? "")?.[1];
      expect(number).toBeDefined();
      expect(content).toEqual([{ type: "text", text: `Order ${number}: one large coffee.` }]);
      expect(asked).toHaveLength(1);
    } finally {
      await client.close();
    }
  },
);

test("the page links to what is there, and names an error that there is", async () => {
  for (const link of linksIn(page)) await expect(readPage(`docs/${link}`)).resolves.toBeTruthy();
  expect(page).toContain("400 and -32602 (`request_state_invalid`)");
  expect(ERROR_TABLE.request_state_invalid).toMatchObject({ http: 400, rpc: -32602 });
});
