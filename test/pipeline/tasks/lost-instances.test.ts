import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../../../src/cli/free-port.ts";
import { startTestServer, type TestServer } from "../../support/running-server.ts";
import { TaskClient } from "./task-client.ts";
import { taskServer, Works } from "./task-server.ts";

const works = new Works();
let server: TestServer;
let child: ChildProcess | undefined;
let onChild: TaskClient;
let second: TaskClient;
let third: TaskClient;
beforeAll(async () => {
  server = await startTestServer({
    server: taskServer(works),
    instances: 3,
    settings: { drainMs: 100, instanceDeadAfterMs: 2_500 },
  });
  second = clientAt(`${server.instances[1]?.url}`);
  third = clientAt(`${server.instances[2]?.url}`);
  // They read the keys of the development issuer, which is at the first instance, while that one is there.
  for (const client of [second, third]) await client.call("hello");
  const port = await freePort(0);
  child = fork(
    fileURLToPath(new URL("../fixtures/serve-tasks.ts", import.meta.url)),
    [server.database.adminUrl, server.url, String(port)],
    { execArgv: ["--conditions=bulkhead-source", "--import", "tsx"] },
  );
  await once(child, "message");
  onChild = clientAt(`http://127.0.0.1:${port}`);
});
afterAll(async () => {
  child?.kill("SIGKILL");
  await server.close();
});

function clientAt(url: string): TaskClient {
  return new TaskClient(`${url}/t/acme/mcp`, server.token("acme", "ada"));
}

/** The handler waits at its door. */
async function atItsDoor(client: TaskClient, name: string, what: string): Promise<string> {
  const taskId = await client.begin(name, { name: what });
  await expect.poll(async () => (await second.get(taskId)).statusMessage).toBe(`building ${what}`);
  return taskId;
}

test("killed: what may be run again is, once and by one other, without the steps that were done; the rest fails", async () => {
  const asks = await onChild.begin("delete_file", { name: "papers" });
  await second.until(asks, "input_required");
  const again = await atItsDoor(onChild, "build_again", "dam");
  const only = await atItsDoor(onChild, "build", "tower");
  const stopped = once(child as ChildProcess, "exit");
  child?.kill("SIGKILL");
  await stopped;
  works.open("dam");
  works.open("tower");
  const failed = await second.until(only, "failed");
  expect(failed.error).toMatchObject({ code: -32603, data: { code: "task_lost" } });
  expect(failed.statusMessage).toContain("was lost with its instance");
  const built = await second.until(again, "completed");
  expect(built.result.content[0].text).toBe("dam is built, step 1");
  expect(works.times("dam")).toBe(1);
  expect(works.times("step of dam")).toBe(0);
  expect(works.times("tower")).toBe(0);
  // What waited for its client has lost nothing.
  await second.update(asks, { sure: { action: "accept", content: { sure: true } } });
  expect((await second.until(asks, "completed")).result.content[0].text).toBe("papers is gone");
  const left = await server.database.admin(
    `SELECT outcome FROM bulkhead.audit_entries WHERE kind = 'outcome' AND outcome = 'unknown' AND action = 'tools/call'`,
  );
  expect(left.length).toBe(2);
});

test("stopped with tasks under way: their handlers are told, and another instance takes them over", async () => {
  const first = clientAt(server.url);
  const again = await atItsDoor(first, "build_again", "port");
  const only = await atItsDoor(first, "build", "mill");
  const asks = await first.begin("delete_file", { name: "cards" });
  await second.until(asks, "input_required");
  await server.instances[0].bulkhead.close();
  expect(works.aborted).toEqual(expect.arrayContaining(["port", "mill"]));
  expect(works.times("port")).toBe(1);
  works.open("port");
  expect((await second.until(again, "completed")).result.content[0].text).toBe("port is built, step 1");
  expect(works.times("port")).toBe(2);
  expect(works.times("step of port")).toBe(1);
  expect((await second.until(only, "failed")).error.data.code).toBe("task_lost");
  expect((await second.get(asks)).status).toBe("input_required");
});

test("what an instance had no place for yet is lost with nothing: another one begins it", async () => {
  // Three of the six places of the tenant's operations are for tasks.
  const blocking = await Promise.all([1, 2, 3].map((n) => atItsDoor(second, "build", `ship ${n}`)));
  const waiting = await second.begin("build", { name: "ship 4" });
  const next = await second.begin("build", { name: "ship 5" });
  works.open("ship 1");
  await second.until(`${blocking[0]}`, "completed");
  await expect.poll(() => works.ran).toContain("ship 4");
  expect(works.ran).not.toContain("ship 5");
  works.open("ship 5");
  await server.instances[1]?.bulkhead.close();
  expect((await third.until(next, "completed")).result.content[0].text).toBe("ship 5 is built, step 1");
  for (const taskId of [...blocking.slice(1), waiting]) await third.until(taskId, "failed");
});
