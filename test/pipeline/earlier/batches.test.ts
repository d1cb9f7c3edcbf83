import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { initializeBody, messagesOf, openSession, type TestSession } from "../../support/earlier-session.ts";
import { startTestServer, type TestServer } from "../../support/running-server.ts";
import { createShop } from "./shop.ts";

const shop = createShop();
let server: TestServer;
let session: TestSession;

beforeAll(async () => {
  server = await startTestServer({ server: shop.definition, instances: 2 });
});
afterAll(() => server.close());
beforeEach(async () => {
  session = await openSession(server.acme.mcp, server.token("acme", "ada"), {
    version: "2025-03-26",
    capabilities: { roots: {} },
  });
});

const call = (id: number | string, name: string) => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name },
});
const initialized = { jsonrpc: "2.0", method: "notifications/initialized" };
const sold = { content: [{ type: "text", text: "sold" }] };

describe("a batch", () => {
  test("is answered as one list, each request by itself", async () => {
    const answer = await session.post([
      call(1, "sell"),
      initialized,
      { jsonrpc: "2.0", id: "p", method: "ping" },
      { jsonrpc: "2.0", id: 2, method: "unheard/of" },
      call(3, "nothing"),
      { jsonrpc: "2.0", id: 99, result: {} },
    ]);
    expect([answer.status, answer.headers["content-type"]]).toEqual([200, "application/json"]);
    const byId = new Map(answer.json.map((each: { id: unknown }) => [each.id, each]));
    expect(byId.size).toBe(4);
    expect(answer.json).toHaveLength(4);
    expect(byId.get(1)).toEqual({ jsonrpc: "2.0", id: 1, result: sold });
    expect(byId.get("p")).toEqual({ jsonrpc: "2.0", id: "p", result: {} });
    expect(byId.get(2)).toMatchObject({ error: { code: -32601 } });
    expect(byId.get(3)).toMatchObject({ error: { code: -32602, data: { code: "tool_unknown" } } });
  });

  test("of notifications and responses alone is accepted without a body", async () => {
    const answer = await session.post([initialized, { jsonrpc: "2.0", id: 1, result: {} }]);
    expect([answer.status, answer.text]).toEqual([202, ""]);
  });

  test("answers members that are no messages, and an initialize, as invalid", async () => {
    const answer = await session.post([1, initializeBody("2025-03-26", {}, "i"), call("s", "sell"), {}]);
    expect(answer.status).toBe(200);
    expect(answer.json.map((each: { id?: unknown; error?: { code: number } }) => each.error?.code)).toEqual(
      expect.arrayContaining([-32600, -32600, -32600, undefined]),
    );
    expect(answer.json).toHaveLength(4);
    expect(answer.json).toContainEqual({ jsonrpc: "2.0", id: "s", result: sold });
    expect(answer.headers["mcp-session-id"]).toBeUndefined();
  });

  test("becomes a stream as soon as one of them says something, and ends when all are answered", async () => {
    const opening = session.stream([call(1, "sell"), call(2, "drive"), call(3, "talk")]);
    const driven = await shop.nextCall();
    const stream = await opening;
    await vi.waitFor(() => expect(messagesOf(stream)).toHaveLength(3));
    expect(stream.isOpen()).toBe(true);
    driven.finish("driven");
    expect(await stream.closed).toBe("end");
    const messages = messagesOf(stream);
    expect(messages.map(({ id }) => id)).toEqual(expect.arrayContaining([1, 2, 3, undefined]));
    expect(messages.at(-1)).toMatchObject({ id: 2, result: { content: [{ text: "driven" }] } });
  });

  test("may ask its client, and hold the answer of another", async () => {
    const stream = await session.stream([call(1, "roots")]);
    const question = await vi.waitFor(() => {
      const [found] = messagesOf(stream);
      if (found === undefined) throw new TypeError("Nothing was asked.");
      return found;
    });
    const answers = await session.post([
      { jsonrpc: "2.0", id: question.id, result: { roots: [{ uri: "file:///a" }] } },
      call(2, "sell"),
    ]);
    expect(answers.json).toEqual([{ jsonrpc: "2.0", id: 2, result: sold }]);
    await stream.closed;
    expect(messagesOf(stream).at(-1)).toMatchObject({ id: 1, result: { content: [{ text: "file:///a" }] } });
  });

  test("goes on with the others when one is cancelled", async () => {
    const answering = session.post([call(1, "drive"), call(2, "drive")]);
    const [one, other] = [await shop.nextCall(), await shop.nextCall()];
    await session.notify("notifications/cancelled", { requestId: 1 });
    await vi.waitFor(() => expect(one.stopped()).toBe(true));
    expect(other.stopped()).toBe(false);
    other.finish("done");
    expect((await answering).json).toMatchObject([{ id: 2, result: { content: [{ text: "done" }] } }]);
  });

  test("ends as a whole when its credential does", async () => {
    const answering = session.post([call(1, "drive"), call(2, "drive")]);
    const calls = [await shop.nextCall(), await shop.nextCall()];
    await server.admin("POST", "/tenants/acme/suspend");
    try {
      const answer = await answering;
      expect(calls.map((each) => each.stopped())).toEqual([true, true]);
      expect(answer.json.map((each: { error: { data: { code: string } } }) => each.error.data.code)).toEqual([
        "credentials_ended",
        "credentials_ended",
      ]);
    } finally {
      await server.admin("POST", "/tenants/acme/resume");
    }
  });

  test.each(["2025-06-18", "2025-11-25"])("is refused in a session of %s", async (version) => {
    const later = await openSession(server.acme.mcp, server.token("acme", "ada"), { version });
    for (const headers of [{}, { "mcp-protocol-version": "2025-03-26" }]) {
      const answer = await later.post([call(1, "sell")], headers);
      expect([answer.status, answer.json.error.code]).toEqual([400, -32600]);
      expect(answer.json.error.message).toContain(`Revision ${version} has no batches.`);
    }
  });

  test("leaves an event and an audit row of each operation", async () => {
    const rows = () =>
      server.database.admin<{ operation_id: string }>(
        "SELECT operation_id FROM bulkhead.audit_entries WHERE tenant_id = $1 AND target = 'talk'",
        [server.acme.id],
      );
    await vi.waitFor(async () => expect((await rows()).length).toBeGreaterThan(0));
    const before = (await rows()).length;
    const ping = (id: string) => ({ jsonrpc: "2.0", id, method: "ping" });
    await session.post([ping("p"), call(1, "talk"), call(2, "talk"), ping("q"), call(3, "talk")]);
    await vi.waitFor(async () => expect(await rows()).toHaveLength(before + 3));
    // Nobody counts pings, so nobody keeps them either. Rows are written in their order.
    await session.post([ping("r")]);
    await session.post([call(1, "talk")]);
    await vi.waitFor(async () => expect(await rows()).toHaveLength(before + 4));
    const pings = "SELECT 1 FROM bulkhead.audit_entries WHERE action = 'ping'";
    expect(await server.database.admin(pings)).toEqual([]);
  });
});

describe("the limits of a tenant", () => {
  let globex: TestSession;
  beforeAll(async () => {
    const token = server.token("globex", "grace");
    globex = await openSession(server.globex.mcp, token, { version: "2025-03-26" });
  });
  const limit = (tenant: string, limits: unknown) => server.admin("PATCH", `/tenants/${tenant}`, { limits });
  const codes = (answer: { json: { id: unknown; error?: { data: { limit: string } } }[] }): unknown[] =>
    answer.json.map(({ error }) => error?.data.limit);

  test("count each member of a batch, and ping none", async () => {
    await limit("globex", { requestsPerMinute: 1, burst: 3 });
    const answer = await globex.post([
      { jsonrpc: "2.0", id: "p", method: "ping" },
      call(1, "sell"),
      call(2, "sell"),
      7,
      call(3, "sell"),
      call(4, "sell"),
    ]);
    expect(answer.json.map(({ id }: { id: unknown }) => id)).toHaveLength(6);
    expect(codes(answer).filter((over) => over === "requestsPerMinute")).toHaveLength(2);
    expect(answer.json.filter(({ result }: { result?: unknown }) => result !== undefined)).toHaveLength(3);
    const over = await globex.call("sell");
    expect([over.status, over.json.error.data.code]).toEqual([429, "rate_limited"]);
  });

  test("let no more of its members run at once than may, and give each place back", async () => {
    await limit("globex", { requestsPerMinute: null, maxConcurrency: 2 });
    for (let round = 0; round < 2; round++) {
      const answering = globex.post([call(1, "drive"), call(2, "drive"), call(3, "drive")]);
      const calls = [await shop.nextCall(), await shop.nextCall()];
      for (const each of calls) each.finish("done");
      const answer = await answering;
      expect(codes(answer).filter((over) => over === "maxConcurrency")).toHaveLength(1);
    }
  });

  test("count what every instance is told of: an answer or a cancellation for somebody elsewhere", async () => {
    const answer = { jsonrpc: "2.0", id: "ask_0000000000000000", result: {} };
    await limit("acme", { requestsPerMinute: 1, burst: 4 });
    try {
      const statuses = [];
      for (let i = 0; i < 2; i++) {
        statuses.push((await session.notify("notifications/cancelled", { requestId: i })).status);
        statuses.push((await session.post(answer)).status);
        // Nobody is told of these.
        statuses.push((await session.notify("notifications/initialized")).status);
        statuses.push((await session.post({ ...answer, id: "of-nobody" })).status);
        const longerThanAny = { requestId: "x".repeat(513) };
        statuses.push((await session.notify("notifications/cancelled", longerThanAny)).status);
      }
      expect(statuses).toEqual([202, 202, 202, 202, 202, 202, 202, 429, 429, 429]);
    } finally {
      await limit("acme", { requestsPerMinute: null });
    }
  });
});
