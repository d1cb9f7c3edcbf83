import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  eventsOf,
  initialize,
  initializeBody,
  openSession,
  sessionOver,
} from "../../support/earlier-session.ts";
import { mcp, send } from "../../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../../support/running-server.ts";
import { createShop } from "./shop.ts";

const shop = createShop();
let server: TestServer;
/** The tenants' users, and each tenant's URL on the second instance. */
let ada: string;
let bob: string;
let grace: string;
let acme: string;
let globex: string;
const onSecond = (slug: "acme" | "globex"): string => `${server.instances[1]?.url}/t/${slug}/mcp`;

beforeAll(async () => {
  server = await startTestServer({ server: shop.definition, instances: 2 });
  [ada, bob, grace] = [
    server.token("acme", "ada"),
    server.token("acme", "bob"),
    server.token("globex", "grace"),
  ];
  [acme, globex] = [server.acme.mcp, server.globex.mcp];
});
afterAll(() => server.close());

const UNKNOWN = {
  code: -32600,
  message: "There is no such session.",
  data: { code: "session_unknown", remedy: "Send initialize, without a session." },
};

describe("initialize", () => {
  test.each([
    [
      "2025-11-25",
      '"serverInfo":{"name":"shop","title":"The shop","version":"1.2.3","websiteUrl":"https://shop.example"}',
    ],
    ["2025-06-18", '"serverInfo":{"name":"shop","title":"The shop","version":"1.2.3"}'],
    ["2025-03-26", '"serverInfo":{"name":"shop","version":"1.2.3"}'],
  ])("opens a session of %s, to the byte", async (version, serverInfo) => {
    const answer = await initialize(acme, ada, version);
    expect(answer.text).toBe(
      `{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"${version}","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"logging":{}},${serverInfo},"instructions":"Buy something."}}`,
    );
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({
      "content-type": "application/json",
      "cache-control": "no-store",
      "mcp-session-id": expect.stringMatching(/^ses_[0-9a-hjkmnp-tv-z]{26}$/),
    });
  });

  test("offers the newest to a client that asks for what is unknown", async () => {
    expect((await initialize(acme, ada, "2024-11-05")).json.result.protocolVersion).toBe("2025-11-25");
  });

  test("may name its version in the header as well, and its method, as the current revision would", async () => {
    const session = await openSession(acme, ada);
    const { "mcp-session-id": _id, ...headers } = session.headers;
    const answer = await send(acme, {
      headers: { ...headers, "content-type": "application/json", "mcp-method": "initialize" },
      body: JSON.stringify(initializeBody("2025-11-25")),
    });
    expect(answer.status).toBe(200);
  });

  test("is refused inside a session, and as a notification", async () => {
    const session = await openSession(acme, ada);
    const again = await session.post(initializeBody("2025-11-25", {}, "again"));
    expect([again.status, again.json.id, again.json.error.code]).toEqual([400, "again", -32600]);
    expect(again.headers["mcp-session-id"]).toBeUndefined();
    const { "mcp-session-id": _id, ...headers } = session.headers;
    const { id: _none, ...silent } = initializeBody("2025-11-25") as { id: number };
    const notified = await send(acme, {
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify(silent),
    });
    expect([notified.status, notified.json.error.code]).toEqual([400, -32600]);
  });

  test("says what is wrong with its parameters", async () => {
    const answer = await send(acme, {
      headers: { authorization: `Bearer ${ada}`, "content-type": "application/json" },
      body: '{"jsonrpc":"2.0","id":5,"method":"initialize","params":{"protocolVersion":1,"capabilities":{}}}',
    });
    expect([answer.status, answer.json.id, answer.json.error.code]).toEqual([200, 5, -32602]);
    expect(answer.json.error.message).toBe("Invalid params. params.protocolVersion must be a text.");
  });

  test("leaves one event and one row in the audit trail, as every operation does", async () => {
    await initialize(globex, grace, "2025-06-18");
    await vi.waitFor(() => {
      const lines = server.instances[0]
        .log()
        .filter((line) => line.method === "initialize" && line.tenant === server.globex.id);
      expect(lines).toMatchObject([{ outcome: "ok" }]);
    });
    await vi.waitFor(async () => {
      const rows = await server.database.admin(
        "SELECT action FROM bulkhead.audit_entries WHERE tenant_id = $1 AND action = 'initialize'",
        [server.globex.id],
      );
      expect(rows).toHaveLength(1);
    });
  });
});

describe("a request of a session", () => {
  test("is answered as JSON, without the members of the current revision", async () => {
    const session = await openSession(acme, ada);
    const answer = await session.call("sell");
    expect(answer.status).toBe(200);
    expect(answer.headers["content-type"]).toBe("application/json");
    expect(answer.text).toBe('{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"sold"}]}}');
    expect((await session.request("ping", undefined, "p")).text).toBe(
      '{"jsonrpc":"2.0","id":"p","result":{}}',
    );
    expect((await session.request("logging/setLevel", { level: "debug" })).text).toBe(
      '{"jsonrpc":"2.0","id":1,"result":{}}',
    );
    expect((await session.request("tools/list")).json.result).not.toHaveProperty("resultType");
  });

  test.each(["2025-11-25", "2025-06-18", "2025-03-26"])(
    "of %s is served by every instance, with and without the header of the version",
    async (version) => {
      const session = await openSession(acme, ada, { version });
      const { "mcp-protocol-version": _version, ...headers } = session.headers;
      for (const url of [acme, onSecond("acme")]) {
        const options = { headers: { ...headers, "content-type": "application/json" } };
        const body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"sell"}}';
        expect((await send(url, { ...options, body })).json.result.content[0].text).toBe("sold");
        // Clients are about that say an older version than they agreed on.
        const older = { ...options.headers, "mcp-protocol-version": "2025-03-26" };
        expect((await send(url, { headers: older, body })).status).toBe(200);
      }
    },
  );

  test("says 202 to what needs no answer, without a body", async () => {
    const session = await openSession(acme, ada);
    for (const message of [
      { jsonrpc: "2.0", method: "notifications/initialized" },
      { jsonrpc: "2.0", method: "notifications/roots/list_changed" },
      { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: "of nothing" } },
      { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: [] } },
      { jsonrpc: "2.0", id: "never-asked", result: {} },
      { jsonrpc: "2.0", id: "ask_0000000000000000", result: {} },
      { jsonrpc: "2.0", id: 3, error: { code: -1, message: "no" } },
    ]) {
      const answer = await session.post(message);
      expect([answer.status, answer.text]).toEqual([202, ""]);
    }
  });

  test.each([
    ["server/discover", { _meta: {} }],
    ["subscriptions/listen", { notifications: {} }],
    ["tasks/get", { taskId: "task_1" }],
    ["tasks/result", {}],
    ["unheard/of", {}],
  ])("is unknown in these revisions: %s", async (method, params) => {
    const session = await openSession(acme, ada);
    const answer = await session.request(method, params, "u");
    expect([answer.status, answer.json.id, answer.json.error.code]).toEqual([200, "u", -32601]);
  });

  test("has the error of its revision for a resource that is not there", async () => {
    const session = await openSession(acme, ada, { version: "2025-06-18" });
    const answer = await session.request("resources/read", { uri: "shop://nothing" });
    expect([answer.status, answer.json.error.code]).toEqual([200, -32002]);
  });

  test("is refused with a version that nobody speaks, or with none and no session", async () => {
    const session = await openSession(acme, ada);
    const wrong = { "mcp-protocol-version": "2023-01-01" };
    const message = { jsonrpc: "2.0", id: 1, method: "tools/list" };
    expect((await session.post(message, wrong)).status).toBe(400);
    expect((await session.get(wrong)).status).toBe(400);
    const { "mcp-session-id": _id, ...headers } = session.headers;
    const without = await send(acme, {
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify(message),
    });
    expect([without.status, without.json.id, without.json.error.data.code]).toEqual([
      400,
      1,
      "session_missing",
    ]);
    for (const method of ["GET", "DELETE"]) {
      expect((await send(acme, { method, headers })).json.error.data.code).toBe("session_missing");
      const current = { ...headers, "mcp-protocol-version": "2026-07-28" };
      const answer = await send(acme, { method, headers: current });
      expect([answer.status, answer.headers.allow]).toEqual([405, "GET, POST, DELETE"]);
    }
  });
});

describe("resources/subscribe", () => {
  test("is for what its caller may read, and says of anything else what reading it would", async () => {
    const mine = await openSession(acme, ada);
    expect((await mine.request("resources/subscribe", { uri: "shop://books" })).json.result).toEqual({});
    expect((await mine.request("resources/unsubscribe", { uri: "shop://books" })).json.result).toEqual({});
    expect((await mine.request("resources/unsubscribe", { uri: "shop://never" })).json.result).toEqual({});
    const poor = await openSession(acme, bob);
    const lacking = await poor.request("resources/subscribe", { uri: "shop://books" });
    expect([lacking.status, lacking.json.error.data.scopes]).toEqual([403, ["books:read"]]);
    const foreign = await openSession(globex, grace);
    const absent = await foreign.request("resources/subscribe", { uri: "shop://nothing" });
    const hidden = await foreign.request("resources/subscribe", { uri: "shop://plans" });
    expect(hidden.text).toBe(absent.text.replace("shop://nothing", "shop://plans"));
    expect(hidden.json.error.code).toBe(-32002);
    expect((await foreign.request("resources/subscribe", { uri: 7 })).json.error.code).toBe(-32602);
  });

  test("and logging/setLevel leave the events of operations", async () => {
    const session = await openSession(acme, ada);
    await session.request("resources/subscribe", { uri: "shop://guide" });
    await session.request("resources/unsubscribe", { uri: "shop://guide" });
    await session.request("logging/setLevel", { level: "error" });
    expect((await session.request("logging/setLevel", { level: "loud" })).json.error.code).toBe(-32602);
    await vi.waitFor(() => {
      const methods = server.instances[0].log().map((line) => line.method);
      for (const method of ["resources/subscribe", "resources/unsubscribe", "logging/setLevel"]) {
        expect(methods).toContain(method);
      }
    });
  });
});

describe("DELETE", () => {
  test("ends the session on every instance; then it is one that never was", async () => {
    const session = await openSession(acme, ada);
    const elsewhere = session.through(onSecond("acme"));
    expect((await elsewhere.request("tools/list")).status).toBe(200);
    const own = await elsewhere.get();
    expect(own.status).toBe(200);
    const ended = await session.end();
    expect([ended.status, ended.text]).toEqual([204, ""]);
    expect(await own.closed).toBe("end");
    await vi.waitFor(async () => expect((await elsewhere.request("tools/list")).status).toBe(404));
    for (const there of [session, elsewhere]) {
      const answer = await there.request("tools/list", {}, "gone");
      expect([answer.status, answer.json.id, answer.json.error]).toEqual([404, "gone", UNKNOWN]);
      expect((await there.get()).status).toBe(404);
      expect((await there.end()).status).toBe(404);
      expect((await there.notify("notifications/initialized")).status).toBe(404);
    }
  });
});

describe("a session of somebody else", () => {
  const HOSTILE = [
    "",
    "ses_",
    "ses_00000000000000000000000000",
    "../../etc/passwd",
    "ses_' OR 1=1 --",
    "__proto__",
    "a".repeat(4_000),
    "ses_0, ses_1",
  ];

  test("is there for nobody but its own caller, in any way, on any instance", async () => {
    const mine = await openSession(acme, ada);
    const stream = await mine.streamCall("talk");
    await stream.closed;
    const eventId = eventsOf(stream).at(-2)?.id ?? "";
    const others = [
      { who: "another user", url: acme, token: bob },
      { who: "another user elsewhere", url: onSecond("acme"), token: bob },
      { who: "another tenant", url: globex, token: grace },
      { who: "another tenant elsewhere", url: onSecond("globex"), token: grace },
    ];
    for (const { url, token } of others) {
      const theirs = mine.through(url, token);
      const never = sessionOver(url, token, { id: "ses_00000000000000000000000000", version: "2025-11-25" });
      const attempts = [
        (of: typeof mine) => of.request("tools/list"),
        (of: typeof mine) => of.notify("notifications/cancelled", { requestId: 1 }),
        (of: typeof mine) => of.post({ jsonrpc: "2.0", id: "ask_0000000000000000", result: {} }),
        (of: typeof mine) => send(url, { method: "GET", headers: of.headers }),
        (of: typeof mine) =>
          send(url, { method: "GET", headers: { ...of.headers, "last-event-id": eventId } }),
        (of: typeof mine) => of.end(),
      ];
      for (const attempt of attempts) {
        const [answer, expected] = [await attempt(theirs), await attempt(never)];
        expect(answer.status).toBe(404);
        expect(answer.text).toBe(expected.text);
        expect(answer.json.error).toEqual(UNKNOWN);
      }
    }
    expect((await mine.request("tools/list")).status).toBe(200);
    expect((await mine.get({ "last-event-id": eventId })).status).toBe(200);
  });

  test.each(HOSTILE)("is not there under the id %j", async (id) => {
    const session = sessionOver(acme, ada, { id, version: "2025-11-25" });
    // A header without a value is one.
    expect((await session.request("tools/list")).status).toBe(404);
    expect((await session.end()).status).toBe(404);
  });
});

test("the current revision is served beside it, on the same URL", async () => {
  expect((await mcp(acme, ada, "server/discover")).json.result.supportedVersions).toEqual(["2026-07-28"]);
});

test("initialize is not counted, unless room is made for its session", async () => {
  await server.admin("PATCH", "/tenants/globex", { limits: { requestsPerMinute: 1, burst: 2 } });
  const open = () => initialize(server.globex.mcp, server.token("globex", "grace"), "2025-11-25");
  const statuses = [(await open()).status, (await open()).status, (await open()).status];
  await server.database.admin(
    `INSERT INTO bulkhead.sessions (tenant_id, id, principal, revision, client)
     SELECT $1, 'ses_' || lpad(n::text, 26, '0'), 'p', '2025-11-25', '{}' FROM generate_series(1, 10000) AS n`,
    [server.globex.id],
  );
  for (let i = 0; i < 3; i++) statuses.push((await open()).status);
  expect(statuses).toEqual([200, 200, 200, 200, 200, 429]);
  await server.database.admin("DELETE FROM bulkhead.sessions WHERE principal = 'p'");
});
