import type { IncomingHttpHeaders } from "node:http";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ERROR_TABLE } from "../../src/core/error-table.ts";
import { isRefusal } from "../../src/core/refusal.ts";
import { isEarlierGeneration } from "../../src/protocol/era.ts";
import { errorResponse, parseBody } from "../../src/protocol/json-rpc.ts";
import type { McpRequest } from "../../src/protocol/mcp-request.ts";
import { checkRequest } from "../../src/protocol/revision-2026-07-28.ts";

/**
 * Requests that are right, changed at a few places: bytes of the body, and headers. What is let through is judged once
 * more by the rules of the specification, written anew here; what is refused is refused in words of the table.
 */
const RUNS = 100_000;

const META = "io.modelcontextprotocol/";
const bodies = [
  { method: "tools/call", params: { name: "add", arguments: { a: 1, region: "eu" } } },
  { method: "tools/list", params: { cursor: "x" } },
  { method: "resources/read", params: { uri: "desk://tickets/7" } },
  { method: "prompts/get", params: { name: "reply", arguments: { tone: "kind" } } },
  { method: "server/discover", params: {} },
  { method: "completion/complete", params: { ref: { type: "ref/prompt", name: "reply" } } },
  { method: "initialize", params: { protocolVersion: "2025-11-25", capabilities: {} } },
  { method: "nothing/known", params: {} },
  { method: "tools/list", params: {}, version: "2099-01-01" },
].map(({ method, params, version = "2026-07-28" }) => ({
  text: JSON.stringify({
    jsonrpc: "2.0",
    id: 7,
    method,
    params: {
      ...params,
      _meta: {
        [`${META}protocolVersion`]: version,
        [`${META}clientInfo`]: { name: "c", version: "1" },
        [`${META}clientCapabilities`]: { elicitation: {} },
        [`${META}logLevel`]: "info",
        progressToken: 3,
      },
    },
  }),
  headers: {
    "mcp-protocol-version": version,
    "mcp-method": method,
    ...("name" in params ? { "mcp-name": params.name } : "uri" in params ? { "mcp-name": params.uri } : {}),
  } as IncomingHttpHeaders,
}));

const bodyChange = fc.record({
  at: fc.nat(700),
  remove: fc.nat(6),
  insert: fc.constantFrom(
    "",
    "",
    "",
    "[",
    "{",
    "}",
    '"',
    "\\u0000",
    "\\ud800",
    "null",
    "9e999",
    '"__proto__":{"id":1},',
    '"id":"x",',
    "\u00e9",
    "\uFEFF",
    "0",
  ),
});
const headerChange = fc.record({
  name: fc.constantFrom(
    "mcp-protocol-version",
    "mcp-method",
    "mcp-name",
    "mcp-session-id",
    "mcp-param-region",
  ),
  value: fc.constantFrom(
    undefined,
    "",
    " tools/call\t",
    "tools/call",
    "add",
    "ADD",
    "2025-11-25",
    "2026-07-28",
    "1999-01-01",
    "=?base64?YWRk?=",
    "=?base64?YWRk",
    "ses_0",
    "desk://tickets/7",
  ),
});

/** The rules of the envelope and of the headers ("_meta", "Server Validation"), for a request that was let through. */
function judge(body: Uint8Array, headers: IncomingHttpHeaders, request: McpRequest): void {
  const sent = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body));
  const meta = sent.params._meta;
  const strip = (value: unknown): string => String(value).replace(/^[ \t]+|[ \t]+$/g, "");
  expect(request.id).toBe(sent.id);
  expect(request.method).toBe(sent.method);
  expect(meta[`${META}protocolVersion`]).toBe("2026-07-28");
  expect(strip(headers["mcp-protocol-version"])).toBe("2026-07-28");
  expect(strip(headers["mcp-method"])).toBe(sent.method);
  expect(typeof meta[`${META}clientCapabilities`]).toBe("object");
  expect(Array.isArray(meta[`${META}clientCapabilities`])).toBe(false);
  const named = { "tools/call": "name", "prompts/get": "name", "resources/read": "uri" }[
    sent.method as string
  ];
  if (named === undefined) return;
  const header = strip(headers["mcp-name"]);
  const encoded = /^=\?base64\?(.*)\?=$/.exec(header);
  const said = encoded === null ? header : Buffer.from(encoded[1] ?? "", "base64").toString();
  expect(said).toBe(sent.params[named]);
  expect(request.name).toBe(sent.params[named]);
}

test("whatever comes is a request that keeps the rules, or a refusal that says which it broke", () => {
  let through = 0;
  const refused = new Set<string>();
  fc.assert(
    fc.property(
      fc.nat(bodies.length - 1),
      fc.array(bodyChange, { maxLength: 2 }),
      fc.array(headerChange, { maxLength: 2 }),
      (which, bodyChanges, headerChanges) => {
        const template = bodies[which];
        if (template === undefined) return;
        let { text } = template;
        for (const { at, remove, insert } of bodyChanges) {
          const place = at % (text.length + 1);
          text = text.slice(0, place) + insert + text.slice(place + remove);
        }
        const headers: IncomingHttpHeaders = { ...template.headers };
        for (const { name, value } of headerChanges) {
          if (value === undefined) delete headers[name];
          else headers[name] = value;
        }
        const body = Buffer.from(text);
        const parsed = parseBody(body);
        if (isRefusal(parsed)) {
          refused.add(parsed.code);
          return;
        }
        if (isEarlierGeneration(parsed, headers) || parsed.kind !== "message" || parsed.id === undefined)
          return;
        const request = checkRequest(parsed, parsed.id, headers);
        if (isRefusal(request)) {
          refused.add(request.code);
          const answer = JSON.parse(errorResponse(parsed.id, request));
          expect(answer.id).toBe(parsed.id);
          expect(answer.error.code).toBe(ERROR_TABLE[request.code].rpc);
          return;
        }
        through++;
        judge(body, headers, request);
      },
    ),
    { numRuns: RUNS },
  );
  // Enough of both, or the changes were too many or too few to say anything.
  expect(through).toBeGreaterThan(RUNS / 10);
  for (const code of [
    "parse_error",
    "message_invalid",
    "envelope_invalid",
    "header_mismatch",
    "version_unsupported",
    "method_unknown",
    "params_invalid",
  ])
    expect(refused).toContain(code);
});
