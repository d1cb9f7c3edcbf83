import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openSession, type TestSession } from "../../support/earlier-session.ts";
import { callTool, META, mcpMessage } from "../../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../../support/running-server.ts";
import { createHardenedServer, PIECES } from "./hardened-server.ts";
import { RawConnection, rawRequest } from "./raw-connection.ts";

const hardened = createHardenedServer();
let server: TestServer;
let session: TestSession;
const MB = 1_048_576;
/** What may wait for a reader that does not read: in our process 256 KB, and as much as the system's sockets take. */
const WAITING = 16 * MB;
const limit = (limits: unknown) => server.admin("PATCH", "/tenants/acme", { limits });

beforeAll(async () => {
  server = await startTestServer({ server: hardened.definition });
  session = await openSession(server.acme.mcp, server.acme.token);
});
afterAll(() => server.close());

/** Both tenants are served, acme on both generations. */
async function expectServing(): Promise<void> {
  const { acme, globex } = server;
  for (const { mcp: url, token } of [acme, globex]) {
    expect((await callTool(url, token, "strict")).status).toBe(200);
  }
  expect((await session.call("strict")).status).toBe(200);
}

/** Acme has all of its places, and there is only one. */
async function expectNothingHeld(): Promise<void> {
  await limit({ maxConcurrency: 1 });
  await expect
    .poll(async () => (await callTool(server.acme.mcp, server.acme.token, "strict")).status)
    .toBe(200);
  await expectServing();
  await limit({});
}

async function openMany(count: number): Promise<RawConnection[]> {
  return Promise.all(Array.from({ length: count }, () => RawConnection.open(server.url)));
}

describe("slow connections", () => {
  test("whose headers do not end keep nobody from being served, and take no place", async () => {
    await limit({ maxConcurrency: 1 });
    const slow = await openMany(200);
    try {
      const { headers } = mcpMessage(server.acme.token, "tools/list");
      const head = rawRequest(server.acme.mcp, { headers }).toString().slice(0, -2);
      for (const each of slow) each.write(head);
      await expectServing();
      for (const each of slow) each.write("x-more: 1\r\n");
      await expectServing();
      expect(slow.every((each) => each.isOpen && each.unread === 0)).toBe(true);
    } finally {
      for (const each of slow) each.destroy();
      await limit({});
    }
  });

  test("whose bodies trickle fill their own tenant's places, and give them back when they go", async () => {
    const PLACES = 8;
    const { acme, globex } = server;
    await limit({ maxConcurrency: PLACES });
    // The first one under a new configuration has its token verified again.
    await expectServing();
    const slow = await openMany(PLACES);
    try {
      const { headers, body } = mcpMessage(acme.token, "tools/list");
      for (const [index, each] of slow.entries()) {
        const more = index % 2 === 0 ? headers : { ...session.headers, "content-type": "application/json" };
        each.write(
          rawRequest(acme.mcp, { headers: { ...more, expect: "100-continue" }, length: body.length }),
        );
        expect((await each.answer()).status).toBe(100);
      }
      for (const byte of body.slice(0, 20)) {
        for (const each of slow) each.write(byte);
        const over = await callTool(acme.mcp, acme.token, "strict");
        expect([over.status, over.json.error.data.limit]).toEqual([429, "maxConcurrency"]);
        expect((await session.call("strict")).status).toBe(429);
        expect((await callTool(globex.mcp, globex.token, "strict")).status).toBe(200);
      }
      // A session's streams and its end are no operations: they are there also now.
      const stream = await session.get();
      expect(stream.status).toBe(200);
      stream.destroy();
      expect(slow.every((each) => each.isOpen)).toBe(true);
    } finally {
      for (const each of slow) each.destroy();
    }
    await expectNothingHeld();
  });

  test("whose bodies are nobody's are not waited for", async () => {
    const slow = await openMany(50);
    const { headers } = mcpMessage(null, "tools/list");
    for (const each of slow)
      each.write(rawRequest(server.acme.mcp, { headers, body: "{", length: 1_000_000 }));
    const begun = performance.now();
    for (const each of slow) {
      expect((await each.answer()).status).toBe(401);
      await each.closed;
    }
    // A body has 15 s.
    expect(performance.now() - begun).toBeLessThan(10_000);
  });
});

describe("a reader that stops reading", () => {
  const FLOODS = [
    ["message", { "io.modelcontextprotocol/logLevel": "info" }],
    ["progress", { progressToken: "p" }],
  ] as const;

  test.each(FLOODS)("of the current revision is cut off, and its call cancelled: %s", async (by, meta) => {
    const params = { name: "flood", arguments: { by } };
    const { headers } = mcpMessage(server.acme.token, "tools/call", params);
    const body = JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { ...params, _meta: { ...META, ...meta } },
    });
    const calls = hardened.floods.length;
    const before = heapAndBuffers();
    const reader = await RawConnection.open(server.url);
    reader.stopReading();
    reader.write(rawRequest(server.acme.mcp, { headers, body }));
    await expect.poll(() => hardened.floods[calls]?.stopped, { timeout: 10_000 }).toBe(true);
    const flood = hardened.floods[calls];
    expect(flood?.finished).toBe(false);
    expect((flood?.said ?? PIECES) * 60_000).toBeLessThan(WAITING);
    expect(heapAndBuffers() - before).toBeLessThan(WAITING);
    reader.destroy();
    await expectNothingHeld();
  });

  test("of a session is cut off, and its call goes on to its end", async () => {
    const calls = hardened.floods.length;
    const before = heapAndBuffers();
    const reader = await RawConnection.open(server.url);
    reader.stopReading();
    const headers = { ...session.headers, "content-type": "application/json" };
    const params = { name: "flood", arguments: { by: "message" } };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
    reader.write(rawRequest(server.acme.mcp, { headers, body }));
    await expect.poll(() => hardened.floods[calls]?.finished, { timeout: 20_000 }).toBe(true);
    expect(hardened.floods[calls]).toEqual({ said: PIECES, stopped: false, finished: true });
    // What is to be written to the log of the stream is held too, until it is.
    await expect.poll(() => heapAndBuffers() - before, { timeout: 10_000 }).toBeLessThan(WAITING);
    reader.destroy();
    await expectNothingHeld();
  });
});

describe("two thousand bad requests", () => {
  /** Each with what it is answered by; null: its connection is cut before. */
  function kinds(): readonly (readonly [Buffer, number | null])[] {
    const { acme, globex } = server;
    const current = (
      method: string,
      params: Record<string, unknown>,
      change: Record<string, string> = {},
    ) => {
      const { headers, body } = mcpMessage(acme.token, method, params);
      return rawRequest(acme.mcp, { headers: { ...headers, ...change }, body });
    };
    const call = { name: "strict", arguments: {} };
    const { headers } = mcpMessage(acme.token, "tools/call", call);
    const json = { ...session.headers, "content-type": "application/json" };
    const earlier = (body: unknown, change: Record<string, string> = {}) =>
      rawRequest(acme.mcp, { headers: { ...json, ...change }, body: JSON.stringify(body) });
    const request = (method: string, params: unknown) => ({ jsonrpc: "2.0", id: 1, method, params });
    return [
      [rawRequest(acme.mcp, { headers, body: "{" }), 400],
      [rawRequest(acme.mcp, { headers, body: "[".repeat(50_000) }), 400],
      [rawRequest(acme.mcp, { headers, body: Buffer.from([0xff, 0xfe]) }), 400],
      [rawRequest(acme.mcp, { headers, body: "x".repeat(100), length: 200 }), null],
      [rawRequest(acme.mcp, { headers, length: 2_000_000 }), 413],
      [current("tools/list", {}, { "mcp-method": "x" }), 400],
      [current("ping", {}), 404],
      [current("tools/call", { name: "nothing" }), 200],
      [current("tools/call", { name: "strict", arguments: { text: { a: "x".repeat(10_000) } } }), 200],
      [current("tools/call", { ...call, requestState: "1.a.AAAA" }), 400],
      [current("tools/call", { ...call, inputResponses: [] }), 200],
      [current("tools/call", { name: "greet" }), 400],
      [current("tools/call", { name: "hold" }), null],
      [current("resources/read", { uri: `odd://${"%41".repeat(1_000)}/x` }), 200],
      [current("subscriptions/listen", { notifications: 7 }), 200],
      [rawRequest(globex.mcp, { headers, body: "{}" }), 401],
      [rawRequest(acme.mcp, { headers: { ...headers, origin: "https://evil.example" }, body: "{}" }), 403],
      [earlier(request("tools/call", call), { "mcp-session-id": `ses_${crypto.randomUUID()}` }), 404],
      [earlier(request("unheard/of", {})), 200],
      [earlier([request("tools/call", call)]), 400],
      [earlier({ jsonrpc: "2.0", id: crypto.randomUUID(), result: {} }), 202],
      [
        earlier({
          jsonrpc: "2.0",
          method: "notifications/cancelled",
          params: { requestId: crypto.randomUUID() },
        }),
        202,
      ],
      [earlier(request("resources/subscribe", { uri: "odd://nothing" })), 200],
      [earlier(request("initialize", { protocolVersion: "2025-11-25", capabilities: {} })), 400],
      [
        rawRequest(acme.mcp, {
          method: "GET",
          headers: { ...json, "mcp-session-id": crypto.randomUUID() },
        }),
        404,
      ],
    ];
  }

  async function sendAll(times: number): Promise<void> {
    let connection = await RawConnection.open(server.url);
    for (let i = 0; i < times; i++) {
      for (const [bytes, status] of kinds()) {
        if (!connection.isOpen) connection = await RawConnection.open(server.url);
        connection.write(bytes);
        if (status === null) connection.destroy();
        else expect((await connection.answer()).status).toBe(status);
      }
    }
    connection.destroy();
  }

  test("leave nothing behind", async () => {
    await Promise.all([sendAll(4), sendAll(4)]);
    await expect.poll(() => hardened.holding()).toBe(0);
    const before = heapAndBuffers();
    await Promise.all([1, 2, 3, 4].map(() => sendAll(20)));
    await expect.poll(() => hardened.holding()).toBe(0);
    await expectNothingHeld();
    expect(heapAndBuffers() - before).toBeLessThan(8 * MB);
    const faults = server.instances[0]
      .log()
      .filter(({ event, level }) => event === "fault" || level === "error");
    expect(faults).toEqual([]);
  });
});

let collect: (() => void) | null = null;

/** Bytes that are held after what is not needed has been let go. */
function heapAndBuffers(): number {
  if (collect === null) {
    setFlagsFromString("--expose-gc");
    const gc: unknown = runInNewContext("gc");
    if (typeof gc !== "function") throw new TypeError("There is no gc.");
    collect = () => void gc();
  }
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
