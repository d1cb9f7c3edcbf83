import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { callTool, type HttpAnswer, META, mcp, mcpMessage, send } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

/** A good request of acme, changed. */
function changed(change: {
  url?: string;
  method?: string;
  headers?: Record<string, string | undefined>;
  body?: string | Uint8Array;
  params?: Record<string, unknown>;
  rpc?: string;
  message?: Record<string, unknown>;
}): Promise<HttpAnswer> {
  const good = mcpMessage(server.acme.token, change.rpc ?? "tools/list", change.params);
  const headers = Object.fromEntries(
    Object.entries({ ...good.headers, ...change.headers }).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  );
  const body = change.body ?? (change.message === undefined ? good.body : JSON.stringify(change.message));
  return send(change.url ?? server.acme.mcp, { method: change.method ?? "POST", headers, body });
}

const metadata = () => `${server.url}/.well-known/oauth-protected-resource/t/acme/mcp`;

describe("before anybody is known", () => {
  test("an unknown tenant answers 404, with and without a token, like its metadata", async () => {
    const good = mcpMessage(server.acme.token, "tools/list");
    const bare = mcpMessage(null, "tools/list");
    for (const url of [
      `${server.url}/t/initech/mcp`,
      `${server.url}/t/ACME/mcp`,
      `${server.url}/t/acme%20/mcp`,
      `${server.url}/t//mcp`,
      `${server.url}/t/acme/mcp/`,
      `${server.url}/nowhere`,
    ]) {
      for (const request of [good, bare]) {
        const answer = await send(url, request);
        expect([url, answer.status, answer.json.error.data.code]).toEqual([url, 404, "route_unknown"]);
        expect(answer.headers["www-authenticate"]).toBeUndefined();
      }
    }
    expect(
      (await send(`${server.url}/.well-known/oauth-protected-resource/t/initech/mcp`, { method: "GET" }))
        .status,
    ).toBe(404);
    expect((await send(`${server.url}/.well-known/oauth-protected-resource`, { method: "GET" })).status).toBe(
      404,
    );
  });

  test("a foreign Host or Origin answers 403 without WWW-Authenticate", async () => {
    for (const headers of [
      { host: "evil.example.com" },
      { origin: "https://evil.example.com" },
      { origin: "null" },
      { host: "127.0.0.1.evil.example.com" },
    ]) {
      const answer = await changed({ headers });
      expect(answer.status).toBe(403);
      expect(answer.json.error.data.code).toBe("host_refused");
      expect(answer.headers["www-authenticate"]).toBeUndefined();
    }
    const port = new URL(server.url).port;
    expect(
      (await changed({ headers: { host: `localhost:${port}`, origin: `http://localhost:${port}` } })).status,
    ).toBe(200);
  });

  test("other HTTP methods answer 405", async () => {
    for (const method of ["PUT", "OPTIONS", "PATCH"]) {
      const answer = await changed({ method, body: "" });
      expect([method, answer.status, answer.headers.allow]).toEqual([method, 405, "GET, POST, DELETE"]);
    }
  });

  test("no token: 401 that names the metadata and the scopes, and no error", async () => {
    const answer = await mcp(server.acme.mcp, null, "tools/list");
    expect(answer.status).toBe(401);
    expect(answer.json).toMatchObject({
      jsonrpc: "2.0",
      id: null,
      error: { code: -31401, data: { code: "credentials_missing" } },
    });
    const challenge = String(answer.headers["www-authenticate"]);
    expect(challenge).toMatch(/^Bearer /);
    expect(challenge).toContain(`resource_metadata="${metadata()}"`);
    expect(challenge).toContain(
      'scope="customers:read reports:read tickets:manage tickets:read tickets:write"',
    );
    expect(challenge).not.toContain("error=");
  });

  test("the metadata names the resource byte for byte and its issuer", async () => {
    const document = await send(metadata(), { method: "GET" });
    expect(document.status).toBe(200);
    expect(document.json).toMatchObject({
      resource: server.acme.mcp,
      authorization_servers: [server.acme.issuer, expect.stringContaining("/issuers/_shared")],
    });
    const shared = await send(`${server.url}/.well-known/oauth-protected-resource/mcp`, { method: "GET" });
    expect(shared.json.resource).toBe(server.shared);
  });

  test("a bad token: 401 invalid_token; malformed credentials: 400 invalid_request", async () => {
    const last = server.acme.token.at(-2) === "A" ? "B" : "A";
    const cases: [string, Record<string, string>, number, string, string][] = [
      [
        "a token of another tenant's issuer",
        { authorization: `Bearer ${server.globex.token}` },
        401,
        "token_invalid",
        "invalid_token",
      ],
      [
        "a token for the shared URL",
        { authorization: `Bearer ${server.acme.sharedToken}` },
        401,
        "token_invalid",
        "invalid_token",
      ],
      [
        "a changed signature",
        { authorization: `Bearer ${server.acme.token.slice(0, -2)}${last}${server.acme.token.at(-1)}` },
        401,
        "token_invalid",
        "invalid_token",
      ],
      ["no token at all", { authorization: "Bearer" }, 400, "credentials_malformed", "invalid_request"],
      ["another scheme", { authorization: "Basic YTpi" }, 400, "credentials_malformed", "invalid_request"],
    ];
    for (const [name, headers, status, code, error] of cases) {
      const answer = await changed({ headers });
      expect([name, answer.status, answer.json.error.data.code]).toEqual([name, status, code]);
      expect(answer.headers["www-authenticate"]).toContain(`error="${error}"`);
      expect(answer.text).not.toContain(server.acme.token.slice(20));
    }
    expect((await changed({ url: `${server.acme.mcp}?access_token=${server.acme.token}` })).status).toBe(400);
    expect((await callTool(server.shared, server.acme.token, "list_my_customers")).status).toBe(401);
  });

  test("an expired token: 401 invalid_token, of one that worked before, also where it was remembered", async () => {
    let ahead = 0;
    const clock = { now: () => Date.now() + ahead, monotonic: () => performance.now() };
    const own = await startTestServer({ settings: { clock } });
    try {
      const list = () => mcp(own.acme.mcp, own.acme.token, "tools/list");
      expect((await list()).status).toBe(200);
      ahead = 2 * 60 * 60 * 1000;
      const answer = await list();
      expect(answer.status).toBe(401);
      expect(answer.json).toMatchObject({
        id: null,
        error: { code: -31401, data: { code: "token_invalid" } },
      });
      expect(answer.headers["www-authenticate"]).toContain('error="invalid_token"');
      expect(answer.text).not.toContain(own.acme.token.slice(20));
      // Nothing but the time was wrong with it.
      ahead = 0;
      expect((await list()).status).toBe(200);
    } finally {
      await own.close();
    }
  });

  test("nothing in an answer before 401 depends on the body", async () => {
    const bodies = [
      "",
      "{",
      "[]",
      mcpMessage(null, "tools/list").body,
      JSON.stringify({ jsonrpc: "2.0", id: 77, method: "x" }),
      "x".repeat(100_000),
    ];
    const answers = await Promise.all(
      bodies.map((body) => send(server.acme.mcp, { headers: { "content-type": "application/json" }, body })),
    );
    expect(new Set(answers.map((answer) => `${answer.status} ${answer.text}`)).size).toBe(1);
    expect(answers[0]?.status).toBe(401);
  });

  test("a body is not waited for before 401", async () => {
    const { port } = new URL(server.url);
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), "127.0.0.1", () =>
        socket.write(
          `POST /t/acme/mcp HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{`,
        ),
      );
      let received = "";
      socket.on("data", (chunk) => {
        received += chunk.toString();
      });
      socket.on("error", reject);
      socket.on("close", () => resolve(received));
    });
    expect(text).toMatch(/^HTTP\/1\.1 401 /);
  });
});

describe("a known caller", () => {
  test("a suspended tenant: 403 only after a valid token, 401 without one", async () => {
    const own = await startTestServer();
    try {
      expect((await own.admin("POST", "/tenants/globex/suspend")).status).toBe(200);
      const refused = await mcp(own.globex.mcp, own.globex.token, "tools/list");
      expect(refused.status).toBe(403);
      expect(refused.json.error.data.code).toBe("tenant_suspended");
      expect(refused.headers["www-authenticate"]).toContain('error="access_denied"');
      expect((await mcp(own.globex.mcp, null, "tools/list")).status).toBe(401);
      expect((await mcp(own.globex.mcp, own.acme.token, "tools/list")).status).toBe(401);
      expect((await mcp(own.shared, own.globex.sharedToken, "tools/list")).status).toBe(403);
      expect((await mcp(own.acme.mcp, own.acme.token, "tools/list")).status).toBe(200);
      expect((await own.admin("POST", "/tenants/globex/resume")).status).toBe(200);
      expect((await mcp(own.globex.mcp, own.globex.token, "tools/list")).status).toBe(200);
    } finally {
      await own.close();
    }
  });

  test("a missing permission: 403 insufficient_scope naming it; the tool is not in the list", async () => {
    const viewer = server.token("acme", "vic");
    const listed = await mcp(server.acme.mcp, viewer, "tools/list");
    expect(listed.json.result.tools.map((tool: { name: string }) => tool.name)).not.toContain("close_ticket");
    const answer = await callTool(server.acme.mcp, viewer, "close_ticket", {
      number: 1001,
      resolution: "done",
    });
    expect(answer.status).toBe(403);
    expect(answer.headers["www-authenticate"]).toContain('error="insufficient_scope"');
    expect(answer.headers["www-authenticate"]).toContain('scope="tickets:manage"');
    expect(answer.json).toMatchObject({
      id: 1,
      error: { data: { code: "scope_insufficient", scopes: ["tickets:manage"] } },
    });
  });

  test.each<[string, Parameters<typeof changed>[0], number, number, string]>([
    ["another media type", { headers: { "content-type": "text/plain" } }, 415, -31415, "media_type_refused"],
    ["an Accept that allows no JSON", { headers: { accept: "text/html" } }, 406, -31406, "not_acceptable"],
    [
      "a body over the limit",
      { body: JSON.stringify({ x: "y".repeat(1_100_000) }) },
      413,
      -31413,
      "body_too_large",
    ],
    ["no JSON", { body: "{" }, 400, -32700, "parse_error"],
    ["no UTF-8", { body: new Uint8Array([0x7b, 0xff, 0x7d]) }, 400, -32700, "parse_error"],
    ["an empty body", { body: "" }, 400, -32700, "parse_error"],
    ["no JSON-RPC", { message: { hello: 1 } }, 400, -32600, "message_invalid"],
    ["a batch", { body: "[]" }, 400, -32600, "message_invalid"],
    ["a response", { message: { jsonrpc: "2.0", id: 1, result: {} } }, 400, -32600, "message_invalid"],
    [
      "an id of null",
      { message: { jsonrpc: "2.0", id: null, method: "tools/list" } },
      400,
      -32600,
      "message_invalid",
    ],
    [
      "an id that is no integer",
      { message: { jsonrpc: "2.0", id: 1.5, method: "tools/list" } },
      400,
      -32600,
      "message_invalid",
    ],
    [
      "params that are a list",
      { message: { jsonrpc: "2.0", id: 1, method: "tools/list", params: [] } },
      400,
      -32600,
      "message_invalid",
    ],
    [
      "no _meta",
      { message: { jsonrpc: "2.0", id: 1, method: "tools/list", params: {} } },
      400,
      -32602,
      "envelope_invalid",
    ],
    [
      "no capabilities in _meta",
      {
        message: {
          jsonrpc: "2.0",
          id: 1,
          method: "tools/list",
          params: { _meta: { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } },
        },
      },
      400,
      -32602,
      "envelope_invalid",
    ],
    [
      "an unknown revision",
      {
        headers: { "mcp-protocol-version": "1900-01-01" },
        message: {
          jsonrpc: "2.0",
          id: 1,
          method: "tools/list",
          params: { _meta: { ...META, "io.modelcontextprotocol/protocolVersion": "1900-01-01" } },
        },
      },
      400,
      -32022,
      "version_unsupported",
    ],
    [
      "the handshake of the previous generation without capabilities",
      { message: { jsonrpc: "2.0", id: 1, method: "initialize", params: { protocolVersion: "2025-11-25" } } },
      200,
      -32602,
      "params_invalid",
    ],
    [
      "a version header that differs",
      { headers: { "mcp-protocol-version": "2025-11-25" } },
      400,
      -32020,
      "header_mismatch",
    ],
    ["no version header", { headers: { "mcp-protocol-version": undefined } }, 400, -32020, "header_mismatch"],
    ["no method header", { headers: { "mcp-method": undefined } }, 400, -32020, "header_mismatch"],
    [
      "a method header in another case",
      { headers: { "mcp-method": "Tools/List" } },
      400,
      -32020,
      "header_mismatch",
    ],
    [
      "no name header",
      { rpc: "tools/call", params: { name: "get_ticket" }, headers: { "mcp-name": undefined } },
      400,
      -32020,
      "header_mismatch",
    ],
    [
      "a name header that differs",
      { rpc: "tools/call", params: { name: "get_ticket" }, headers: { "mcp-name": "open_ticket" } },
      400,
      -32020,
      "header_mismatch",
    ],
    ["an unknown method", { rpc: "tools/destroy" }, 404, -32601, "method_unknown"],
    ["ping", { rpc: "ping" }, 404, -32601, "method_unknown"],
    ["an unknown tool", { rpc: "tools/call", params: { name: "nothing" } }, 200, -32602, "tool_unknown"],
    [
      "a tool named __proto__",
      { rpc: "tools/call", params: { name: "__proto__" } },
      200,
      -32602,
      "tool_unknown",
    ],
    [
      "an unknown resource",
      { rpc: "resources/read", params: { uri: "helpdesk://nothing" } },
      200,
      -32602,
      "resource_unknown",
    ],
    [
      "a ticket that is not there",
      { rpc: "resources/read", params: { uri: "helpdesk://tickets/999999" } },
      200,
      -32602,
      "resource_unknown",
    ],
    ["an unknown prompt", { rpc: "prompts/get", params: { name: "nothing" } }, 200, -32602, "prompt_unknown"],
    [
      "a prompt without its argument",
      { rpc: "prompts/get", params: { name: "draft_reply" } },
      200,
      -32602,
      "params_invalid",
    ],
    ["a cursor of one's own making", { params: { cursor: "x" } }, 200, -32602, "cursor_invalid"],
    [
      "arguments that are a list",
      { rpc: "tools/call", params: { name: "get_ticket", arguments: [] } },
      200,
      -32602,
      "params_invalid",
    ],
  ])("%s", async (_name, change, status, code, ours) => {
    const answer = await changed(change);
    expect([answer.status, answer.json.error.code, answer.json.error.data.code]).toEqual([
      status,
      code,
      ours,
    ]);
  });

  test("the errors of the specification carry the data it asks for", async () => {
    const version = await changed({
      headers: { "mcp-protocol-version": "1900-01-01" },
      message: {
        jsonrpc: "2.0",
        id: "abc",
        method: "tools/list",
        params: { _meta: { ...META, "io.modelcontextprotocol/protocolVersion": "1900-01-01" } },
      },
    });
    expect(version.json).toMatchObject({
      id: "abc",
      error: { data: { supported: ["2026-07-28"], requested: "1900-01-01" } },
    });
    const resource = await changed({ rpc: "resources/read", params: { uri: "helpdesk://nothing" } });
    expect(resource.json.error.data.uri).toBe("helpdesk://nothing");
  });

  test("arguments that do not fit are the tool's error, with words to correct them by", async () => {
    const answer = await callTool(server.acme.mcp, server.acme.token, "get_ticket", { number: "seven" });
    expect(answer.status).toBe(200);
    expect(answer.json.result).toMatchObject({ resultType: "complete", isError: true });
    expect(answer.json.result.content[0].text).toMatch(/^Invalid arguments: number: /);
  });

  test("a notification is accepted without a body", async () => {
    const answer = await changed({
      message: { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } },
    });
    expect([answer.status, answer.text]).toEqual([202, ""]);
  });

  test("a name that is no plain text comes base64 in its header, and white space around a header is nothing", async () => {
    const uri = "helpdesk://tickets/1001";
    const encoded = `=?base64?${Buffer.from(uri).toString("base64")}?=`;
    expect(
      (await changed({ rpc: "resources/read", params: { uri }, headers: { "mcp-name": encoded } })).status,
    ).toBe(200);
    expect(
      (await changed({ rpc: "resources/read", params: { uri }, headers: { "mcp-name": ` ${uri}\t` } }))
        .status,
    ).toBe(200);
    expect(
      (await changed({ rpc: "resources/read", params: { uri }, headers: { "mcp-name": "=?base64?%%%?=" } }))
        .status,
    ).toBe(400);
  });
});

describe("probes", () => {
  test("healthz and readyz answer whoever asks, by whatever name", async () => {
    for (const path of ["/healthz", "/readyz"]) {
      expect(
        (await send(server.url + path, { method: "GET", headers: { host: "10.0.0.7:9000" } })).status,
      ).toBe(200);
    }
  });
});
