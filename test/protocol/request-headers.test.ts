import type { IncomingHttpHeaders } from "node:http";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ParameterHeader } from "../../src/catalog/parameter-headers.ts";
import { isRefusal } from "../../src/core/refusal.ts";
import {
  checkParameterHeaders,
  checkRequest,
  decodeHeaderValue,
} from "../../src/protocol/revision-2026-07-28.ts";
import { META, VERSION } from "../support/mcp-request.ts";

const base64 = (value: string): string => `=?base64?${Buffer.from(value).toString("base64")}?=`;

/** What a client writes ("Value Encoding"). */
function encode(value: string): string {
  const plain =
    /^[\x20-\x7e\t]+$/.test(value) &&
    value === value.replace(/^[ \t]+|[ \t]+$/g, "") &&
    !(value.startsWith("=?base64?") && value.endsWith("?="));
  return plain ? value : base64(value);
}

/** What a header says: by a grammar, where the code under test encodes again. */
function reading(header: string): string | null {
  const text = header.replace(/^[ \t]+/, "").replace(/[ \t]+$/, "");
  const wrapped = /^=\?base64\?(.*)\?=$/s.exec(text);
  if (wrapped === null) return /^[\x20-\x7e\t]*$/.test(text) ? text : null;
  const inner = wrapped[1] ?? "";
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$/.test(inner))
    return null;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      Uint8Array.from(atob(inner), (char) => char.charCodeAt(0)),
    );
  } catch {
    return null;
  }
}

const wellFormed = fc.string({ unit: "binary", maxLength: 20 });
const ascii = fc.string({ unit: "grapheme-ascii", maxLength: 20 });
const tricky = fc.constantFrom(
  "",
  " ",
  "a ",
  "\ta",
  "=?base64?",
  "?=",
  "=?base64?=",
  "=?base64??=",
  "=?base64?SGVsbG8=?=",
  "=?BASE64?SGVsbG8=?=",
  "\uFEFFa",
  "a\0",
  "a\r\nX-Evil: 1",
  "\u00a0",
);
const value = fc.oneof(wellFormed, ascii, tricky);
/** Field values as Node gives them: bytes as Latin-1. */
const header = fc.oneof(
  value.map(encode),
  value.map(base64),
  value.map((text) => base64(text).replace("=?=", "?=")),
  value.map((text) => base64(text).replace("?=", "=?=")),
  value.map((text) => base64(text).toLowerCase()),
  fc
    .string({ unit: fc.constantFrom(..."=?base64SGVsbG8/+-_ "), maxLength: 24 })
    .map((text) => `=?base64?${text}?=`),
  fc.array(fc.nat(255), { maxLength: 12 }).map((codes) => String.fromCharCode(...codes)),
  value.map((text) => ` \t${encode(text)}\t `),
  value.map((text) => `\u00a0${encode(text)}`),
);

const REGION: readonly ParameterHeader[] = [{ header: "mcp-param-region", path: ["region"], type: "string" }];
const accepts = (declared: readonly ParameterHeader[], args: Record<string, unknown>, sent: string) =>
  checkParameterHeaders(declared, args, { [declared[0]?.header ?? ""]: sent }) === null;

describe("a header that mirrors a text", () => {
  test("is accepted as every client encodes it", () => {
    fc.assert(
      fc.property(value, (text) => {
        expect(decodeHeaderValue(encode(text))).toBe(text);
        expect(decodeHeaderValue(`\t ${encode(text)} \t`)).toBe(text);
        expect(accepts(REGION, { region: text }, encode(text))).toBe(true);
        expect(accepts(REGION, { region: text }, base64(text))).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });

  test("says what the grammar of the specification says, or nothing", () => {
    fc.assert(
      fc.property(header, (sent) => {
        expect(decodeHeaderValue(sent)).toBe(reading(sent));
      }),
      { numRuns: 4_000 },
    );
  });

  test("is refused for every other text", () => {
    fc.assert(
      fc.property(value, header, (text, sent) => {
        expect(accepts(REGION, { region: text }, sent)).toBe(reading(sent) === text);
      }),
      { numRuns: 3_000 },
    );
  });

  test.each<[header: string, value: string | null]>([
    ["us-west1", "us-west1"],
    ["=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界"],
    ["=?base64?IHBhZGRlZCA=?=", " padded "],
    ["=?base64?bGluZTEKbGluZTI=?=", "line1\nline2"],
    ["=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?="],
    ["=?base64??=", ""],
    ["=?base64?SGVsbG8?=", null],
    ["=?base64?SGVsbG8==?=", null],
    ["=?base64?SGVs!!!bG8=?=", null],
    ["=?base64?SGVsbG9=?=", null],
    ["=?base64? SGVsbG8=?=", null],
    ["=?base64?_-8=?=", null],
    ["=?base64?/w==?=", null],
    ["=?BASE64?SGVsbG8=?=", "=?BASE64?SGVsbG8=?="],
    ["=?base64?SGVsbG8=", "=?base64?SGVsbG8="],
    ["SGVsbG8=", "SGVsbG8="],
    ["=?base64?=", "=?base64?="],
    ["\u00e9", null],
    ["\u00a0a", null],
  ])("%s", (sent, text) => {
    expect(decodeHeaderValue(sent)).toBe(text);
  });

  test("takes no longer for 32 KB of spaces than for as many letters", () => {
    const begun = performance.now();
    for (let i = 0; i < 50; i++) decodeHeaderValue(`a${" ".repeat(32_000)}a`);
    expect(performance.now() - begun).toBeLessThan(1_000);
  });
});

describe("a header that mirrors something else", () => {
  const LEVEL: readonly ParameterHeader[] = [{ header: "mcp-param-level", path: ["level"], type: "integer" }];
  const DRY: readonly ParameterHeader[] = [{ header: "mcp-param-dry", path: ["dry"], type: "boolean" }];

  test("an integer: by its value, and in decimals alone", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.nat(5), fc.integer({ min: 1, max: 9 }), (level, zeros, digit) => {
        const is = (sent: string) => accepts(LEVEL, { level }, sent);
        expect([is(`${level}`), is(`${level}.${"0".repeat(zeros + 1)}`), is(base64(`${level}`))]).toEqual([
          true,
          true,
          true,
        ]);
        for (const sent of [
          `${level === 0 ? 1 : -level}`,
          `${level}${digit}`,
          `${level}.${"0".repeat(zeros)}${digit}`,
          `${level}.`,
          `+${level}`,
          `${level}e0`,
          `0x${level.toString(16)}`,
          `${level}n`,
          "",
        ])
          expect([sent, is(sent)]).toEqual([sent, false]);
      }),
      { numRuns: 500 },
    );
  });

  test("an integer beyond the safe range is refused, since several texts would be the same number", () => {
    const args = JSON.parse('{"level":9007199254740993}');
    for (const sent of ["9007199254740993", "9007199254740992"])
      expect(accepts(LEVEL, args, sent)).toBe(false);
    expect(accepts(LEVEL, { level: 9_007_199_254_740_991 }, "9007199254740991")).toBe(true);
  });

  test("a boolean: true or false, in small letters", () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.oneof(header, fc.constantFrom("true", "false", "True", "1", "0", "")),
        (dry, sent) => {
          expect(accepts(DRY, { dry }, sent)).toBe(reading(sent) === String(dry));
        },
      ),
      { numRuns: 500 },
    );
  });

  test("objects and lists have no header, whatever they would be as a text", () => {
    const hostile = JSON.parse('{"toString":1,"valueOf":1}');
    const deep = JSON.parse(`${"[".repeat(50_000)}${"]".repeat(50_000)}`);
    for (const region of [{}, ["a"], [[]], [], hostile, deep]) {
      for (const sent of ["a", "", "[object Object]", base64("")])
        expect(accepts(REGION, { region }, sent)).toBe(false);
    }
  });

  test("an argument that is absent or null has none; one that is there must have its own", () => {
    const nested: readonly ParameterHeader[] = [
      { header: "mcp-param-limit", path: ["options", "limit"], type: "integer" },
    ];
    const sent = { "mcp-param-limit": "5" };
    for (const args of [
      {},
      { options: null },
      { options: {} },
      { options: { limit: null } },
      { options: [5] },
      { options: "x" },
    ]) {
      expect(checkParameterHeaders(nested, args, {})).toBeNull();
      expect(checkParameterHeaders(nested, args, sent)).toMatchObject({
        code: "header_mismatch",
        detail: "mcp-param-limit stands for an argument that is not there.",
      });
    }
    expect(checkParameterHeaders(nested, { options: { limit: 5 } }, sent)).toBeNull();
    expect(checkParameterHeaders(nested, { options: { limit: 5 } }, {})).toMatchObject({
      code: "header_mismatch",
      detail: "mcp-param-limit is missing.",
    });
    expect(checkParameterHeaders(nested, { options: { limit: 6 } }, sent)).toMatchObject({
      detail: "mcp-param-limit differs from the body.",
    });
  });

  test("what an object inherits is no argument", () => {
    const inherited: readonly ParameterHeader[] = [
      { header: "mcp-param-a", path: ["constructor", "name"], type: "string" },
      { header: "mcp-param-b", path: ["__proto__"], type: "string" },
    ];
    expect(checkParameterHeaders(inherited, {}, {})).toBeNull();
    expect(checkParameterHeaders(inherited, {}, { "mcp-param-a": "Object" })).not.toBeNull();
    const own = JSON.parse('{"__proto__":"x"}');
    expect(checkParameterHeaders(inherited, own, { "mcp-param-b": "x" })).toBeNull();
  });

  test("a header that no tool declares is of no interest", () => {
    expect(checkParameterHeaders([], { region: "a" }, { "mcp-param-region": "b" })).toBeNull();
  });
});

describe("the standard headers", () => {
  const METHODS = [
    "server/discover",
    "tools/list",
    "resources/list",
    "resources/templates/list",
    "prompts/list",
  ];
  const request = fc.oneof(
    fc.record({
      method: fc.constantFrom(...METHODS),
      params: fc.dictionary(fc.constantFrom("cursor", "x"), fc.string()),
    }),
    fc.record({ method: fc.constantFrom("tools/call", "prompts/get"), params: fc.record({ name: value }) }),
    fc.record({ method: fc.constant("resources/read"), params: fc.record({ uri: value }) }),
  );
  const check = (of: { method: string; params: Record<string, unknown> }, headers: IncomingHttpHeaders) =>
    checkRequest(
      { kind: "message", id: 1, method: of.method, params: { ...of.params, _meta: META } },
      1,
      headers,
    );
  const headersOf = (of: { method: string; params: Record<string, unknown> }): Record<string, string> => {
    const name = of.params.name ?? of.params.uri;
    return {
      "mcp-protocol-version": VERSION,
      "mcp-method": of.method,
      ...(typeof name === "string" ? { "mcp-name": encode(name) } : {}),
    };
  };

  test("that mirror the body are accepted, with white space around them", () => {
    fc.assert(
      fc.property(request, fc.boolean(), (of, padded) => {
        const headers = Object.fromEntries(
          Object.entries(headersOf(of)).map(([name, sent]) => [name, padded ? `  ${sent}\t` : sent]),
        );
        expect(check(of, headers)).toMatchObject({
          id: 1,
          method: of.method,
          name: "name" in of.params ? of.params.name : "uri" in of.params ? of.params.uri : null,
        });
      }),
      { numRuns: 2_000 },
    );
  });

  test("are refused with any other value, and when one is missing", () => {
    const changed = fc.constantFrom("mcp-protocol-version", "mcp-method", "mcp-name");
    fc.assert(
      fc.property(request, changed, fc.option(header), (of, name, sent) => {
        const headers: IncomingHttpHeaders = headersOf(of);
        if (headers[name] === undefined) return;
        const good =
          name === "mcp-name"
            ? (of.params as Record<string, string>)[of.method === "resources/read" ? "uri" : "name"]
            : headers[name];
        if (sent === null) delete headers[name];
        else headers[name] = sent;
        const same =
          sent !== null &&
          (name === "mcp-name" ? reading(sent) : sent.replace(/^[ \t]+/, "").replace(/[ \t]+$/, "")) === good;
        const answer = check(of, headers);
        expect(isRefusal(answer) ? answer.code : "accepted").toBe(same ? "accepted" : "header_mismatch");
      }),
      { numRuns: 3_000 },
    );
  });

  test.each<[string, IncomingHttpHeaders]>([
    ["another case", { "mcp-method": "Tools/list" }],
    ["a no-break space", { "mcp-method": "tools/list\u00a0" }],
    ["a no-break space at the version", { "mcp-protocol-version": `${VERSION}\u00a0` }],
    ["the same header twice", { "mcp-method": "tools/list, tools/list" }],
    ["base64, which is for names alone", { "mcp-method": base64("tools/list") }],
  ])("%s is another value", (_what, change) => {
    const of = { method: "tools/list", params: {} };
    expect(check(of, { ...headersOf(of), ...change })).toMatchObject({ code: "header_mismatch" });
  });
});
