import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import { startTestServer, type TestServer } from "../../support/running-server.ts";
import { TaskClient } from "./task-client.ts";
import { taskServer, Works } from "./task-server.ts";

const works = new Works();
let server: TestServer;
/** How far the server's clock is ahead, in milliseconds. */
let ahead = 0;
beforeAll(async () => {
  const clock = { ...systemClock, now: () => systemClock.now() + ahead };
  server = await startTestServer({ server: taskServer(works), settings: { drainMs: 100, clock } });
});
afterAll(() => server.close());

/** A client of Ada's with a token of its own. */
async function ada(token: { scope?: string; expiresIn?: number } = {}) {
  const { json } = await server.admin("POST", "/development/tokens", {
    tenant: "acme",
    user: "ada",
    ...token,
  });
  const text = String(json.token);
  const { jti } = JSON.parse(Buffer.from(text.split(".")[1] ?? "", "base64url").toString());
  return {
    client: new TaskClient(server.acme.mcp, text),
    revoke: () => server.admin("POST", "/tenants/acme/revocations", { issuer: json.issuer, jti }),
  };
}

const yes = { sure: { action: "accept", content: { sure: true } } };

test("the end of a token's life does not end what it began in time", async () => {
  const { client: brief } = await ada({ expiresIn: 60 });
  const taskId = await brief.begin("delete_file", { name: "letters" });
  await brief.until(taskId, "input_required");
  ahead = 600_000;
  expect((await brief.send("tasks/get", { taskId })).status).toBe(401);
  const { client } = await ada();
  await client.update(taskId, yes);
  expect((await client.until(taskId, "completed")).result.content[0].text).toBe("letters is gone");
});

test("with a token that was revoked meanwhile a task does not go on", async () => {
  const [first, second] = await Promise.all([ada(), ada()]);
  const taskId = await first.client.begin("delete_file", { name: "minutes" });
  await first.client.until(taskId, "input_required");
  expect((await first.revoke()).status).toBe(201);
  await second.client.update(taskId, yes);
  const failed = await second.client.until(taskId, "failed");
  expect(failed.error.data.code).toBe("credentials_ended");
  expect(works.times("begin minutes")).toBe(1);
});

test("a token that is revoked ends the run that acts with it", async () => {
  const [first, second] = await Promise.all([ada(), ada()]);
  const taskId = await first.client.begin("build_again", { name: "wall" });
  await expect.poll(() => works.ran).toContain("wall");
  await first.revoke();
  await expect.poll(() => works.aborted).toContain("wall");
  expect((await second.client.until(taskId, "failed")).error.data.code).toBe("credentials_ended");
});

test("a tenant that is suspended ends what runs for it, and begins nothing", async () => {
  const { client } = await ada();
  const runs = await client.begin("build", { name: "gate" });
  const asks = await client.begin("delete_file", { name: "orders" });
  await client.until(asks, "input_required");
  await expect.poll(() => works.ran).toContain("gate");
  await server.admin("POST", "/tenants/acme/suspend");
  await expect.poll(() => works.aborted).toContain("gate");
  expect((await client.send("tasks/update", { taskId: asks, inputResponses: yes })).status).toBe(403);
  await server.admin("POST", "/tenants/acme/resume");
  expect((await client.until(runs, "failed")).error.data.code).toBe("credentials_ended");
  expect((await client.get(asks)).status).toBe("input_required");
});

test("a result is for who may run the tool, and a task goes on with the permissions that its caller has", async () => {
  const [{ client }, { client: less }] = await Promise.all([ada(), ada({ scope: "other:read" })]);
  works.open("vault");
  const done = await client.begin("build_secretly", { name: "vault" });
  await client.until(done, "completed");
  for (const method of ["tasks/get", "tasks/update"]) {
    const refused = await less.send(method, { taskId: done, inputResponses: {} });
    expect(refused.status).toBe(403);
    expect(refused.json.error.data).toMatchObject({ code: "scope_insufficient", scopes: ["vault:read"] });
  }
  const runs = await client.begin("build_secretly", { name: "cellar" });
  await expect.poll(() => works.ran).toContain("cellar");
  expect((await less.cancel(runs)).result.resultType).toBe("complete");
  expect((await client.get(runs)).status).toBe("cancelled");
});

test("a tenant has so many places for runs, and always one for the request that ends them", async () => {
  const { client } = await ada();
  await server.admin("PATCH", "/tenants/acme", { limits: { maxConcurrency: 1 } });
  const [first, second] = [
    await client.begin("build", { name: "arch one" }),
    await client.begin("build", { name: "arch two" }),
  ];
  await expect.poll(() => works.ran).toContain("arch one");
  expect((await client.get(second)).status).toBe("working");
  expect(works.ran).not.toContain("arch two");
  await client.cancel(first);
  await expect.poll(() => works.ran).toContain("arch two");
  works.open("arch two");
  await client.until(second, "completed");
  await server.admin("PATCH", "/tenants/acme", { limits: null });
});

test("a tenant may have so many open tasks, and these may hold so much, answers too", async () => {
  const { client } = await ada();
  const asking = await client.begin("delete_file", { name: "maps" });
  await client.until(asking, "input_required");
  await server.database.admin(
    `INSERT INTO bulkhead.tasks (tenant_id, id, principal, caller, request, target, status, state, rerun, ttl_ms,
                                 poll_interval_ms, expires_at)
     SELECT $1, 'task_' || lpad(n::text, 26, '0'), 'nobody', '{}', '{}', 'build',
            CASE WHEN n <= 1000 THEN 'input_required' ELSE 'cancelled' END, '{}', false, 1000, 1000, now() + interval '1 hour'
       FROM generate_series(1, 4990) AS n`,
    [server.acme.id],
  );
  const refused = await client.send("tools/call", { name: "build", arguments: { name: "one more" } });
  expect(refused.status).toBe(429);
  expect(refused.json.error.data).toMatchObject({ limit: "openTasks", value: 1_000 });
  // Each counts as its share at least. So the rest leaves no room for more of one than is its own.
  const answer = (name: string) => ({ sure: { action: "accept", content: { sure: true, name } } });
  const large = await client.send("tasks/update", {
    taskId: asking,
    inputResponses: answer("x".repeat(200_000)),
  });
  expect(large.json.error.data).toMatchObject({
    code: "rate_limited",
    limit: "taskBytes",
    value: 268_435_456,
  });
  expect((await client.get(asking)).status).toBe("input_required");
  await client.update(asking, answer(""));
  await client.until(asking, "completed");
  // Another tenant's are its own.
  const globex = new TaskClient(server.globex.mcp, server.token("globex", "ada"));
  works.open("one more");
  await globex.until(await globex.begin("build", { name: "one more" }), "completed");
});
