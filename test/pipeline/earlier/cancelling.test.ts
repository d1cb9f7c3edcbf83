import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { messagesOf, openSession, type TestSession } from "../../support/earlier-session.ts";
import { startTestServer, type TestServer } from "../../support/running-server.ts";
import { createShop } from "./shop.ts";

const shop = createShop();
let server: TestServer;
let session: TestSession;
let elsewhere: TestSession;
const onSecond = (slug: "acme" | "globex"): string => `${server.instances[1]?.url}/t/${slug}/mcp`;

beforeAll(async () => {
  server = await startTestServer({ server: shop.definition, instances: 2 });
});
afterAll(() => server.close());
beforeEach(async () => {
  session = await openSession(server.acme.mcp, server.token("acme", "ada"));
  elsewhere = session.through(onSecond("acme"));
});

describe("notifications/cancelled", () => {
  test.each([
    ["the instance where it runs", () => session],
    ["another instance", () => elsewhere],
  ])("stops the request, without an answer, through %s", async (_where, there) => {
    const answering = session.call("drive", {}, "mine");
    const call = await shop.nextCall();
    const told = await there().notify("notifications/cancelled", { requestId: "mine", reason: "enough" });
    expect([told.status, told.text]).toEqual([202, ""]);
    const answer = await answering;
    expect([answer.status, answer.headers["content-type"], answer.text]).toEqual([
      200,
      "text/event-stream",
      "",
    ]);
    expect(call.stopped()).toBe(true);
    await vi.waitFor(() => {
      const lines = server.instances.flatMap((instance) => instance.log());
      expect(lines.filter((line) => line.operation === call.ctx.operationId)).toContainEqual(
        expect.objectContaining({ outcome: "cancelled", code: "cancelled" }),
      );
    });
  });

  test("ends a stream that has begun, and nothing is said on it any more", async () => {
    const opening = session.streamCall("drive", {}, { id: 5 });
    const call = await shop.nextCall();
    call.ctx.message("info", "before");
    const stream = await opening;
    await session.notify("notifications/cancelled", { requestId: 5 });
    call.ctx.message("info", "after");
    expect(await stream.closed).toBe("end");
    expect(messagesOf(stream).map((message) => message.params?.data)).toEqual(["before"]);
  });

  test("means the very id: a number is not its text", async () => {
    const answering = session.call("drive", {}, 7);
    const call = await shop.nextCall();
    await session.notify("notifications/cancelled", { requestId: "7" });
    await elsewhere.notify("notifications/cancelled", { requestId: 70 });
    call.finish("done");
    expect((await answering).json.result.content[0].text).toBe("done");
  });

  test("stops nothing of another session, be it of the same user, of the tenant, or of another", async () => {
    const answering = session.call("drive", {}, 1);
    const call = await shop.nextCall();
    const others = [
      await openSession(server.acme.mcp, server.token("acme", "ada")),
      await openSession(server.acme.mcp, server.token("acme", "bob")),
      await openSession(server.globex.mcp, server.token("globex", "grace")),
    ];
    for (const other of others) {
      expect((await other.notify("notifications/cancelled", { requestId: 1 })).status).toBe(202);
      const slug = other === others[2] ? "globex" : "acme";
      await other.through(onSecond(slug)).notify("notifications/cancelled", { requestId: 1 });
    }
    // What was signalled before is heard before this.
    const marker = session.call("drive", {}, 2);
    const second = await shop.nextCall();
    await elsewhere.notify("notifications/cancelled", { requestId: 2 });
    await marker;
    expect(second.stopped()).toBe(true);
    expect(call.stopped()).toBe(false);
    call.finish("done");
    expect((await answering).json.result.content[0].text).toBe("done");
  });
});

describe("the end of a session", () => {
  test("stops what runs in it, on every instance, and in no other", async () => {
    const other = await openSession(server.acme.mcp, server.token("acme", "ada"));
    const calls = [];
    const answering = [];
    for (const at of [session, elsewhere, other]) {
      answering.push(at.call("drive"));
      calls.push(await shop.nextCall());
    }
    expect((await session.end()).status).toBe(204);
    for (const answer of await Promise.all(answering.slice(0, 2))) expect(answer.text).toBe("");
    expect(calls.map((call) => call.stopped())).toEqual([true, true, false]);
    calls[2]?.finish("done");
    expect((await answering[2])?.json.result.content[0].text).toBe("done");
  });

  test("that no instance heard of stops what runs in it all the same, and in no other", async () => {
    const asking = await openSession(server.acme.mcp, server.token("acme", "ada"), {
      capabilities: { roots: {} },
    });
    const other = await openSession(server.acme.mcp, server.token("acme", "ada"));
    const answering = elsewhere.call("drive");
    const call = await shop.nextCall();
    const going = other.call("drive");
    const otherCall = await shop.nextCall();
    // It waits for its client, and its time stands still.
    const waiting = await asking.streamCall("roots");
    await server.database.admin("DELETE FROM bulkhead.sessions WHERE id = ANY($1)", [
      [session.id, asking.id],
    ]);
    expect((await answering).text).toBe("");
    expect(call.stopped()).toBe(true);
    expect(await waiting.closed).toBe("end");
    expect(otherCall.stopped()).toBe(false);
    otherCall.finish("done");
    expect((await going).json.result.content[0].text).toBe("done");
  });
});

test("a request whose client has hung up runs to its end, and holds its place until then", async () => {
  await server.admin("PATCH", "/tenants/globex", { limits: { maxConcurrency: 1 } });
  const globex = await openSession(server.globex.mcp, server.token("globex", "grace"));
  const opening = globex.streamCall("drive");
  const call = await shop.nextCall();
  call.ctx.message("info", "begun");
  (await opening).destroy();
  const crowded = await globex.call("sell");
  expect([crowded.status, crowded.json.error.data.limit]).toEqual([429, "maxConcurrency"]);
  expect(call.stopped()).toBe(false);
  call.finish("done");
  await vi.waitFor(async () => expect((await globex.call("sell")).status).toBe(200));
  await vi.waitFor(() => {
    const lines = server.instances[0].log();
    expect(lines.filter((line) => line.operation === call.ctx.operationId)).toContainEqual(
      expect.objectContaining({ outcome: "ok" }),
    );
  });
});
