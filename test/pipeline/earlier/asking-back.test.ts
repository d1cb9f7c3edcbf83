import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { lastEventId, messagesOf, openSession, type TestSession } from "../../support/earlier-session.ts";
import { mcp, mcpMessage, send } from "../../support/mcp-request.ts";
import type { TestStream } from "../../support/open-stream.ts";
import { startTestServer, type TestServer } from "../../support/running-server.ts";
import { createShop } from "./shop.ts";

const shop = createShop();
let server: TestServer;
let session: TestSession;
let elsewhere: TestSession;
const onSecond = (slug: "acme" | "globex"): string => `${server.instances[1]?.url}/t/${slug}/mcp`;
const EVERYTHING = { roots: {}, elicitation: {}, sampling: {} };

beforeAll(async () => {
  server = await startTestServer({ server: shop.definition, instances: 2 });
});
afterAll(() => server.close());
beforeEach(async () => {
  session = await openSession(server.acme.mcp, server.token("acme", "ada"), { capabilities: EVERYTHING });
  elsewhere = session.through(onSecond("acme"));
});

/** The requests of the server on a stream, once there are so many. */
const asked = (stream: TestStream, count = 1): Promise<{ id: string; method: string; params: unknown }[]> =>
  vi.waitFor(() => {
    const requests = messagesOf(stream).filter((message) => message.id !== undefined && message.method);
    if (requests.length < count) throw new TypeError(`Asked ${requests.length} times.`);
    return requests;
  }, 5_000);
const answerOf = async (stream: TestStream): Promise<{ result?: unknown; error?: unknown }> => {
  await stream.closed;
  return messagesOf(stream).at(-1);
};
/** A message whose body does not come. */
const beginSlowly = (headers: Record<string, string>): ReturnType<typeof httpRequest> => {
  const request = httpRequest(server.acme.mcp, {
    method: "POST",
    agent: false,
    headers: { ...headers, "content-type": "application/json", "content-length": "100" },
  });
  request.on("error", () => {}).write("{");
  return request;
};
const answer = (id: unknown, result: unknown) => ({ jsonrpc: "2.0", id, result });
const rootsAre = (...uris: string[]) => ({ roots: uris.map((uri) => ({ uri })) });
const text = (said: string, isError = false) => ({
  content: [{ type: "text", text: said }],
  ...(isError ? { isError } : {}),
});

describe("a handler that asks back", () => {
  test("asks on the stream of its call, and goes on with the answer that another request brings", async () => {
    const stream = await session.streamCall("roots", {}, { id: 3 });
    const [question] = await asked(stream);
    expect(question).toEqual({
      jsonrpc: "2.0",
      id: expect.stringMatching(/^ask_[\w-]{16}$/),
      method: "roots/list",
      params: {},
    });
    const taken = await session.post(answer(question?.id, rootsAre("file:///a", "file:///b")));
    expect([taken.status, taken.text]).toEqual([202, ""]);
    expect(await answerOf(stream)).toEqual({ jsonrpc: "2.0", id: 3, result: text("file:///a file:///b") });
  });

  test("gets an answer that came to another instance", async () => {
    const stream = await session.streamCall("roots");
    const [question] = await asked(stream);
    expect((await elsewhere.post(answer(question?.id, rootsAre("file:///far")))).status).toBe(202);
    expect(await answerOf(stream)).toMatchObject({ result: text("file:///far") });
  });

  test("waits while its client is away, and the question is there when it comes back", async () => {
    const stream = await session.streamCall("roots");
    await asked(stream);
    stream.destroy();
    const resumed = await elsewhere.get({ "last-event-id": lastEventId(stream).replace(/\d+$/, "0") });
    const [question] = await asked(resumed);
    await elsewhere.post(answer(question?.id, rootsAre("file:///back")));
    expect(await answerOf(resumed)).toMatchObject({ result: text("file:///back") });
  });

  test("asks its user with a form, and once more where the answer does not fit it", async () => {
    const stream = await session.streamCall("order");
    const [first] = await asked(stream);
    expect(first?.method).toBe("elicitation/create");
    expect(first?.params).toMatchObject({
      message: "Which size?",
      requestedSchema: { type: "object", properties: { size: { type: "integer" } }, required: ["size"] },
    });
    await session.post(answer(first?.id, { action: "accept", content: { size: "large" } }));
    const [, second] = await asked(stream, 2);
    await session.post(answer(second?.id, { action: "accept", content: { size: 41 } }));
    expect(await answerOf(stream)).toMatchObject({ result: text("size 41") });
  });

  test("is told of a client's error, and of an answer that never fits, as an error of the tool", async () => {
    const failing = await session.streamCall("order");
    const [question] = await asked(failing);
    await session.post({ jsonrpc: "2.0", id: question?.id, error: { code: -1, message: "User is asleep." } });
    expect(await answerOf(failing)).toMatchObject({
      result: text("The client answered with an error: User is asleep.", true),
    });
    const odd = await session.streamCall("roots");
    await session.post(answer((await asked(odd))[0]?.id, { roots: "none" }));
    await session.post(answer((await asked(odd, 2))[1]?.id, { roots: [{ uri: 1 }] }));
    expect(await answerOf(odd)).toMatchObject({
      result: text("The client's answer is not one to what it was asked.", true),
    });
  });

  test("is told at once that nobody can hear it", async () => {
    const call = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "roots" } };
    const deaf = await session.post(call, { accept: "application/json" });
    expect(deaf.json.result).toEqual(text("The client takes no questions: it reads no stream.", true));
    const unable = await openSession(server.acme.mcp, server.token("acme", "ada"));
    const refused = await unable.call("roots");
    expect([refused.status, refused.json.error]).toMatchObject([
      200,
      { code: -32021, data: { requiredCapabilities: { roots: {} } } },
    ]);
  });

  test("ends when its client cancels, and the question with it", async () => {
    const stream = await session.streamCall("roots", {}, { id: 8 });
    const [question] = await asked(stream);
    await session.notify("notifications/cancelled", { requestId: 8 });
    await stream.closed;
    expect(messagesOf(stream)).toHaveLength(1);
    expect((await session.post(answer(question?.id, rootsAre("file:///late")))).status).toBe(202);
  });

  test("holds the tenant's last place, and is answered nevertheless, or cancelled", async () => {
    await server.admin("PATCH", "/tenants/acme", { limits: { maxConcurrency: 1 } });
    try {
      const stream = await session.streamCall("roots");
      const [question] = await asked(stream);
      for (const refused of [
        await session.call("sell"),
        await mcp(server.acme.mcp, server.token("acme", "ada"), "tools/list"),
        await send(server.acme.mcp, {
          ...mcpMessage(server.token("acme", "ada"), "tools/list"),
          headers: {
            ...mcpMessage(server.token("acme", "ada"), "tools/list").headers,
            "mcp-session-id": "any",
          },
        }),
      ]) {
        expect([refused.status, refused.json.error.data.limit]).toEqual([429, "maxConcurrency"]);
      }
      expect((await session.post(answer(question?.id, rootsAre("file:///a")))).status).toBe(202);
      expect(await answerOf(stream)).toMatchObject({ result: text("file:///a") });

      const second = await session.streamCall("roots", {}, { id: 2 });
      await asked(second);
      expect((await session.notify("notifications/cancelled", { requestId: 2 })).status).toBe(202);
      await second.closed;
      // The handler that waited has ended as well, and given its place back.
      await vi.waitFor(async () => expect((await session.call("sell")).status).toBe(200));
    } finally {
      await server.admin("PATCH", "/tenants/acme", { limits: { maxConcurrency: null } });
    }
  });

  test("is told its own limit where even the places for answers are taken", async () => {
    await server.admin("PATCH", "/tenants/acme", { limits: { maxConcurrency: 1 } });
    const slow: ReturnType<typeof httpRequest>[] = [];
    const begin = (): void => void slow.push(beginSlowly(session.headers));
    for (let i = 0; i < 9; i++) begin();
    try {
      await vi.waitFor(async () => {
        // One of them may have come while a call of the test before still had its place.
        begin();
        const refused = await session.post(answer("ask_0000000000000000", rootsAre("file:///a")));
        expect([refused.status, refused.json?.error?.data]).toMatchObject([429, { value: 1 }]);
      });
    } finally {
      for (const request of slow) request.destroy();
      await server.admin("PATCH", "/tenants/acme", { limits: { maxConcurrency: null } });
    }
  });

  test("is answered although others send slowly under ids that are no session of theirs", async () => {
    const bobs = await openSession(server.acme.mcp, server.token("acme", "bob"));
    const graces = await openSession(server.globex.mcp, server.token("globex", "grace"));
    await server.admin("PATCH", "/tenants/acme", { limits: { maxConcurrency: 1 } });
    const slow: ReturnType<typeof httpRequest>[] = [];
    try {
      const stream = await session.streamCall("roots");
      const [question] = await asked(stream);
      const refusals = [];
      for (const id of ["any", "ses_00000000000000000000000000", bobs.id, graces.id]) {
        for (let i = 0; i < 3; i++) {
          const request = beginSlowly({ ...session.headers, "mcp-session-id": id });
          slow.push(request);
          refusals.push(once(request, "response").then(([response]) => response.statusCode));
        }
      }
      // Before a byte of their bodies was awaited.
      expect(new Set(await Promise.all(refusals))).toEqual(new Set([404]));
      expect((await session.post(answer(question?.id, rootsAre("file:///a")))).status).toBe(202);
      expect(await answerOf(stream)).toMatchObject({ result: text("file:///a") });
    } finally {
      for (const request of slow) request.destroy();
      await server.admin("PATCH", "/tenants/acme", { limits: { maxConcurrency: null } });
    }
  });

  test("costs as much as a request where its session is not known at once, so that invented ones are not free", async () => {
    const limits = { maxConcurrency: 0, requestsPerMinute: 1, burst: 2 };
    await server.admin("PATCH", "/tenants/acme", { limits });
    try {
      const statuses = [];
      for (const id of ["any", "ses_00000000000000000000000000", "any"]) {
        const forged = answer("ask_0000000000000000", {});
        statuses.push((await session.post(forged, { "mcp-session-id": id })).status);
      }
      expect(statuses).toEqual([404, 404, 429]);
    } finally {
      const none = { maxConcurrency: null, requestsPerMinute: null, burst: null };
      await server.admin("PATCH", "/tenants/acme", { limits: none });
    }
  });

  test("has its time stand still while the client is asked", async () => {
    await server.admin("PATCH", "/tenants/acme", { limits: { callTimeoutMs: 150 } });
    try {
      const stream = await session.streamCall("roots");
      const [question] = await asked(stream);
      // Longer than the call may take.
      await new Promise((resolve) => setTimeout(resolve, 400));
      await session.post(answer(question?.id, rootsAre("file:///slow")));
      expect(await answerOf(stream)).toMatchObject({ result: text("file:///slow") });
    } finally {
      await server.admin("PATCH", "/tenants/acme", { limits: { callTimeoutMs: 30_000 } });
    }
  });
});

test("an answer counts from its own session alone: not from another of the same user, of the tenant, or of another", async () => {
  const stream = await session.streamCall("roots");
  const [question] = await asked(stream);
  const forged = answer(question?.id, rootsAre("file:///forged"));
  const users = [
    [server.acme.mcp, onSecond("acme"), server.token("acme", "ada")],
    [server.acme.mcp, onSecond("acme"), server.token("acme", "bob")],
    [server.globex.mcp, onSecond("globex"), server.token("globex", "grace")],
  ] as const;
  for (const [url, second, token] of users) {
    const other = await openSession(url, token, { capabilities: EVERYTHING });
    expect((await other.post(forged)).status).toBe(202);
    expect((await other.through(second).post(forged)).status).toBe(202);
    if (token !== server.token("acme", "ada")) {
      expect((await session.through(url, token).post(forged)).status).toBe(404);
      expect((await session.through(second, token).post(forged)).status).toBe(404);
    }
  }
  // What was signalled before is heard before this.
  await elsewhere.post(answer(question?.id, rootsAre("file:///mine")));
  expect(await answerOf(stream)).toMatchObject({ result: text("file:///mine") });
});
