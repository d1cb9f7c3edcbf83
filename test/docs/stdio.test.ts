import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { afterAll, expect, inject, test } from "vitest";
import { createCommandBench } from "../cli/bulkhead-command.ts";
import { blocksOf, linksIn, readPage } from "./page.ts";

const page = await readPage("docs/stdio.md");
const bench = createCommandBench();
afterAll(() => bench.close());

const SERVER = `import { defineServer, defineTool } from "bulkhead-mcp";
export default defineServer({
  name: "small",
  version: "1.0.0",
  tools: [defineTool({ name: "who", description: "Who calls.", run: (_, ctx) => ctx.tenant.slug + "/" + ctx.principal.subject })],
});
`;

test("the configuration of the page starts a server for the tenant that it names", async () => {
  const project = join(await bench.directory(), "checkout");
  await mkdir(join(project, "node_modules/.bin"), { recursive: true });
  await symlink(inject("commandRoot"), join(project, "node_modules/bulkhead-mcp"));
  await writeFile(join(project, "package.json"), '{"type":"module"}');
  await writeFile(join(project, "server.ts"), SERVER);
  const bin = join(project, "node_modules/.bin/bulkhead");
  await writeFile(bin, `#!/bin/sh\nexec "${process.execPath}" "${inject("commandMain")}" "$@"\n`);
  await chmod(bin, 0o755);

  const [block] = blocksOf(page).filter(({ language }) => language === "json");
  const text = block?.text.replaceAll("/path/to/project", project) ?? "";
  const { mcpServers } = JSON.parse(text) as {
    mcpServers: Record<string, { command: string; args: string[] }>;
  };
  const [name, command] = Object.entries(mcpServers)[0] ?? [];
  if (command === undefined) throw new TypeError("The page has no server.");
  const client = new Client({ name: "desktop", version: "1.0.0" });
  await client.connect(new StdioClientTransport({ ...command, stderr: "ignore" }));
  const { content } = await client.callTool({ name: "who", arguments: {} });
  expect(content).toEqual([{ type: "text", text: `${name}/local` }]);
  await client.close();
});

test("the page's links lead to pages and headings that are there", async () => {
  for (const link of linksIn(page)) expect(await readPage(`docs/${link}`)).not.toBe("");
  const commandLine = await readPage("docs/command-line.md");
  expect(commandLine).toContain("### bulkhead stdio <module>");
  expect(commandLine).toContain("(stdio.md#who-the-caller-is)");
  expect(page).toContain("## Who the caller is");
});
