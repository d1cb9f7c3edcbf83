import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defineServer, defineTool } from "../../src/catalog/define.ts";
import { callTool, type HttpAnswer, mcp, mcpMessage, send } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

const readOnly = { annotations: { readOnlyHint: true } };
const server = defineServer({
  name: "shop",
  title: "Shop",
  version: "1.2.3",
  instructions: "Buy.",
  tools: [
    defineTool({
      name: "sell",
      description: "Sells.",
      input: { type: "object", properties: { item: { type: "string" } } },
      ...readOnly,
      run: ({ item }) => ({ sold: item ?? "nothing" }),
    }),
    defineTool({
      name: "query",
      description: "Mirrors its arguments.",
      ...readOnly,
      input: {
        type: "object",
        properties: {
          region: { type: "string", "x-mcp-header": "Region" },
          level: { type: "integer", "x-mcp-header": "Level" },
          dry: { type: "boolean", "x-mcp-header": "Dry-Run" },
          options: {
            type: "object",
            properties: { limit: { type: "integer", "x-mcp-header": "Limit" } },
          },
        },
      },
      run: (args) => args,
    }),
  ],
});

let running: TestServer;
beforeAll(async () => {
  running = await startTestServer({ server });
});
afterAll(() => running.close());

describe("on the wire, to the last character", () => {
  const call = (name: string, id: number | string, args: Record<string, unknown> = {}) => {
    const { headers, body } = mcpMessage(running.acme.token, "tools/call", { name, arguments: args });
    return send(running.acme.mcp, { headers, body: body.replace('"id":1,', `"id":${JSON.stringify(id)},`) });
  };
  const headersOf = ({ headers }: HttpAnswer) =>
    Object.fromEntries(
      Object.entries(headers).filter(([name]) => !["date", "connection", "keep-alive"].includes(name)),
    );

  test("a result", async () => {
    const answer = await call("sell", 7, { item: "tea é 😀" });
    expect(answer.status).toBe(200);
    expect(answer.text).toBe(
      '{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","content":[{"type":"text","text":"{\\"sold\\":\\"tea é 😀\\"}"}],"structuredContent":{"sold":"tea é 😀"},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"shop","title":"Shop","version":"1.2.3"}}}}',
    );
    expect(headersOf(answer)).toEqual({
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(answer.text)),
      "cache-control": "no-store",
    });
  });

  test("an error", async () => {
    const answer = await call("steal", 'a"\u2028b');
    expect(answer.status).toBe(200);
    expect(answer.text).toBe(
      '{"jsonrpc":"2.0","id":"a\\"\u2028b","error":{"code":-32602,"message":"Unknown tool.","data":{"code":"tool_unknown","remedy":"tools/list names the tools you may call."}}}',
    );
    expect(headersOf(answer)).toEqual({
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(answer.text)),
      "cache-control": "no-store",
    });
  });

  test("an error before the body was read has no id and ends the connection", async () => {
    const answer = await mcp(running.acme.mcp, null, "tools/list");
    expect(answer.status).toBe(401);
    expect(answer.headers.connection).toBe("close");
    expect(answer.text).toMatch(
      /^\{"jsonrpc":"2\.0","id":null,"error":\{"code":-31401,"message":"[^"]*","data":\{.*"code":"credentials_missing","remedy":"[^"]*"\}\}\}$/,
    );
  });

  test("server/discover", async () => {
    const answer = await mcp(running.acme.mcp, running.acme.token, "server/discover");
    expect(answer.text).toBe(
      '{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true},"logging":{}},"instructions":"Buy.","ttlMs":60000,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"shop","title":"Shop","version":"1.2.3"}}}}',
    );
  });

  test("a list", async () => {
    const answer = await mcp(running.acme.mcp, running.acme.token, "prompts/list");
    expect(answer.text).toBe(
      '{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","prompts":[],"ttlMs":5000,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"shop","title":"Shop","version":"1.2.3"}}}}',
    );
  });
});

describe("arguments mirrored into headers", () => {
  /** Calls `query` with arguments and with these headers, sent as they are. */
  async function query(args: Record<string, unknown>, headers: Record<string, string | string[]>) {
    const good = mcpMessage(running.acme.token, "tools/call", { name: "query", arguments: args });
    const answer = await send(running.acme.mcp, {
      headers: { ...good.headers, ...headers },
      body: good.body,
    });
    return answer.status === 200
      ? (answer.json.result.structuredContent ?? answer.json.result.content[0].text)
      : `${answer.status} ${answer.json.error.code} ${answer.json.error.message}`;
  }
  const MISMATCH =
    "400 -32020 Header mismatch: a required header is missing or differs from the body. mcp-param-";
  const base64 = (text: string) => `=?base64?${Buffer.from(text).toString("base64")}?=`;

  test.each<[string, Record<string, unknown>, Record<string, string>]>([
    ["none", {}, {}],
    ["null, without a header", { options: null }, {}],
    ["a text", { region: "us-west1" }, { "Mcp-Param-Region": "us-west1" }],
    ["a header's name in another case", { region: "eu" }, { "MCP-PARAM-REGION": "eu" }],
    ["white space around it", { region: "eu" }, { "Mcp-Param-Region": "  eu \t" }],
    ["base64", { region: "Zürich\n" }, { "Mcp-Param-Region": base64("Zürich\n") }],
    ["base64 of what needs none", { region: "eu" }, { "Mcp-Param-Region": base64("eu") }],
    ["an empty text", { region: "" }, { "Mcp-Param-Region": "" }],
    ["an integer", { level: 42 }, { "Mcp-Param-Level": "42" }],
    ["an integer as 42.0", { level: 42 }, { "Mcp-Param-Level": "42.0" }],
    ["a negative integer", { level: -7 }, { "Mcp-Param-Level": "-7" }],
    ["a boolean", { dry: false }, { "Mcp-Param-Dry-Run": "false" }],
    ["a nested one", { options: { limit: 5 } }, { "Mcp-Param-Limit": "5" }],
    ["a header that no argument has", { dry: true }, { "Mcp-Param-Dry-Run": "true", "Mcp-Param-Other": "x" }],
  ])("are accepted: %s", async (_what, args, headers) => {
    // ajv knows no null here: the call reaches the check of its arguments, which is what the headers let through.
    const expected =
      args.options === null ? "Invalid arguments: options: must be object" : JSON.parse(JSON.stringify(args));
    expect(await query(args, headers)).toEqual(expected);
  });

  test.each<[string, Record<string, unknown>, Record<string, string | string[]>, string]>([
    ["one missing", { region: "eu" }, {}, "region is missing."],
    ["one of two missing", { region: "eu", level: 1 }, { "Mcp-Param-Region": "eu" }, "level is missing."],
    ["another value", { region: "eu" }, { "Mcp-Param-Region": "us" }, "region differs from the body."],
    ["another case", { region: "eu" }, { "Mcp-Param-Region": "EU" }, "region differs from the body."],
    [
      "the same header twice",
      { region: "eu" },
      { "Mcp-Param-Region": ["eu", "us"] },
      "region differs from the body.",
    ],
    [
      "broken base64",
      { region: "Hello" },
      { "Mcp-Param-Region": "=?base64?SGVsbG8?=" },
      "region differs from the body.",
    ],
    [
      "bytes beyond ASCII",
      { region: "é" },
      { "Mcp-Param-Region": Buffer.from("é").toString("latin1") },
      "region differs from the body.",
    ],
    ["another integer", { level: 42 }, { "Mcp-Param-Level": "43" }, "level differs from the body."],
    ["nearly an integer", { level: 42 }, { "Mcp-Param-Level": "42.5" }, "level differs from the body."],
    [
      "a boolean in capitals",
      { dry: true },
      { "Mcp-Param-Dry-Run": "TRUE" },
      "dry-run differs from the body.",
    ],
    [
      "a header without its argument",
      {},
      { "Mcp-Param-Region": "eu" },
      "region stands for an argument that is not there.",
    ],
    [
      "a header of a null",
      { region: null },
      { "Mcp-Param-Region": "null" },
      "region stands for an argument that is not there.",
    ],
    [
      "a header at another depth",
      { limit: 5 },
      { "Mcp-Param-Limit": "5" },
      "limit stands for an argument that is not there.",
    ],
    [
      "an object that cannot be made a text",
      { region: { toString: 1, valueOf: 1 } },
      { "Mcp-Param-Region": "x" },
      "region differs from the body.",
    ],
    ["a list of one", { region: ["eu"] }, { "Mcp-Param-Region": "eu" }, "region differs from the body."],
  ])("are refused: %s", async (_what, args, headers, why) => {
    expect(await query(args, headers)).toBe(MISMATCH + why);
  });

  test("harm nothing else: no fault is logged", () => {
    expect(running.instances[0].log().filter((line) => line.event === "fault")).toEqual([]);
  });
});

describe("a body at the tenant's limit", () => {
  const LIMIT = 5_000;
  let headers: Record<string, string>;
  let body: string;
  const padded = (bytes: number) => body.padEnd(bytes);

  beforeAll(async () => {
    ({ headers, body } = mcpMessage(running.acme.token, "tools/call", { name: "sell", arguments: {} }));
    await running.admin("PATCH", "/tenants/acme", { limits: { maxRequestBytes: LIMIT } });
  });

  /** Sends a body in chunks, without saying how long it is. */
  const chunked = (text: string) =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const req = request(running.acme.mcp, { method: "POST", agent: false, headers }, (res) => {
        let received = "";
        res.on("data", (part: Buffer) => {
          received += part.toString();
        });
        res.on("end", () => resolve({ status: res.statusCode ?? 0, text: received }));
      });
      req.on("error", reject);
      for (let at = 0; at < text.length; at += 1_000) req.write(text.slice(at, at + 1_000));
      req.end();
    });

  test("is read, with its length and without", async () => {
    expect((await send(running.acme.mcp, { headers, body: padded(LIMIT) })).status).toBe(200);
    expect((await chunked(padded(LIMIT))).status).toBe(200);
  });

  test("and one byte more is not, with its length and without", async () => {
    for (const answer of [
      await send(running.acme.mcp, { headers, body: padded(LIMIT + 1) }),
      await chunked(padded(LIMIT + 1)),
    ]) {
      expect(answer.status).toBe(413);
      expect(JSON.parse(answer.text)).toMatchObject({
        id: null,
        error: { code: -31413, data: { code: "body_too_large", limit: LIMIT } },
      });
    }
  });

  test("of another tenant is that tenant's own", async () => {
    const good = mcpMessage(running.globex.token, "tools/call", { name: "sell", arguments: {} });
    const answer = await callTool(running.globex.mcp, running.globex.token, "sell", {
      item: "x".repeat(LIMIT),
    });
    expect(answer.status).toBe(200);
    expect((await send(running.globex.mcp, { ...good, body: good.body.padEnd(LIMIT + 1) })).status).toBe(200);
  });
});
