import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERROR_TABLE, type ErrorCode } from "../../src/core/error-table.ts";
import { isRefusal, refuse } from "../../src/core/refusal.ts";
import { errorResponse, member, parseBody, resultResponse } from "../../src/protocol/json-rpc.ts";
import { checkRequest } from "../../src/protocol/revision-2026-07-28.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const codeOf = (body: string | Uint8Array): string => {
  const message = parseBody(typeof body === "string" ? bytes(body) : body);
  return isRefusal(message) ? message.code : message.kind;
};
const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The rules once more, by themselves (JSON-RPC 2.0 section 4; MCP 2026-07-28, basic, "Messages"). */
function expectedCode(value: unknown): string {
  if (Array.isArray(value)) return value.length > 0 && value.length <= 100 ? "batch" : "message_invalid";
  if (!isPlain(value)) return "message_invalid";
  const own = (name: string): unknown => (Object.hasOwn(value, name) ? value[name] : undefined);
  const id = own("id");
  const params = own("params");
  const goodId =
    id === undefined ||
    (typeof id === "string" && id.length <= 512) ||
    (typeof id === "number" && Number.isInteger(id) && Math.abs(id) <= 9_007_199_254_740_991);
  if (own("jsonrpc") === "2.0" && own("method") === undefined) {
    const [result, error] = [own("result"), own("error")];
    const either = (isPlain(result) && error === undefined) || (isPlain(error) && result === undefined);
    return goodId && id !== undefined && either ? "response" : "message_invalid";
  }
  const good =
    own("jsonrpc") === "2.0" &&
    typeof own("method") === "string" &&
    own("method") !== "" &&
    goodId &&
    (params === undefined || isPlain(params));
  return good ? "message" : "message_invalid";
}

/** Any text of 16-bit units, halves of surrogate pairs included. */
const units = fc
  .array(fc.oneof(fc.nat(0xffff), fc.integer({ min: 0xd800, max: 0xdfff }), fc.nat(0x7f)), { maxLength: 12 })
  .map((codes) => String.fromCharCode(...codes));
const json = fc.jsonValue({ maxDepth: 3 });
const member_ = <T>(likely: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 6, arbitrary: likely }, { weight: 1, arbitrary: json });
/** Objects that are messages, nearly messages, or far from it. */
const nearly = fc.record(
  {
    jsonrpc: member_(fc.constant("2.0")),
    id: member_(fc.oneof(fc.maxSafeInteger(), units, fc.double(), fc.constantFrom(0, "x".repeat(513)))),
    method: member_(fc.oneof(fc.constantFrom("tools/call", "ping", "__proto__"), units)),
    params: member_(fc.dictionary(fc.oneof(units, fc.constant("_meta")), json)),
    result: member_(fc.dictionary(units, json)),
    error: member_(fc.dictionary(units, json)),
    [`__proto__`]: json,
  },
  { requiredKeys: [] },
);

describe("a body", () => {
  test("of any bytes is a message or a refusal, and never an exception", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (body) => {
        expect(["message", "response", "batch", "parse_error", "message_invalid"]).toContain(codeOf(body));
      }),
      { numRuns: 2_000 },
    );
  });

  test("of any JSON is judged by the rules alone", () => {
    fc.assert(
      fc.property(fc.oneof(json, nearly), (value) => {
        const text = JSON.stringify(value);
        expect(codeOf(text)).toBe(expectedCode(JSON.parse(text)));
      }),
      { numRuns: 4_000 },
    );
  });

  test("that is a message gives its members back", () => {
    fc.assert(
      fc.property(
        fc.record({
          id: fc.oneof(fc.maxSafeInteger(), units),
          method: units.filter((text) => text !== ""),
          params: fc.dictionary(units, json),
        }),
        (message) => {
          const text = JSON.stringify({ jsonrpc: "2.0", ...message });
          expect(parseBody(bytes(text))).toEqual({
            kind: "message",
            ...JSON.parse(JSON.stringify(message)),
          });
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test("that ends early is no JSON", () => {
    fc.assert(
      fc.property(nearly, fc.nat(), (value, at) => {
        const whole = bytes(JSON.stringify(value));
        expect(codeOf(whole.subarray(0, at % whole.length))).toBe("parse_error");
      }),
      { numRuns: 2_000 },
    );
  });

  test("with a member twice means the last, as its one meaning everywhere", () => {
    fc.assert(
      fc.property(fc.array(json, { minLength: 2, maxLength: 4 }), (values) => {
        const members = values.map((value) => `"id":${JSON.stringify(value)}`).join(",");
        const text = `{"jsonrpc":"2.0",${members},"method":"ping"}`;
        const last = JSON.parse(JSON.stringify(values.at(-1)));
        expect(codeOf(text)).toBe(expectedCode({ jsonrpc: "2.0", id: last, method: "ping" }));
        const message = parseBody(bytes(text));
        if (!isRefusal(message)) expect(message).toMatchObject({ id: last });
      }),
      { numRuns: 500 },
    );
  });

  test.each<[string, string | Uint8Array, string]>([
    ["nothing", "", "parse_error"],
    ["a byte order mark", '\uFEFF{"jsonrpc":"2.0","method":"x"}', "parse_error"],
    ["UTF-16", Buffer.from('{"jsonrpc":"2.0","method":"x"}', "utf16le"), "parse_error"],
    [
      "half a surrogate pair in UTF-8",
      Buffer.concat([bytes('{"jsonrpc":"2.0","method":"'), Buffer.from([0xed, 0xa0, 0x80]), bytes('"}')]),
      "parse_error",
    ],
    [
      "an overlong slash",
      Buffer.concat([bytes('{"jsonrpc":"2.0","method":"'), Buffer.from([0xc0, 0xaf]), bytes('"}')]),
      "parse_error",
    ],
    ["two messages", '{"jsonrpc":"2.0","method":"x"}{"jsonrpc":"2.0","method":"x"}', "parse_error"],
    ["a comment", '{"jsonrpc":"2.0","method":"x"}//', "parse_error"],
    ["NaN", '{"jsonrpc":"2.0","method":"x","id":NaN}', "parse_error"],
    ["a number", "5", "message_invalid"],
    ["null", "null", "message_invalid"],
    ["a list of messages", '[{"jsonrpc":"2.0","method":"x"}]', "batch"],
    ["an empty list", "[]", "message_invalid"],
    ["a list of 101 messages", `[${Array(101).fill('{"jsonrpc":"2.0","method":"x"}')}]`, "message_invalid"],
    ["a number as version", '{"jsonrpc":2.0,"method":"x"}', "message_invalid"],
    ["an id of 2^53", '{"jsonrpc":"2.0","method":"x","id":9007199254740992}', "message_invalid"],
    ["an id of 1e400", '{"jsonrpc":"2.0","method":"x","id":1e400}', "message_invalid"],
    ["an id of 1e2, an integer", '{"jsonrpc":"2.0","method":"x","id":1e2}', "message"],
    ["white space around it", ' \r\n\t{"jsonrpc":"2.0","method":"x"} \n', "message"],
    ["half a surrogate pair, escaped", '{"jsonrpc":"2.0","method":"\\ud800","id":"\\udc00"}', "message"],
  ])("%s", (_what, body, code) => {
    expect(codeOf(body)).toBe(code);
  });

  test("nested a thousand deep is taken, and deeper is no JSON to us: it could be parsed, but not written again", () => {
    for (const [open, close] of [
      ["[", "]"],
      ['{"a":', "}"],
    ] as const) {
      const message = (depth: number) =>
        `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":${open.repeat(depth)}1${close.repeat(depth)}}}`;
      expect(codeOf(open.repeat(100_000))).toBe("parse_error");
      expect(codeOf(open.repeat(100_000) + close.repeat(100_000))).toBe("parse_error");
      for (const depth of [999, 100_000]) expect(codeOf(message(depth))).toBe("parse_error");
      // The message itself and its parameters are two.
      const deepest = parseBody(bytes(message(998)));
      expect(deepest).toMatchObject({ kind: "message" });
      if (!isRefusal(deepest) && deepest.kind === "message")
        expect(checkRequest(deepest, 1, {})).toMatchObject({ code: "envelope_invalid" });
    }
  });

  test("brackets within a text, and beside each other, are no depth", () => {
    const text = JSON.stringify(`${'"\\['.repeat(2_000)}\\`);
    const beside = `[${"[],{},".repeat(2_000)}[]]`;
    for (const value of [text, beside]) {
      expect(codeOf(`{"jsonrpc":"2.0","method":"x","params":{"a":${value}}}`)).toBe("message");
    }
    const after = `{"a":${text},"b":${"[".repeat(1_000)}${"]".repeat(1_000)}}`;
    expect(codeOf(after)).toBe("parse_error");
  });
});

describe("__proto__ and its like", () => {
  test("are data: they lend a message no member, and leave no trace", () => {
    const lent = '{"jsonrpc":"2.0","id":1,"method":"x","params":{}}';
    expect(codeOf(`{"__proto__":${lent}}`)).toBe("message_invalid");
    expect(codeOf(`{"jsonrpc":"2.0","constructor":${lent},"__proto__":${lent}}`)).toBe("message_invalid");
    const message = parseBody(
      bytes(`{"jsonrpc":"2.0","method":"x","params":{"__proto__":{"_meta":1,"name":"n"},"toString":2}}`),
    );
    if (isRefusal(message) || message.kind !== "message") throw new TypeError("no message");
    expect(member(message.params, "_meta")).toBeUndefined();
    expect(member(message.params, "name")).toBeUndefined();
    expect(member(message.params, "toString")).toBe(2);
    expect(member(message.params, "hasOwnProperty")).toBeUndefined();
    expect(member(message.params, "__proto__")).toEqual({ _meta: 1, name: "n" });
    expect(({} as Record<string, unknown>)._meta).toBeUndefined();
  });
});

describe("a response", () => {
  test("repeats every id as it came", () => {
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeInteger(), units), (id) => {
        for (const text of [
          resultResponse(id, '"content":[]'),
          resultResponse(id, ""),
          errorResponse(id, refuse("tool_unknown")),
        ]) {
          expect(text.isWellFormed()).toBe(true);
          expect((JSON.parse(text) as { id: unknown }).id).toBe(id);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test("of every refusal has the table's code and text, and our code above all data", () => {
    for (const code of Object.keys(ERROR_TABLE) as ErrorCode[]) {
      const text = errorResponse(
        null,
        refuse(code, {
          detail: "Detail.",
          data: { code: "forged", limit: 1 },
          retryAfterMs: 5,
          cause: "hidden",
        }),
      );
      expect(JSON.parse(text)).toEqual({
        jsonrpc: "2.0",
        id: null,
        error: {
          code: ERROR_TABLE[code].rpc ?? -32603,
          message: `${ERROR_TABLE[code].text} Detail.`,
          data: { code, limit: 1, retryAfterMs: 5, remedy: ERROR_TABLE[code].remedy },
        },
      });
    }
  });
});
