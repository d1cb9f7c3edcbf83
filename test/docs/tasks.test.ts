import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServerDefinition } from "../../src/catalog/define.ts";
import { TaskClient } from "../pipeline/tasks/task-client.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";
import { blocksOf, ROOT, readPage } from "./page.ts";

/** A project as the page's reader has it. */
let project: string;
let server: TestServer;

beforeAll(async () => {
  const [module] = blocksOf(await readPage("docs/handlers.md")).filter(({ section }) => section === "Tasks");
  project = await mkdtemp(join(tmpdir(), "bulkhead-tasks-"));
  await mkdir(join(project, "node_modules"));
  await writeFile(join(project, "package.json"), '{"type":"module"}');
  await symlink(ROOT, join(project, "node_modules/bulkhead-mcp"));
  await symlink(join(ROOT, "node_modules/zod"), join(project, "node_modules/zod"));
  await writeFile(join(project, "server.ts"), module?.text ?? "");
  const imported = (await import(join(project, "server.ts"))) as { default: ServerDefinition };
  server = await startTestServer({ server: imported.default });
});
afterAll(async () => {
  await server.close();
  await rm(project, { recursive: true, force: true });
});

test("the example closes a month in the background, and asks for a signature", async () => {
  const client = new TaskClient(server.acme.mcp, server.acme.token);
  const taskId = await client.begin("close_month", { month: "2026-06" });
  const asked = await client.until(taskId, "input_required");
  expect(asked.inputRequests.sign.params.message).toBe("Sign the books of 2026-06?");
  await client.update(taskId, { sign: { action: "accept", content: { name: "Ada" } } });
  const closed = await client.until(taskId, "completed");
  expect(closed.result.content[0].text).toBe("The books of 2026-06 are closed, signed Ada.");
});
