import { afterAll, beforeAll, expect, test } from "vitest";
import { listen, type TestStream } from "../../support/open-stream.ts";
import { startTestServer, type TestServer } from "../../support/running-server.ts";
import { TASKS, TaskClient } from "./task-client.ts";
import { taskServer, Works } from "./task-server.ts";

const works = new Works();
let server: TestServer;
let ada: TaskClient;
beforeAll(async () => {
  server = await startTestServer({ server: taskServer(works), instances: 2, settings: { drainMs: 100 } });
  ada = new TaskClient(server.acme.mcp, server.token("acme", "ada"));
});
afterAll(() => server.close());

function open(
  taskIds: unknown,
  { subject = "ada", capabilities = TASKS as object, id = 7 } = {},
): Promise<TestStream> {
  const url = `${server.instances[1]?.url}/t/acme/mcp`;
  return listen(url, server.token("acme", subject), { taskIds }, { id, capabilities });
}

/** The tasks that a stream was told of. */
const told = (stream: TestStream) =>
  stream
    .messages()
    .filter(({ method }) => method === "notifications/tasks")
    .map(({ params }) => params);

test("a stream is told of its tasks, as tasks/get would show them, wherever they run", async () => {
  const taskId = await ada.begin("delete_file", { name: "stamps" });
  const stream = await open([taskId, taskId]);
  await expect.poll(() => told(stream).at(-1)?.status).toBe("input_required");
  expect(stream.messages()[0]).toMatchObject({
    method: "notifications/subscriptions/acknowledged",
    params: { notifications: { taskIds: [taskId] } },
  });
  const { resultType: _type, _meta, ...task } = await ada.get(taskId);
  expect(told(stream).at(-1)).toEqual({
    ...task,
    _meta: { "io.modelcontextprotocol/subscriptionId": 7 },
  });
  await ada.update(taskId, { sure: { action: "decline" } });
  await expect.poll(() => told(stream).at(-1)?.status).toBe("completed");
  expect(told(stream).at(-1).result.content[0].text).toBe("stamps stays");
  stream.destroy();
});

test("of tasks that are not the caller's nothing is said, as of those that are not there", async () => {
  const taskId = await ada.begin("build", { name: "pier" });
  const stranger = await open([taskId, `task_${"0".repeat(26)}`, "no id"], { subject: "bob" });
  const own = await open([taskId]);
  await expect.poll(() => stranger.messages()[0]?.params.notifications).toEqual({ taskIds: [] });
  works.open("pier");
  await expect.poll(() => told(own).at(-1)?.status).toBe("completed");
  expect(stranger.messages().length).toBe(1);
  for (const stream of [own, stranger]) stream.destroy();
});

test("a result is not told to who may not run the tool any more", async () => {
  const { json } = await server.admin("POST", "/development/tokens", {
    tenant: "acme",
    user: "ada",
    scope: "other:read",
  });
  const taskId = await ada.begin("build_secretly", { name: "safe" });
  const [own, less] = [
    await open([taskId]),
    await listen(server.acme.mcp, String(json.token), { taskIds: [taskId] }, { capabilities: TASKS }),
  ];
  works.open("safe");
  await expect.poll(() => told(own).at(-1)?.status).toBe("completed");
  await ada.until(taskId, "completed");
  expect(told(less)).toEqual([]);
  for (const stream of [own, less]) stream.destroy();
});

test("who does not say that it knows tasks is told to, and what is no list of ids is refused", async () => {
  const plain = await open(["x"], { capabilities: {} });
  expect(plain.status).toBe(400);
  await expect.poll(() => plain.text()).toContain('"code":-32021');
  const wrong = await open([1]);
  await expect.poll(() => wrong.text()).toContain("params_invalid");
});
