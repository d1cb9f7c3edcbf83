import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../../support/running-server.ts";
import { TASKS, TaskClient } from "./task-client.ts";
import { taskServer, Works } from "./task-server.ts";

const works = new Works();
let server: TestServer;
let a: TaskClient;
let b: TaskClient;
beforeAll(async () => {
  server = await startTestServer({ server: taskServer(works), instances: 2, settings: { drainMs: 100 } });
  a = clientOf("ada", 0);
  b = clientOf("ada", 1);
});
afterAll(() => server.close());

function clientOf(
  subject: string,
  instance: 0 | 1,
  { tenant = "acme", capabilities }: { tenant?: "acme" | "globex"; capabilities?: object } = {},
): TaskClient {
  const url = `${server.instances[instance]?.url}/t/${tenant}/mcp`;
  return new TaskClient(url, server.token(tenant, subject), {
    ...(capabilities ?? { elicitation: {}, ...TASKS }),
  });
}

const unknown = { error: { code: -32602, data: { code: "task_unknown" } } };

describe("a call that becomes a task", () => {
  test("is answered with a handle at once, goes on without its connection, and is read on another instance", async () => {
    const { result } = await a.call("build", { name: "house" });
    expect(result).toEqual({
      resultType: "task",
      taskId: expect.stringMatching(/^task_[0-9a-z]{26}$/),
      status: "working",
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      lastUpdatedAt: expect.any(String),
      ttlMs: 3_600_000,
      pollIntervalMs: 50,
      _meta: expect.any(Object),
    });
    const working = await b.get(result.taskId);
    expect(working).toMatchObject({ resultType: "complete", status: "working", createdAt: result.createdAt });
    works.open("house");
    const completed = await b.until(result.taskId, "completed");
    expect(completed.result).toEqual({ content: [{ type: "text", text: "house is built, step 1" }] });
    expect(completed).not.toHaveProperty("inputRequests");
    expect(completed).not.toHaveProperty("error");
  });

  test("shows its progress as its status message", async () => {
    const taskId = await a.begin("build", { name: "road" });
    await expect.poll(async () => (await b.get(taskId)).statusMessage).toBe("building road");
    works.open("road");
    expect(await b.until(taskId, "completed")).not.toHaveProperty("statusMessage");
  });

  test("ends as completed where the tool says no, and as failed, telling nothing, where it breaks", async () => {
    const no = await a.until(await a.begin("say_no"), "completed");
    expect(no.result).toEqual({ content: [{ type: "text", text: "No." }], isError: true });
    const broken = await a.until(await a.begin("break"), "failed");
    expect(broken.error).toMatchObject({ code: -32603, data: { code: "handler_failed" } });
    expect(broken.statusMessage).toBe(broken.error.message);
    expect(broken).not.toHaveProperty("result");
    expect(JSON.stringify(broken)).not.toContain("secret");
    const circle = await a.until(await a.begin("step_in_circles"), "failed");
    expect(circle.error.data.code).toBe("handler_failed");
    // The operator is told why.
    const log = () => JSON.stringify(server.instances[0].log());
    await expect.poll(log).toContain("The step whole gave what is not JSON.");
    const large = await a.until(await a.begin("say_much"), "failed");
    expect(large.error.message).toContain("1048576 bytes");
  });

  test("is an ordinary call for a client that knows no tasks, and refused where the tool is nothing else", async () => {
    const plain = clientOf("ada", 0, { capabilities: {} });
    works.open("tent");
    expect((await plain.call("build", { name: "tent" })).result).toMatchObject({
      resultType: "complete",
      content: [{ text: "tent is built, step 1" }],
    });
    const refused = await plain.send("tools/call", { name: "say_no", arguments: {} });
    expect(refused.status).toBe(400);
    expect(refused.json.error).toMatchObject({ code: -32021, data: { requiredCapabilities: TASKS } });
    expect((await a.call("hello")).result.content[0].text).toBe("hello");
  });

  test("asks what comes before the task on the call itself, and keeps the answer for the run", async () => {
    const asked = (await a.call("ask_before")).result;
    expect(asked.resultType).toBe("input_required");
    expect(Object.keys(asked.inputRequests)).toEqual(["who"]);
    const answers = (action: object) => ({
      requestState: asked.requestState,
      inputResponses: { who: action },
    });
    const declined = (await a.call("ask_before", {}, answers({ action: "decline" }))).result;
    expect(declined).toMatchObject({ resultType: "complete", isError: true });
    const accepted = answers({ action: "accept", content: { name: "Alice" } });
    const { result } = await a.call("ask_before", {}, accepted);
    expect(result.resultType).toBe("task");
    const ended = await b.until(result.taskId, "completed");
    expect(ended.result.content[0].text).toBe("Hello, Alice");
    expect(works.times("greeted")).toBe(1);
  });
});

test("no task is made for who has gone", async () => {
  const patience = new AbortController();
  const params = { name: "think_before", arguments: { name: "thought" } };
  const answer = a.send("tools/call", params, patience.signal).catch(() => "gone");
  await expect.poll(() => works.ran).toContain("thought");
  patience.abort();
  expect(await answer).toBe("gone");
  const outcome = () =>
    server.database.admin(
      `SELECT o.outcome FROM bulkhead.audit_entries o
        WHERE o.kind = 'outcome' AND o.target = 'think_before'`,
    );
  await expect.poll(outcome).toEqual([{ outcome: "cancelled" }]);
  expect(await server.database.admin("SELECT 1 FROM bulkhead.tasks WHERE target = 'think_before'")).toEqual(
    [],
  );
});

describe("a task that asks", () => {
  test("is answered through another instance, on which it goes on", async () => {
    const taskId = await a.begin("delete_file", { name: "notes" });
    const asked = await b.until(taskId, "input_required");
    expect(asked.inputRequests.sure).toMatchObject({
      method: "elicitation/create",
      params: { message: "Delete notes?" },
    });
    expect(asked).not.toHaveProperty("requestState");
    const ack = await b.update(taskId, { sure: { action: "accept", content: { sure: true } }, other: {} });
    expect(ack.result).toEqual({ resultType: "complete", _meta: expect.any(Object) });
    expect((await a.until(taskId, "completed")).result.content[0].text).toBe("notes is gone");
    expect(works.times("begin notes")).toBe(2);
  });

  test("waits for all it has asked, and shows what is left", async () => {
    const taskId = await a.begin("ask_twice");
    expect(Object.keys((await a.until(taskId, "input_required")).inputRequests)).toEqual(["one", "two"]);
    await b.update(taskId, { one: { action: "accept", content: { text: "yes" } } });
    const left = await a.get(taskId);
    expect(left.status).toBe("input_required");
    expect(Object.keys(left.inputRequests)).toEqual(["two"]);
    // The first is answered: it is not asked any more.
    await a.update(taskId, { one: { action: "accept", content: { text: "changed" } } });
    await a.update(taskId, { two: { action: "accept", content: { text: "no" } } });
    expect((await a.until(taskId, "completed")).result.content[0].text).toBe("yes and no");
  });

  test("asks again under another name where an answer does not fit", async () => {
    const taskId = await a.begin("delete_file", { name: "letters" });
    await a.until(taskId, "input_required");
    await a.update(taskId, { sure: { action: "accept", content: { sure: "perhaps" } } });
    const again = await a.until(taskId, "input_required");
    expect(Object.keys(again.inputRequests)).toEqual(["sure~2"]);
    await a.update(taskId, { sure: { action: "accept", content: { sure: true } } });
    expect((await a.get(taskId)).status).toBe("input_required");
    await a.update(taskId, { "sure~2": { action: "decline" } });
    expect((await a.until(taskId, "completed")).result.content[0].text).toBe("letters stays");
  });

  test("refuses answers that are none, or are too many", async () => {
    const taskId = await a.begin("delete_file", { name: "mail" });
    await a.until(taskId, "input_required");
    for (const inputResponses of [undefined, null, "yes", [1]])
      expect(await a.update(taskId, inputResponses)).toMatchObject({
        error: { data: { code: "params_invalid" } },
      });
    const huge = { sure: { action: "accept", content: { sure: "x".repeat(300_000) } } };
    expect(await a.update(taskId, huge)).toMatchObject({ error: { data: { code: "params_invalid" } } });
    expect(Object.keys((await a.get(taskId)).inputRequests)).toEqual(["sure"]);
    expect((await a.update(taskId, { sure: 12 })).result.resultType).toBe("complete");
    expect((await a.get(taskId)).status).toBe("input_required");
  });
});

describe("a task that is cancelled", () => {
  test("through another instance is aborted where it runs, and stays cancelled", async () => {
    const taskId = await a.begin("build", { name: "bridge" });
    await expect.poll(() => works.ran).toContain("bridge");
    expect((await b.cancel(taskId)).result).toEqual({ resultType: "complete", _meta: expect.any(Object) });
    expect((await b.get(taskId)).status).toBe("cancelled");
    await expect.poll(() => works.aborted, { timeout: 2_000 }).toContain("bridge");
    works.open("bridge");
    const again = await a.cancel(taskId);
    expect(again.result.resultType).toBe("complete");
    expect((await a.get(taskId)).status).toBe("cancelled");
    expect(await a.get(taskId)).not.toHaveProperty("result");
  });

  test("while it asks does not go on", async () => {
    const taskId = await a.begin("delete_file", { name: "diary" });
    await a.until(taskId, "input_required");
    await a.cancel(taskId);
    expect(
      (await a.update(taskId, { sure: { action: "accept", content: { sure: true } } })).result,
    ).toBeDefined();
    expect((await a.get(taskId)).status).toBe("cancelled");
    expect(works.times("begin diary")).toBe(1);
  });
});

describe("whose a task is", () => {
  test("another principal, another tenant and somebody who made it up get the same answer", async () => {
    const taskId = await a.begin("delete_file", { name: "plans" });
    await a.until(taskId, "input_required");
    const strangers = [clientOf("bob", 0), clientOf("ada", 0, { tenant: "globex" }), clientOf("bob", 1)];
    const nobody = `task_${"0".repeat(26)}`;
    for (const [method, more] of [
      ["tasks/get", {}],
      ["tasks/update", { inputResponses: { sure: { action: "accept", content: { sure: true } } } }],
      ["tasks/cancel", {}],
    ] as const) {
      const missing = await a.send(method, { taskId: nobody, ...more });
      expect(missing.json).toMatchObject(unknown);
      for (const stranger of strangers) {
        const answer = await stranger.send(method, { taskId, ...more });
        expect({ status: answer.status, text: answer.text }).toEqual({
          status: missing.status,
          text: missing.text,
        });
      }
      expect((await a.send(method, { taskId: "no id at all", ...more })).json).toEqual(missing.json);
    }
    expect((await a.get(taskId)).status).toBe("input_required");
  });

  test("who does not say that it knows tasks is told to, whatever the task", async () => {
    const plain = clientOf("ada", 0, { capabilities: { elicitation: {} } });
    for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
      const { status, json } = await plain.send(method, { taskId: "gate-test", inputResponses: {} });
      expect(status).toBe(400);
      expect(json.error).toMatchObject({ code: -32021, data: { requiredCapabilities: TASKS } });
    }
  });

  test("what the extension does not have is no method, and headers must say what the body says", async () => {
    for (const method of ["tasks/result", "tasks/list"])
      expect((await a.send(method, {})).json.error.code).toBe(-32601);
    const wrong = await a.send("tasks/get", { taskId: "one", name: "two" });
    expect(wrong.json.error).toMatchObject({ code: -32020 });
    expect((await a.send("tasks/get", { taskId: 12 })).json.error).toMatchObject({ code: -32602 });
  });
});

test("a task is gone when its time is over", async () => {
  const taskId = await a.begin("build", { name: "castle" });
  await expect.poll(() => works.ran).toContain("castle");
  await server.database.admin("UPDATE bulkhead.tasks SET expires_at = now() WHERE id = $1", [taskId]);
  expect(await a.cancel(taskId)).toMatchObject(unknown);
  // Nobody tells the instance that runs it: it looks.
  await expect.poll(() => works.aborted, { timeout: 5_000 }).toContain("castle");
});

test("a run that takes all the time of its task is stopped, and the task says so before it is gone", async () => {
  const { result } = await a.call("build_briefly", { name: "shed" });
  expect(result.ttlMs).toBe(2_000);
  const failed = await b.until(result.taskId, "failed");
  expect(failed.error.data.code).toBe("call_timed_out");
  expect(works.aborted).toContain("shed");
});

test("the making and each run have audit rows of their own, which name the task", async () => {
  const taskId = await a.begin("delete_file", { name: "records" });
  await a.until(taskId, "input_required");
  await a.update(taskId, { sure: { action: "decline" } });
  await a.until(taskId, "completed");
  const rows = () =>
    server.database.admin(
      `SELECT o.action, o.outcome, o.target FROM bulkhead.audit_entries o
         JOIN bulkhead.audit_entries i USING (tenant_id, operation_id)
        WHERE o.kind = 'outcome' AND i.kind = 'intent' AND o.details -> 'notes' ->> 'task' = $1 ORDER BY o.at, o.seq`,
      [taskId],
    );
  await expect.poll(async () => (await rows()).length).toBe(4);
  expect(await rows()).toEqual([
    { action: "tools/call", outcome: "task", target: "delete_file" },
    { action: "tools/call", outcome: "input_required", target: "delete_file" },
    { action: "tasks/update", outcome: "ok", target: "delete_file" },
    { action: "tools/call", outcome: "ok", target: "delete_file" },
  ]);
});
