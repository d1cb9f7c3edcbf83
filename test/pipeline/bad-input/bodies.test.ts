import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openSession, type TestSession } from "../../support/earlier-session.ts";
import { META, mcpMessage } from "../../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../../support/running-server.ts";
import { createHardenedServer } from "./hardened-server.ts";
import { chunk, type RawAnswer, RawConnection, rawRequest } from "./raw-connection.ts";

const hardened = createHardenedServer();
let server: TestServer;
let session: TestSession;
let connection: RawConnection;
const LIMIT = 1_048_576;
const GENERATIONS = ["2026-07-28", "2025-11-25"] as const;
type Generation = (typeof GENERATIONS)[number];

beforeAll(async () => {
  server = await startTestServer({ server: hardened.definition });
  session = await openSession(server.acme.mcp, server.acme.token);
  connection = await RawConnection.open(server.url);
});
afterAll(async () => {
  connection.destroy();
  await server.close();
});
beforeEach(async () => {
  if (!connection.isOpen) connection = await RawConnection.open(server.url);
});

/** The headers of a generation's messages; of the current one, those of a call of `echo`. */
function headersOf(generation: Generation): Record<string, string> {
  return generation === "2025-11-25"
    ? { ...session.headers, "content-type": "application/json" }
    : mcpMessage(server.acme.token, "tools/call", { name: "echo" }).headers;
}

/** A call of `echo` as JSON, with these pieces of JSON in it. */
function call(
  generation: Generation,
  { id = "1", args = "{}", meta = "" }: { id?: string; args?: string; meta?: string } = {},
): string {
  const members = [
    ...(generation === "2026-07-28" ? [JSON.stringify(META).slice(1, -1)] : []),
    ...(meta === "" ? [] : [meta]),
  ];
  return `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"echo","arguments":${args},"_meta":{${members}}}}`;
}

async function post(generation: Generation, body: string | Uint8Array): Promise<RawAnswer> {
  if (!connection.isOpen) connection = await RawConnection.open(server.url);
  connection.write(rawRequest(server.acme.mcp, { headers: headersOf(generation), body }));
  return connection.answer();
}

function codesOf({ status, json }: RawAnswer): unknown[] {
  return [status, json.error?.code, json.error?.data.code, json.id];
}

async function expectServing(generation: Generation): Promise<void> {
  expect((await post(generation, call(generation))).json.result.content).toHaveLength(1);
}

/** Of a body that was read: the connection goes on. */
async function expectReadAndRefused(
  generation: Generation,
  body: string | Uint8Array,
  expected: readonly unknown[],
): Promise<void> {
  const answer = await post(generation, body);
  expect(codesOf(answer)).toEqual(expected);
  expect(answer.headers.get("connection")).toBe("keep-alive");
  await expectServing(generation);
}

/** The longest id, as JSON. */
const LONGEST = `"${"x".repeat(512)}"`;
const PARSE = [400, -32700, "parse_error", null];
const INVALID = [400, -32600, "message_invalid", null];
const utf16 = (text: string, bom: string): Buffer => Buffer.from(bom + text, "utf16le");

describe.each(GENERATIONS)("on %s", (generation) => {
  test.each<[string, () => string | Uint8Array]>([
    ["empty", () => ""],
    ["white space", () => " \r\n\t "],
    ["no JSON", () => "hello"],
    ["JSON with something after it", () => `${call(generation)}x`],
    ["two messages", () => call(generation) + call(generation)],
    ["JSON cut off", () => call(generation).slice(0, -1)],
    ["JSON with a comment", () => `/**/${call(generation)}`],
    ["JSON with a comma too many", () => '{"jsonrpc":"2.0",}'],
    ["NaN", () => call(generation, { args: '{"a":NaN}' })],
    ["a control character in a text", () => call(generation, { args: '{"a":"\u0000"}' })],
    ["with a byte order mark", () => `\uFEFF${call(generation)}`],
    ["UTF-16 with a byte order mark", () => utf16(call(generation), "\uFEFF")],
    ["UTF-16 without one", () => utf16(call(generation), "")],
    ["Latin-1", () => Buffer.from(call(generation, { args: '{"a":"\u00e9"}' }), "latin1")],
    ["an overlong form", () => bytesIn(call(generation, { args: '{"a":"?"}' }), [0xc0, 0xaf])],
    ["half of a surrogate pair", () => bytesIn(call(generation, { args: '{"a":"?"}' }), [0xed, 0xa0, 0x80])],
    ["a character cut off", () => bytesIn(call(generation, { args: '{"a":"?"}' }), [0xf0, 0x9f, 0x98])],
    ["nested 100,000 times", () => call(generation, { args: nested(100_000) })],
    ["lists nested 400,000 times", () => "[".repeat(400_000) + "]".repeat(400_000)],
    ["nested 100,000 times and cut off", () => '{"a":'.repeat(100_000)],
  ])("a body is refused as no JSON: %s", async (_name, body) => {
    await expectReadAndRefused(generation, body(), PARSE);
  });

  test.each(
    [
      "null",
      "true",
      "1.5",
      "1e400",
      "-1e400",
      "9007199254740992",
      "[]",
      "[1]",
      "{}",
      `"${"x".repeat(513)}"`,
    ].map(shown),
  )("an id of %s is none, and is not sent back", async (_shown, id) => {
    await expectReadAndRefused(generation, call(generation, { id }), INVALID);
  });

  test.each<[string, string | number]>([
    ["0", 0],
    ["-1", -1],
    ["1.0", 1],
    ["1e2", 100],
    ["9007199254740991", 9007199254740991],
    ['""', ""],
    ['"1"', "1"],
    ['"__proto__"', "__proto__"],
    ['"\\ud800\\n\\u0000\\""', '\ud800\n\0"'],
    [LONGEST, LONGEST.slice(1, -1)],
  ])("an id of %s is sent back as it is", async (id, same) => {
    const answer = await post(generation, call(generation, { id }));
    expect([answer.status, answer.json.id]).toEqual([200, same]);
  });

  test.each([
    ["a text", '"hello"'],
    ["a number", "1"],
    ["null", "null"],
    ["an empty object", "{}"],
    ["no version", '{"id":1,"method":"tools/list"}'],
    ["another version", '{"jsonrpc":"1.0","id":1,"method":"tools/list"}'],
    ["a version that is a number", '{"jsonrpc":2.0,"id":1,"method":"tools/list"}'],
    ["a method that is no text", '{"jsonrpc":"2.0","id":1,"method":["tools/list"]}'],
    ["a method that is empty", '{"jsonrpc":"2.0","id":1,"method":""}'],
    ["params that are a list", '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]}'],
    ["params of null", '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":null}'],
    ["a result and an error", '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}'],
    ["a result that is no object", '{"jsonrpc":"2.0","id":1,"result":7}'],
    ["a response without an id", '{"jsonrpc":"2.0","result":{}}'],
    ["members that are inherited", '{"__proto__":{"jsonrpc":"2.0","id":1,"method":"tools/list"}}'],
  ])("JSON that is no message is refused: %s", async (_name, body) => {
    await expectReadAndRefused(generation, body, INVALID);
  });

  test("of two members of the same name the last counts, and headers are compared with that one", async () => {
    const twice = call(generation, { id: '1,"id":2' });
    expect((await post(generation, twice)).json.id).toBe(2);
    const other = call(generation).replace('"name":"echo"', '"name":"echo","name":"hold"');
    const named = call(generation).replace('"name":"echo"', '"name":"hold","name":"echo"');
    expect((await post(generation, named)).json.result.content).toHaveLength(1);
    if (generation === "2026-07-28")
      await expectReadAndRefused(generation, other, [400, -32020, "header_mismatch", 1]);
    expect(hardened.holding()).toBe(0);
  });

  test("a tool, a prompt or a resource named as every object's members are is not there", async () => {
    for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty", ""]) {
      for (const [rpc, parameter, code] of [
        ["tools/call", "name", "tool_unknown"],
        ["prompts/get", "name", "prompt_unknown"],
        ["resources/read", "uri", "resource_unknown"],
      ] as const) {
        const answer = await request(generation, rpc, { [parameter]: name });
        const rpcCode = code === "resource_unknown" && generation === "2025-11-25" ? -32002 : -32602;
        expect(codesOf(answer)).toEqual([200, rpcCode, code, 1]);
      }
    }
  });

  test("arguments named so are only data: own members of a plain object, or nothing", async () => {
    const args =
      '{"__proto__":{"text":"inherited","polluted":1},"constructor":{"prototype":{"polluted":1}},"toString":1}';
    const text = async (name: string): Promise<unknown> => {
      const answer = await request(generation, "tools/call", { name, arguments: JSON.parse(args) });
      return JSON.parse(answer.json.result.content[0].text);
    };
    expect(await text("echo")).toEqual({ own: ["__proto__", "constructor", "toString"], plain: true });
    expect(await text("strict")).toEqual({ own: [], plain: true });
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test("a prompt's arguments and a resource's variables may have such names", async () => {
    const none = await request(generation, "prompts/get", { name: "odd" });
    expect(textOf(none)).toEqual({ own: [], plain: true });
    const given = JSON.parse('{"__proto__":"a","constructor":"b","valueOf":"c"}');
    const some = await request(generation, "prompts/get", { name: "odd", arguments: given });
    expect(textOf(some)).toEqual({ own: ["constructor", "__proto__"], plain: true });
    const objects = JSON.parse('{"__proto__":{"toString":"x"}}');
    const wrong = await request(generation, "prompts/get", { name: "odd", arguments: objects });
    expect(codesOf(wrong)).toEqual([200, -32602, "params_invalid", 1]);
    const read = await request(generation, "resources/read", { uri: "odd://a/b" });
    expect(JSON.parse(read.json.result.contents[0].text)).toEqual({
      own: ["__proto__", "constructor"],
      plain: true,
    });
    const completed = await request(generation, "completion/complete", {
      ref: { type: "ref/prompt", name: "odd" },
      argument: { name: "valueOf", value: "" },
      context: { arguments: given },
    });
    expect(codesOf(completed)).toEqual([200, -32602, "params_invalid", 1]);
  });

  test("a body that declares to be too large is refused before it comes", async () => {
    connection.write(rawRequest(server.acme.mcp, { headers: headersOf(generation), length: LIMIT + 1 }));
    await expectTooLarge();
  });

  test("a body in chunks is refused as soon as it is too large", async () => {
    const headers = { ...headersOf(generation), "transfer-encoding": "chunked" };
    connection.write(rawRequest(server.acme.mcp, { headers, length: null }));
    connection.write(chunk(" ".repeat(LIMIT)));
    connection.write(chunk(" "));
    await expectTooLarge();
  });

  async function expectTooLarge(): Promise<void> {
    const answer = await connection.answer();
    expect(codesOf(answer)).toEqual([413, -31413, "body_too_large", null]);
    expect(answer.json.error.data.limit).toBe(LIMIT);
    expect(answer.headers.get("connection")).toBe("close");
    await connection.closed;
  }

  test("a _meta of a million entries is too large, and one of as many as may be sent is taken", async () => {
    // Names that are numbers are parsed much faster than others.
    const entries = (count: number): string => Array.from({ length: count }, (_, i) => `"${i}":0`).join(",");
    expect((await post(generation, call(generation, { meta: entries(90_000) }))).status).toBe(200);
    const million = call(generation, { meta: entries(1_000_000) });
    expect(codesOf(await post(generation, million))).toEqual([413, -31413, "body_too_large", null]);
    // One generation will do: it takes its time.
    if (generation === "2025-11-25") return;
    await server.admin("PATCH", "/tenants/acme", { limits: { maxRequestBytes: 16_000_000 } });
    try {
      expect((await post(generation, million)).status).toBe(200);
    } finally {
      await server.admin("PATCH", "/tenants/acme", { limits: {} });
    }
  });

  test("a body that ends before its length leaves nothing behind", async () => {
    await server.admin("PATCH", "/tenants/acme", { limits: { maxConcurrency: 1 } });
    try {
      // The first one under a new configuration has its token verified again, which takes turns of the event loop.
      await expectServing(generation);
      const body = call(generation).replace("echo", "hold");
      const length = body.length + 10;
      for (const leave of ["end", "destroy"] as const) {
        const own = await RawConnection.open(server.url);
        const headers = { ...headersOf(generation), "mcp-name": "hold", expect: "100-continue" };
        own.write(rawRequest(server.acme.mcp, { headers, length, body }));
        // Said when the request is handed on: it has the tenant's one place.
        expect((await own.answer()).status).toBe(100);
        expect((await post(generation, call(generation))).status).toBe(429);
        own[leave]();
        await own.closed;
        await expect.poll(async () => (await post(generation, call(generation))).status).toBe(200);
        expect(hardened.holding()).toBe(0);
      }
    } finally {
      await server.admin("PATCH", "/tenants/acme", { limits: {} });
    }
  });

  /** A request with params that have any names. */
  async function request(of: Generation, rpc: string, params: Record<string, unknown>): Promise<RawAnswer> {
    const headers = of === "2025-11-25" ? headersOf(of) : mcpMessage(server.acme.token, rpc, params).headers;
    const message = {
      jsonrpc: "2.0",
      id: 1,
      method: rpc,
      params: of === "2025-11-25" ? params : { ...params, _meta: META },
    };
    connection.write(rawRequest(server.acme.mcp, { headers, body: JSON.stringify(message) }));
    return connection.answer();
  }
});

/** With as much of a text as a test's name may have. */
function shown(text: string): [string, string] {
  return [text.slice(0, 20), text];
}

function textOf(answer: RawAnswer): unknown {
  return JSON.parse(answer.json.result.messages[0].content.text);
}

/** A text as bytes, with others in place of its question mark. */
function bytesIn(text: string, bytes: readonly number[]): Uint8Array {
  const [before = "", after = ""] = text.split("?");
  return Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)]);
}

function nested(times: number): string {
  return `${'{"a":'.repeat(times)}1${"}".repeat(times)}`;
}
