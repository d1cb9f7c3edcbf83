import { describe, expect, test } from "vitest";
import { errorResult, toToolResult } from "../../src/catalog/results.ts";
import { complete } from "../../src/protocol/performed.ts";
import { createResponseText } from "../../src/protocol/response-text.ts";
import type { Revision } from "../../src/protocol/revisions.ts";
import { shapeToolResult } from "../../src/protocol/shape.ts";

const responseText = createResponseText('{"name":"ours"}');
const OURS = { "io.modelcontextprotocol/serverInfo": { name: "ours" } };

test.each([
  ["nothing", undefined, OURS],
  ["names of its own", { "example.com/a": [1] }, { "example.com/a": [1], ...OURS }],
  [
    "a name that is the protocol's",
    { "io.modelcontextprotocol/serverInfo": { name: "theirs" }, a: 1 },
    { a: 1, ...OURS },
  ],
  [
    "__proto__",
    JSON.parse('{"__proto__":1}'),
    JSON.parse('{"__proto__":1,"io.modelcontextprotocol/serverInfo":{"name":"ours"}}'),
  ],
  ["what is no object", ["x"], OURS],
  ["nothing that JSON has", { a: undefined, b: () => {} }, OURS],
  ["the protocol's names alone", { "io.modelcontextprotocol/related-task": 1 }, OURS],
])("a handler's _meta of %s stands beside the server's, once", (_name, meta, expected) => {
  const text = responseText({ id: 1, revision: "2026-07-28" }, complete({ content: [] }, meta));
  expect(text.split('"_meta"')).toHaveLength(2);
  expect(text.split("serverInfo")).toHaveLength(2);
  expect(JSON.parse(text).result).toEqual({ resultType: "complete", content: [], _meta: expected });
});

test("an earlier revision has the handler's alone", () => {
  const of = { id: 1, revision: "2025-11-25" } as const;
  expect(JSON.parse(responseText(of, complete({}, { a: 1 }))).result).toEqual({ _meta: { a: 1 } });
  expect(JSON.parse(responseText(of, complete({ content: [] }))).result).toEqual({ content: [] });
  expect(JSON.parse(responseText(of, complete({}, { a: undefined }))).result).toEqual({});
});

const LINK = { type: "resource_link", name: "report", uri: "docs://report" } as const;
const AS_TEXT = { type: "text", text: "report: docs://report" };

describe.each<[Revision, { readonly any: boolean; readonly objects: boolean; readonly links: boolean }]>([
  ["2026-07-28", { any: true, objects: true, links: true }],
  ["2025-11-25", { any: false, objects: true, links: true }],
  ["2025-06-18", { any: false, objects: true, links: true }],
  ["2025-03-26", { any: false, objects: false, links: false }],
])("a tool's result on %s", (revision, { any, objects, links }) => {
  const own = revision === "2026-07-28";
  /** As the wire has it, of what a handler gave: also of one that no compiler has looked at. */
  const sent = (given: unknown): { readonly text: string; readonly result: unknown } => {
    const result = toToolResult(given as Parameters<typeof toToolResult>[0]);
    const text = responseText({ id: 1, revision }, complete(shapeToolResult(result, revision), result._meta));
    return { text, result: JSON.parse(text).result };
  };
  const around = (members: object, meta: object | null) => ({
    ...(own ? { resultType: "complete" } : {}),
    ...members,
    ...(own ? { _meta: { ...meta, ...OURS } } : meta === null ? {} : { _meta: meta }),
  });
  const content = [{ type: "text", text: "two" }];

  test.each([
    ["an object", { n: 2 }, objects],
    ["a list", [2], any],
    ["null", null, any],
    ["nothing", undefined, false],
  ])("has %s as its structured content, or leaves it out", (_what, structuredContent, kept) => {
    for (const _meta of [undefined, null, { mine: 1 }, { mine: undefined }, "mine"]) {
      const { text, result } = sent({
        content,
        structuredContent,
        isError: false,
        _meta,
        resultType: "task",
      });
      const members = { content, isError: false, ...(kept ? { structuredContent } : {}) };
      const said = typeof _meta === "object" && _meta?.mine === 1 ? { mine: 1 } : null;
      expect(result).toEqual(around(members, said));
      expect(text.split('"_meta"').length - 1).toBe(own || said !== null ? 1 : 0);
    }
  });

  test("has no members that were not given", () => {
    expect(sent({ content, isError: undefined, structuredContent: undefined }).result).toEqual(
      around({ content }, null),
    );
    expect(sent(errorResult("No.")).result).toEqual(
      around({ content: [{ type: "text", text: "No." }], isError: true }, null),
    );
  });

  test("links to a resource, or names it", () => {
    expect(sent({ content: [LINK], _meta: { mine: 1 } }).result).toEqual(
      around({ content: [links ? LINK : AS_TEXT] }, { mine: 1 }),
    );
  });
});
