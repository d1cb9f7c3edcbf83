import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  initializeBody,
  messagesOf,
  openSession,
  sessionOver,
  type TestSession,
} from "../../support/earlier-session.ts";
import { META, mcpMessage } from "../../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../../support/running-server.ts";
import { createHardenedServer } from "./hardened-server.ts";
import { type RawAnswer, RawConnection, rawRequest } from "./raw-connection.ts";

const hardened = createHardenedServer();
let server: TestServer;
let session: TestSession;
/** In a session of the one revision that has batches. */
let batching: TestSession;
/** What is refused here was read: one connection serves all. */
let connection: RawConnection;
beforeAll(async () => {
  server = await startTestServer({ server: hardened.definition });
  const { mcp, token } = server.acme;
  session = await openSession(mcp, token, { capabilities: { roots: {} } });
  batching = await openSession(mcp, token, { version: "2025-03-26" });
  connection = await RawConnection.open(server.url);
});
afterAll(async () => {
  connection.destroy();
  await server.close();
});
beforeEach(async () => {
  if (!connection.isOpen) connection = await RawConnection.open(server.url);
});

type Headers = Record<string, string | readonly string[] | undefined>;

async function post(of: TestSession, body: unknown, headers: Headers = {}): Promise<RawAnswer> {
  const all = { ...of.headers, "content-type": "application/json", ...headers };
  const text = typeof body === "string" ? body : JSON.stringify(body);
  connection.write(rawRequest(server.acme.mcp, { headers: all, body: text }));
  return connection.answer();
}

/** GET or DELETE of a session. */
async function ask(method: "GET" | "DELETE", headers: Headers): Promise<RawAnswer> {
  connection.write(rawRequest(server.acme.mcp, { method, headers: { ...session.headers, ...headers } }));
  return connection.answer();
}

function expectRefusal(answer: RawAnswer, expected: readonly [number, number, string, unknown?]): void {
  const { error, id } = answer.json;
  expect([answer.status, error.code, error.data.code, id]).toEqual([
    ...expected.slice(0, 3),
    expected[3] ?? null,
  ]);
  expect(answer.headers.get("connection")).toBe("keep-alive");
}

const call = (id: unknown, name = "strict"): unknown => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name },
});
const INVALID = [400, -32600, "message_invalid"] as const;

describe("a batch", () => {
  const rows: [string, () => unknown][] = [
    ["that is empty", () => []],
    ["of 101 messages", () => Array.from({ length: 101 }, (_, id) => call(id))],
    ["of 200,000 nulls", () => `[${"null,".repeat(200_000)}null]`],
  ];
  test.each(rows)("%s is refused by every revision", async (_name, body) => {
    expectRefusal(await post(batching, body()), INVALID);
    expectRefusal(await post(session, body()), INVALID);
    const { headers } = mcpMessage(server.acme.token, "tools/call", { name: "strict" });
    connection.write(rawRequest(server.acme.mcp, { headers, body: toText(body()) }));
    expectRefusal(await connection.answer(), INVALID);
  });

  test.each<[string, () => unknown]>([
    ["one call", () => [call(1)]],
    ["batches", () => [[call(1)]]],
    ["a response", () => [{ jsonrpc: "2.0", id: 1, result: {} }]],
    ["a notification", () => [{ jsonrpc: "2.0", method: "notifications/initialized" }]],
    ["initialize", () => [initializeBody("2025-03-26")]],
  ])("of %s is refused by the revisions that have none", async (_name, body) => {
    expectRefusal(await post(session, body()), INVALID);
    const { headers } = mcpMessage(server.acme.token, "tools/call", { name: "strict" });
    connection.write(rawRequest(server.acme.mcp, { headers, body: toText(body()) }));
    expectRefusal(await connection.answer(), INVALID);
  });

  test("without a session opens none", async () => {
    for (const body of [[initializeBody("2025-03-26")], [call(1)]]) {
      const answer = await post(batching, body, { "mcp-session-id": undefined });
      expectRefusal(answer, [400, -32600, "session_missing"]);
      expect(answer.headers.get("mcp-session-id")).toBeUndefined();
    }
  });

  test("of 100 messages is answered, whatever they are, each by itself", async () => {
    const odd = [[call(1)], null, true, 7, "x", {}, [], initializeBody("2025-03-26"), call(null), call(1.5)];
    const answer = await post(batching, [...odd, ...Array.from({ length: 90 }, (_, id) => call(id))]);
    expect(answer.status).toBe(200);
    expect(answer.json).toHaveLength(100);
    const refused = answer.json.filter((each: { error?: unknown }) => each.error !== undefined);
    expect(refused.map((each: { error: { data: { code: string } } }) => each.error.data.code)).toEqual(
      // Of the tenant's 64 places one is the batch's own.
      expect.arrayContaining(odd.map(() => "message_invalid")),
    );
    expect(answer.headers.get("mcp-session-id")).toBeUndefined();
    expectGood(await post(batching, call(2)));
  });
});

describe("messages that nobody waits for", () => {
  const ours = "ask_0000000000000000";
  test.each<[string, unknown]>([
    ["a result", { jsonrpc: "2.0", id: 1, result: {} }],
    ["an error", { jsonrpc: "2.0", id: "x", error: { code: -1, message: "no" } }],
    ["an error without a code", { jsonrpc: "2.0", id: "x", error: {} }],
    ["a result to a question of the form of ours", { jsonrpc: "2.0", id: ours, result: { roots: [] } }],
    ["a notification of no revision", { jsonrpc: "2.0", method: "notifications/unheard" }],
    ["a notification named as objects' members are", { jsonrpc: "2.0", method: "__proto__" }],
    ["a request without an id", { jsonrpc: "2.0", method: "tools/call", params: { name: "strict" } }],
    ["a cancellation of nothing", { jsonrpc: "2.0", method: "notifications/cancelled" }],
    ["a cancellation of what does not run", cancelled(77)],
    ["a cancellation of no id", cancelled({ a: [1] })],
    ["a cancellation of a text of 100,000 characters", cancelled("x".repeat(100_000))],
  ])("%s is accepted, and does nothing", async (_name, body) => {
    const runs = hardened.runs();
    const answer = await post(session, body);
    expect([answer.status, answer.text]).toEqual([202, ""]);
    expect(hardened.runs()).toBe(runs);
    expectGood(await post(session, call(1)));
  });

  test("a notification of the current revision as well; a response is none of its messages", async () => {
    const { headers } = mcpMessage(server.acme.token, "tools/call", { name: "strict" });
    const params = { _meta: META };
    for (const method of ["notifications/cancelled", "notifications/initialized", "x", "tools/call"]) {
      const body = JSON.stringify({ jsonrpc: "2.0", method, params });
      connection.write(rawRequest(server.acme.mcp, { headers, body }));
      expect((await connection.answer()).status).toBe(202);
    }
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, result: {} });
    connection.write(rawRequest(server.acme.mcp, { headers, body }));
    expectRefusal(await connection.answer(), INVALID);
  });

  test("an answer to a question of another session is not taken for one of this", async () => {
    const other = await openSession(server.acme.mcp, server.acme.token, { capabilities: { roots: {} } });
    const stream = await session.streamCall("roots");
    const asked = await expect
      .poll(() => messagesOf(stream)[0])
      .toBeDefined()
      .then(() => messagesOf(stream)[0]);
    const answer = (uri: string) => ({ jsonrpc: "2.0", id: asked.id, result: { roots: [{ uri }] } });
    expect((await post(other, answer("file:///forged"))).status).toBe(202);
    expect((await post(session, answer("file:///own"))).status).toBe(202);
    // A second one is too late.
    expect((await post(session, answer("file:///late"))).status).toBe(202);
    await stream.closed;
    expect(messagesOf(stream).at(-1).result.content).toEqual([{ type: "text", text: "file:///own" }]);
  });

  test.each([
    ["no roots", {}],
    ["roots that are none", { roots: [1, null] }],
    ["roots of another type", { roots: { "0": { uri: "file:///" } } }],
    ["roots without an address", { roots: [{ name: "x" }] }],
  ])("an answer of %s is asked for once more, and is then the call's failure", async (_name, result) => {
    const stream = await session.streamCall("roots");
    for (let asked = 1; asked <= 2; asked++) {
      await expect.poll(() => messagesOf(stream).length).toBe(asked);
      const { id } = messagesOf(stream)[asked - 1];
      expect((await post(session, { jsonrpc: "2.0", id, result })).status).toBe(202);
    }
    await stream.closed;
    expect(messagesOf(stream).at(-1)).toMatchObject({ id: 1, result: { isError: true } });
  });
});

describe("a session", () => {
  const STREAM = [400, -32600, "stream_unknown"] as const;
  const UNKNOWN = [404, -32600, "session_unknown"] as const;
  const forged: [string, () => string | readonly string[]][] = [
    ["an empty id", () => ""],
    ["an id of no form", () => "x"],
    ["an id of our form", () => "ses_00000000000000000000000000"],
    ["its id in capitals", () => session.id.toUpperCase()],
    ["its id with something after it", () => `${session.id}0`],
    ["its id cut off", () => session.id.slice(0, -1)],
    ["its id in quotes", () => `"${session.id}"`],
    ["an id of 10 KB", () => "s".repeat(10_240)],
    ["bytes that are no ASCII", () => `${session.id}\u00e9`],
    ["__proto__", () => "__proto__"],
    ["constructor", () => "constructor"],
    ["a path", () => `../${session.id}`],
    ["its id twice", () => [session.id, session.id]],
    ["its id and another", () => [session.id, "x"]],
  ];
  test.each(forged)("named by %s is not there", async (_name, id) => {
    const headers = { "mcp-session-id": id() };
    expectRefusal(await post(session, call("own"), headers), [...UNKNOWN, "own"]);
    expectRefusal(await ask("GET", headers), UNKNOWN);
    expectRefusal(await ask("DELETE", headers), UNKNOWN);
  });

  test("that is not named is missing, and no header makes up for it", async () => {
    const headers = { "mcp-session-id": undefined };
    expectRefusal(await post(session, call("own"), headers), [400, -32600, "session_missing", "own"]);
    expectRefusal(await ask("GET", headers), [400, -32600, "session_missing"]);
    expectRefusal(await ask("DELETE", headers), [400, -32600, "session_missing"]);
  });

  test("of another tenant, of another principal, or ended, is not there either, to the byte", async () => {
    const { acme, globex } = server;
    const version = "2025-11-25";
    const ended = await openSession(acme.mcp, acme.token);
    expect((await ended.end()).status).toBe(204);
    const nobody = sessionOver(acme.mcp, acme.token, { id: "ses_00000000000000000000000000", version });
    const { id } = session;
    const foreign = [
      sessionOver(globex.mcp, globex.token, { id, version }),
      sessionOver(acme.mcp, server.token("acme", "ben"), { id, version }),
      sessionOver(server.shared, acme.sharedToken, { id, version }),
      ended,
    ];
    for (const act of [
      (of: TestSession) => of.call("strict"),
      (of: TestSession) => of.notify("notifications/initialized"),
      (of: TestSession) => of.post([call(1)]),
      (of: TestSession) => of.end(),
    ]) {
      const expected = await act(nobody);
      expect(expected.status).toBe(404);
      for (const each of foreign) {
        const answer = await act(each);
        expect([answer.status, answer.text, withoutDate(answer.headers)]).toEqual([
          expected.status,
          expected.text,
          withoutDate(expected.headers),
        ]);
      }
    }
    expectGood(await post(session, call(1)));
  });

  test.each([
    ["a version of the current generation", "2026-07-28", 405],
    ["an unknown version", "1900-01-01", 400],
    ["two versions", ["2025-11-25", "2025-11-25"], 400],
  ])("is not opened by %s", async (_name, version, status) => {
    for (const method of ["GET", "DELETE"] as const) {
      const answer = await ask(method, { "mcp-protocol-version": version });
      expect(answer.status).toBe(status);
      expect(answer.json.error.data.code).toBe(status === 405 ? "method_not_allowed" : "version_unsupported");
    }
  });

  test.each([
    "x",
    "post_0000000000000000.0",
    "post_0000000000000000.999999999",
    "post_0000000000000000.-1",
    "post_0000000000000000.1e9",
    `post_${"0".repeat(100)}.0`,
    "get_",
    "__proto__",
    "0",
    "\u00e9",
  ])("is not resumed from a forged event: %j", async (last) => {
    const accept = "text/event-stream";
    if (last.startsWith("post_0000000000000000.") && /\.\d+$/.test(last)) {
      expectRefusal(await ask("GET", { accept, "last-event-id": last }), STREAM);
      return;
    }
    // What is no event of a stream that answers a POST is as if it were not there: the session's own stream opens.
    const stream = await session.get({ "last-event-id": last });
    expect(stream.status).toBe(200);
    stream.destroy();
    await stream.closed;
  });

  test("gives no other session the events of its streams", async () => {
    const own = await session.streamCall("flood", { by: "progress" }, { meta: { progressToken: 1 } });
    await expect.poll(() => own.text()).toContain("id: post_");
    const [, last = ""] = /id: (post_[^\n]+)/.exec(own.text()) ?? [];
    const other = await openSession(server.acme.mcp, server.acme.token);
    expectRefusal(await ask("GET", { ...other.headers, "last-event-id": last }), STREAM);
    await session.notify("notifications/cancelled", { requestId: 1 });
    await own.closed;
  });

  test.each<[string, (deep: string) => string]>([
    ["capabilities", (deep) => `{"protocolVersion":"2025-11-25","capabilities":{"a":${deep}}}`],
    ["a name", (deep) => `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":${deep}}}`],
  ])("is not opened with %s nested 100,000 times", async (_name, params) => {
    const body = `{"jsonrpc":"2.0","id":5,"method":"initialize","params":${params(nested(100_000))}}`;
    const answer = await post(session, body, { "mcp-session-id": undefined });
    expectRefusal(answer, [400, -32700, "parse_error"]);
  });

  test("takes no answer nested 100,000 times", async () => {
    const body = `{"jsonrpc":"2.0","id":"ask_0000000000000000","result":{"a":${nested(100_000)}}}`;
    expectRefusal(await post(session, body), [400, -32700, "parse_error"]);
  });

  test("is not opened with more than it may say of itself", async () => {
    const capabilities = { experimental: { big: "x".repeat(20_000) } };
    const answer = await post(session, initializeBody("2025-11-25", capabilities, 5), {
      "mcp-session-id": undefined,
    });
    expectRefusal(answer, [200, -32602, "params_invalid", 5]);
    expect(answer.headers.get("mcp-session-id")).toBeUndefined();
  });
});

describe("a request state", () => {
  const STATE = [400, -32602, "request_state_invalid", 1] as const;
  const PARAMS = [200, -32602, "params_invalid", 1] as const;
  const HELLO = { name: "greet", arguments: { to: "x" } };
  const ADA = { name: { action: "accept", content: { name: "Ada" } } };
  let state: string;

  const round = async (
    params: Record<string, unknown>,
    body?: (text: string) => string,
  ): Promise<RawAnswer> => {
    const { headers } = mcpMessage(server.acme.token, "tools/call", params);
    const _meta = { ...META, "io.modelcontextprotocol/clientCapabilities": { elicitation: { form: {} } } };
    const message = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { ...params, _meta } };
    const text = JSON.stringify(message);
    connection.write(rawRequest(server.acme.mcp, { headers, body: body?.(text) ?? text }));
    return connection.answer();
  };
  beforeAll(async () => {
    state = (await round(HELLO)).json.result.requestState;
  });

  test.each<[string, () => string]>([
    ["empty", () => ""],
    ["of no form", () => "x"],
    ["cut off", () => state.slice(0, -1)],
    ["cut off to its key", () => state.slice(0, state.lastIndexOf(".") + 1)],
    ["with one bit changed", () => state.slice(0, -5) + (state.at(-5) === "A" ? "B" : "A") + state.slice(-4)],
    ["twice", () => state + state],
    ["with white space", () => ` ${state}`],
    ["under a key named __proto__", () => state.replace(/^1\.[^.]+/, "1.__proto__")],
    ["as JSON", () => JSON.stringify({ answers: {}, asked: {}, steps: {} })],
    ["of 900 KB", () => "1.a.".padEnd(900_000, "A")],
  ])("%s is refused, and nothing runs", async (_name, forged) => {
    const runs = hardened.runs();
    expectRefusal(await round({ ...HELLO, requestState: forged(), inputResponses: ADA }), STATE);
    expect(hardened.runs()).toBe(runs);
  });

  test("is refused for another tool, other arguments, another tenant and another principal", async () => {
    const runs = hardened.runs();
    const params = { ...HELLO, requestState: state, inputResponses: ADA };
    expectRefusal(await round({ ...params, name: "greet_too" }), STATE);
    expectRefusal(await round({ ...params, arguments: { to: "y" } }), STATE);
    expectRefusal(await round({ ...params, arguments: JSON.parse('{"to":"x","__proto__":{}}') }), STATE);
    for (const [url, token] of [
      [server.globex.mcp, server.globex.token],
      [server.acme.mcp, server.token("acme", "ben")],
      [server.shared, server.acme.sharedToken],
    ] as const) {
      const { headers, body } = mcpMessage(token, "tools/call", params);
      connection.write(rawRequest(url, { headers, body }));
      expectRefusal(await connection.answer(), STATE);
    }
    expect(hardened.runs()).toBe(runs);
    const good = await round(params);
    expect(good.json.result.content).toEqual([{ type: "text", text: "Hello, Ada" }]);
  });

  test.each([[null], [7], [true], [[]], [{}], [["x"]]])("that is %j is no text", async (requestState) => {
    expectRefusal(await round({ ...HELLO, requestState }), PARAMS);
  });

  test.each<[unknown]>([
    [null],
    ["x"],
    [7],
    [[]],
    [{ name: null }],
    [{ name: [] }],
    [{ name: "Ada" }],
    [{ name: {}, other: 1 }],
  ])("with answers of the shape %j is refused", async (inputResponses) => {
    expectRefusal(await round({ ...HELLO, requestState: state, inputResponses }), PARAMS);
  });

  test.each<[string, unknown]>([
    ["an action that is unknown", { action: "perhaps" }],
    ["an action that is no text", { action: ["accept"] }],
    ["no content", { action: "accept" }],
    ["content that is a list", { action: "accept", content: ["Ada"] }],
    ["content of another type", { action: "accept", content: { name: 7 } }],
    ["content that is inherited", { action: "accept", content: JSON.parse('{"__proto__":{"name":"Ada"}}') }],
    ["an action that is inherited", JSON.parse('{"__proto__":{"action":"decline"}}')],
    ["nothing", {}],
  ])("with an answer that has %s asks again", async (_name, name) => {
    const answer = await round({ ...HELLO, requestState: state, inputResponses: { name } });
    expect([answer.status, answer.json.result.resultType]).toEqual([200, "input_required"]);
    expect(Object.keys(answer.json.result.inputRequests)).toEqual(["name"]);
  });

  test("ignores answers to what was not asked, however they are named", async () => {
    const others = JSON.parse(
      '{"__proto__":{"action":"cancel"},"constructor":{},"toString":{"action":"accept"}}',
    );
    const answer = await round({ ...HELLO, requestState: state, inputResponses: { ...others, ...ADA } });
    expect(answer.json.result.content).toEqual([{ type: "text", text: "Hello, Ada" }]);
    const none = await round({ ...HELLO, requestState: state, inputResponses: others });
    expect(none.json.result.resultType).toBe("input_required");
  });

  test("with an answer larger than a state may be is the call's failure", async () => {
    const name = { action: "decline", more: "x".repeat(300_000) };
    const answer = await round({ ...HELLO, requestState: state, inputResponses: { name } });
    expect([answer.status, answer.json.result.content]).toEqual([200, [{ type: "text", text: "decline" }]]);
  });

  test("with an answer or arguments nested 100,000 times is refused", async () => {
    for (const place of ['"DEEP"', '"to":"x"']) {
      const inputResponses = { name: { action: "decline", more: "DEEP" } };
      const deep = place === '"DEEP"' ? nested(100_000) : `"to":${nested(100_000)}`;
      const answer = await round({ ...HELLO, requestState: state, inputResponses }, (text) =>
        text.replace(place, deep),
      );
      expectRefusal(answer, [400, -32700, "parse_error"]);
    }
  });
});

function expectGood(answer: RawAnswer): void {
  expect([answer.status, answer.json.result.content]).toEqual([
    200,
    [{ type: "text", text: '{"own":[],"plain":true}' }],
  ]);
}

function cancelled(requestId: unknown): unknown {
  return { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId } };
}

function withoutDate({ date: _date, ...headers }: Readonly<Record<string, unknown>>): unknown {
  return headers;
}

function toText(body: unknown): string {
  return typeof body === "string" ? body : JSON.stringify(body);
}

function nested(times: number): string {
  return `${"[".repeat(times)}${"]".repeat(times)}`;
}
