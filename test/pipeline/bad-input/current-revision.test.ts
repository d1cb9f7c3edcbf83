import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { META, mcpMessage } from "../../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../../support/running-server.ts";
import { createHardenedServer } from "./hardened-server.ts";
import { type RawAnswer, RawConnection, rawRequest } from "./raw-connection.ts";

const hardened = createHardenedServer();
let server: TestServer;
/** Everything here goes over one connection: no refusal of a message that was read may end it. */
let connection: RawConnection;
beforeAll(async () => {
  server = await startTestServer({ server: hardened.definition });
  connection = await RawConnection.open(server.url);
});
afterAll(async () => {
  connection.destroy();
  await server.close();
});

type Headers = Record<string, string | readonly string[] | undefined>;
interface Change {
  readonly rpc?: string;
  readonly params?: Record<string, unknown>;
  readonly meta?: Record<string, unknown> | null;
  readonly id?: string | number;
  readonly headers?: Headers;
}

/** A good request, changed. */
async function post({ rpc = "tools/list", params = {}, meta = {}, id = 1, headers = {} }: Change) {
  const good = mcpMessage(server.acme.token, rpc, params);
  const withMeta = meta === null ? params : { ...params, _meta: { ...META, ...meta } };
  const body = JSON.stringify({ jsonrpc: "2.0", id, method: rpc, params: withMeta });
  connection.write(rawRequest(server.acme.mcp, { headers: { ...good.headers, ...headers }, body }));
  return connection.answer();
}

function expectRefusal(answer: RawAnswer, [status, code, ours]: readonly [number, number, string]): void {
  const { error } = answer.json;
  expect([answer.status, error.code, error.data.code]).toEqual([status, code, ours]);
  expect(answer.headers.get("connection")).toBe("keep-alive");
  expect(answer.headers.get("content-type")).toBe("application/json");
}

afterEach(async () => {
  expect((await post({ rpc: "tools/call", params: { name: "strict" } })).status).toBe(200);
});

const VERSION = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES = "io.modelcontextprotocol/clientCapabilities";
const MISMATCH = [400, -32020, "header_mismatch"] as const;
const ENVELOPE = [400, -32602, "envelope_invalid"] as const;
const CALL = { rpc: "tools/call", params: { name: "strict" } };

describe("an envelope is refused with the request's id", () => {
  test.each<[string, Change]>([
    ["without _meta", { meta: null }],
    ["with a _meta that is a list", { meta: null, params: { _meta: [] } }],
    ["without a version", { meta: { [VERSION]: undefined } }],
    ["with a version that is a number", { meta: { [VERSION]: 20260728 } }],
    ["without capabilities", { meta: { [CAPABILITIES]: undefined } }],
    ["with capabilities that are a list", { meta: { [CAPABILITIES]: [] } }],
    ["with capabilities of null", { meta: { [CAPABILITIES]: null } }],
  ])("%s", async (_name, change) => {
    const answer = await post({ ...change, id: "envelope:1" });
    expectRefusal(answer, ENVELOPE);
    expect(answer.json.id).toBe("envelope:1");
  });

  test.each(["1900-01-01", "2099-12-31", "", "2026-07-28 ", "__proto__", "x".repeat(100)])(
    "of the version %j",
    async (version) => {
      const answer = await post({ id: 9, meta: { [VERSION]: version }, headers: { [HEADER]: version } });
      const same = version.trim() === version;
      expectRefusal(answer, same ? [400, -32022, "version_unsupported"] : MISMATCH);
      expect(answer.json.id).toBe(9);
      if (!same) return;
      const { supported, requested } = answer.json.error.data;
      expect([supported, requested]).toEqual([["2026-07-28"], version.slice(0, 64)]);
    },
  );
});

const HEADER = "mcp-protocol-version";

describe("headers that differ from the body are refused with the request's id", () => {
  test.each<[string, Change]>([
    ["a version that is missing", { headers: { [HEADER]: undefined } }],
    ["a version that is empty", { headers: { [HEADER]: "" } }],
    ["an earlier version", { headers: { [HEADER]: "2025-11-25" } }],
    ["two versions that are the same", { headers: { [HEADER]: ["2026-07-28", "2026-07-28"] } }],
    ["a version of the body that is earlier", { meta: { [VERSION]: "2025-11-25" } }],
    ["a method that is missing", { headers: { "mcp-method": undefined } }],
    ["a method that is another", { headers: { "mcp-method": "tools/call" } }],
    ["a method in another case", { headers: { "mcp-method": "TOOLS/LIST" } }],
    ["two methods", { headers: { "mcp-method": ["tools/list", "tools/list"] } }],
    ["a method with a no-break space", { headers: { "mcp-method": "tools/list\u00a0" } }],
    ["a name that is missing", { ...CALL, headers: { "mcp-name": undefined } }],
    ["a name that is empty", { ...CALL, headers: { "mcp-name": "" } }],
    ["a name that is another", { ...CALL, headers: { "mcp-name": "echo" } }],
    ["a name in another case", { ...CALL, headers: { "mcp-name": "Strict" } }],
    ["two names", { ...CALL, headers: { "mcp-name": ["strict", "strict"] } }],
    ["a name with a byte that is no ASCII", { ...CALL, headers: { "mcp-name": "strict\u00e9" } }],
    ["a name in bad base64", { ...CALL, headers: { "mcp-name": "=?base64?c3RyaWN0=?=" } }],
    ["a name in base64 of no UTF-8", { ...CALL, headers: { "mcp-name": "=?base64?/w==?=" } }],
    ["a name in base64 in another case", { ...CALL, headers: { "mcp-name": "=?BASE64?c3RyaWN0?=" } }],
    [
      "a name that has the name within",
      { ...CALL, headers: { "mcp-name": "=?base64?c3RyaWN0?= =?base64?c3RyaWN0?=" } },
    ],
  ])("%s", async (_name, change) => {
    const answer = await post({ ...change, id: "headers:1" });
    expectRefusal(answer, MISMATCH);
    expect(answer.json.id).toBe("headers:1");
  });

  test.each<[string, Headers]>([
    ["names in any case", { "mcp-method": undefined, "MCP-METHOD": "tools/call" }],
    ["white space around them", { "mcp-method": "\t tools/call \t", "mcp-name": "  strict  " }],
    ["a name in base64", { "mcp-name": "=?base64?c3RyaWN0?=" }],
    ["headers named as every object's members are", { constructor: "x", toString: "x" }],
    ["a parameter nobody declared", { "mcp-param-__proto__": "x", "mcp-param-region": "=?base64?%%?=" }],
  ])("%s do no harm", async (_name, headers) => {
    const named = Object.fromEntries([...Object.entries(headers), ["__proto__", "x"]]);
    const answer = await post({ ...CALL, headers: named });
    expect([answer.status, answer.json.result.resultType]).toEqual([200, "complete"]);
  });
});

describe("methods that this revision does not have", () => {
  test.each([
    "initialize",
    "ping",
    "logging/setLevel",
    "resources/subscribe",
    "resources/unsubscribe",
    "roots/list",
    "sampling/createMessage",
    "tools/destroy",
    "__proto__",
    "constructor",
    "toString",
    "Tools/List",
    "tools/list ",
  ])("%j is answered 404 with the same id", async (rpc) => {
    for (const id of [7, "seven", "", 0, -1]) {
      const answer = await post({ rpc, id, params: { name: "strict", uri: "x", level: "info" } });
      // A method with a space at its end cannot be mirrored: what HTTP trims is no part of a value.
      expectRefusal(answer, rpc.trim() === rpc ? [404, -32601, "method_unknown"] : MISMATCH);
      expect(answer.json.id).toBe(id);
    }
  });

  test("a session is none of this revision's, whatever it is: there is nothing to GET or to DELETE", async () => {
    for (const method of ["GET", "DELETE"]) {
      const { authorization = "" } = mcpMessage(server.acme.token, "x").headers;
      for (const session of [{}, { "mcp-session-id": "ses_00000000000000000000000000" }]) {
        const headers = { authorization, [HEADER]: "2026-07-28", ...session };
        connection.write(rawRequest(server.acme.mcp, { method, headers }));
        const answer = await connection.answer();
        expectRefusal(answer, [405, -31405, "method_not_allowed"]);
        expect(answer.headers.get("allow")).toBe("GET, POST, DELETE");
      }
    }
  });
});

describe("a foreign Host or Origin", () => {
  const foreign: [string, Headers][] = [
    ["a host", { host: "evil.example.com" }],
    ["a host that begins with ours", { host: "127.0.0.1.evil.example.com" }],
    ["two hosts", { host: ["127.0.0.1", "evil.example.com"] }],
    ["an origin", { origin: "https://evil.example.com" }],
    ["an origin on another port", { origin: "http://127.0.0.1:1" }],
    ["the origin of a file", { origin: "null" }],
  ];
  test.each(foreign)(
    "%s is refused 403, to every method, before anybody is known",
    async (_name, headers) => {
      for (const method of ["POST", "GET", "DELETE"]) {
        for (const token of [server.acme.token, null]) {
          const good = mcpMessage(token, "tools/list");
          const own = await RawConnection.open(server.url);
          own.write(
            rawRequest(server.acme.mcp, {
              method,
              headers: { ...good.headers, ...headers },
              body: good.body,
            }),
          );
          const answer = await own.answer();
          expect([
            answer.status,
            answer.json.error.code,
            answer.json.error.data.code,
            answer.json.id,
          ]).toEqual([403, -31403, "host_refused", null]);
          expect(answer.headers.get("www-authenticate")).toBeUndefined();
          // Its body was not read: what follows must not be taken for a request.
          expect(answer.headers.get("connection")).toBe("close");
          await own.closed;
        }
      }
    },
  );

  test("the names of this machine are ours, and Host is case-insensitive", async () => {
    const { port } = new URL(server.url);
    for (const name of ["127.0.0.1", "localhost", "LocalHost", "[::1]"]) {
      const headers = { host: `${name}:${port}`, origin: `http://${name.toLowerCase()}:${port}` };
      expect((await post({ headers })).status).toBe(200);
    }
  });
});
