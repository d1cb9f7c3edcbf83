import { expect, test } from "vitest";
import { complete } from "../../src/protocol/performed.ts";
import { createResponseText } from "../../src/protocol/response-text.ts";

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
});
