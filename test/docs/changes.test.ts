import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServerDefinition } from "../../src/catalog/define.ts";
import type { Bulkhead } from "../../src/server.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";
import { blocksOf, ROOT, readPage } from "./page.ts";

/** A project as the page's reader has it. */
let project: string;
let server: TestServer;
/** The statement that announces from outside a call. */
let announce: (bulkhead: Bulkhead) => Promise<void>;

beforeAll(async () => {
  const [module, statement] = blocksOf(await readPage("docs/handlers.md")).filter(
    ({ section }) => section === "Changes",
  );
  project = await mkdtemp(join(tmpdir(), "bulkhead-changes-"));
  await mkdir(join(project, "node_modules"));
  await writeFile(join(project, "package.json"), '{"type":"module"}');
  await symlink(ROOT, join(project, "node_modules/bulkhead-mcp"));
  await symlink(join(ROOT, "node_modules/zod"), join(project, "node_modules/zod"));
  await writeFile(join(project, "server.ts"), module?.text ?? "");
  await writeFile(
    join(project, "announce.ts"),
    `export default async (bulkhead: import("bulkhead-mcp").Bulkhead) => { ${statement?.text} };`,
  );
  const imported = (await import(join(project, "server.ts"))) as { default: ServerDefinition };
  announce = ((await import(join(project, "announce.ts"))) as { default: typeof announce }).default;
  server = await startTestServer({ server: imported.default });
});
afterAll(async () => {
  await server.close();
  await rm(project, { recursive: true, force: true });
});

test.each([{ pin: "2026-07-28" } as const, "legacy" as const])(
  "who subscribed in mode %j hears of what is on the board, by the tool and from outside",
  async (mode) => {
    const client = new Client({ name: "test", version: "1.0.0" }, { versionNegotiation: { mode } });
    const heard: string[] = [];
    client.setNotificationHandler("notifications/resources/updated", ({ params }) => {
      heard.push(params.uri);
    });
    await client.connect(
      new StreamableHTTPClientTransport(new URL(server.acme.mcp), {
        requestInit: { headers: { authorization: `Bearer ${server.acme.token}` } },
      }),
    );
    try {
      if (mode === "legacy") await client.subscribeResource({ uri: "board://today" });
      else await client.listen({ resourceSubscriptions: ["board://today"] });
      await client.callTool({ name: "write_on_board", arguments: { text: "Cake!" } });
      await expect.poll(() => heard).toEqual(["board://today"]);
      const { contents } = await client.readResource({ uri: "board://today" });
      expect(contents).toMatchObject([{ text: "Cake!" }]);
      await announce(server.instances[0].bulkhead);
      await expect.poll(() => heard).toEqual(["board://today", "board://today"]);
    } finally {
      await client.close();
    }
  },
);
