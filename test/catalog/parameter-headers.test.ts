import { expect, test } from "vitest";
import { z } from "zod";
import { compileCatalog } from "../../src/catalog/catalog.ts";
import { parameterHeaders } from "../../src/catalog/parameter-headers.ts";
import { Fault } from "../../src/core/fault.ts";
import type { JsonSchema } from "../../src/core/schema.ts";

const object = (properties: Record<string, unknown>, more: Record<string, unknown> = {}): JsonSchema => ({
  type: "object",
  properties,
  ...more,
});
const region = { type: "string", "x-mcp-header": "Region" };

function refusalOf(check: () => unknown): string {
  try {
    check();
  } catch (error) {
    if (error instanceof Fault) return `${error.code}: ${error.detail}`;
    throw error;
  }
  return "accepted";
}

test("parameters of primitive types are found at every depth of properties", () => {
  expect(
    parameterHeaders(
      object({
        region,
        level: { type: "integer", "x-mcp-header": "X!#$%&'*+-.^_`|~9" },
        options: object({
          deep: object({ dry: { type: "boolean", "x-mcp-header": "Dry-Run" } }),
          plain: { type: "string" },
        }),
      }),
      "tool",
    ),
  ).toEqual([
    { header: "mcp-param-region", path: ["region"], type: "string" },
    { header: "mcp-param-x!#$%&'*+-.^_`|~9", path: ["level"], type: "integer" },
    { header: "mcp-param-dry-run", path: ["options", "deep", "dry"], type: "boolean" },
  ]);
});

test("a parameter, a default or a value that is merely called x-mcp-header is no annotation", () => {
  const schema = object({
    "x-mcp-header": { type: "number", default: { "x-mcp-header": 5 } },
    kind: { enum: [{ "x-mcp-header": 1 }], const: { "x-mcp-header": 2 }, examples: [{ "x-mcp-header": 3 }] },
    properties: { type: "string", "x-mcp-header": "Properties" },
  });
  expect(parameterHeaders(schema, "tool")).toEqual([
    { header: "mcp-param-properties", path: ["properties"], type: "string" },
  ]);
});

test("zod carries the annotation", () => {
  const input = z.object({ region: z.string().meta({ "x-mcp-header": "Region" }), other: z.number() });
  const [tool] = compileCatalog({
    name: "shop",
    version: "1",
    tools: [{ name: "query", description: "Queries.", input, run: () => "" }],
  }).tools;
  expect(tool?.headers).toEqual([{ header: "mcp-param-region", path: ["region"], type: "string" }]);
  expect(JSON.stringify(tool?.listing.inputSchema)).toContain('"x-mcp-header":"Region"');
});

// Each rule of "Constraints on x-mcp-header values".
test.each<[rule: string, input: JsonSchema, why: string]>([
  ["not empty", object({ a: { type: "string", "x-mcp-header": "" } }), "of a is not an HTTP field name"],
  ["a text", object({ a: { type: "string", "x-mcp-header": 7 } }), "of a is not an HTTP field name"],
  [
    "a token: no space",
    object({ a: { type: "string", "x-mcp-header": "My Region" } }),
    "of a is not an HTTP field name",
  ],
  [
    "a token: no colon",
    object({ a: { type: "string", "x-mcp-header": "Region:" } }),
    "of a is not an HTTP field name",
  ],
  [
    "a token: ASCII",
    object({ a: { type: "string", "x-mcp-header": "Größe" } }),
    "of a is not an HTTP field name",
  ],
  [
    "no control characters",
    object({ a: { type: "string", "x-mcp-header": "Region\r\nX-Evil: 1" } }),
    "of a is not an HTTP field name",
  ],
  [
    "no line feed at the end",
    object({ a: { type: "string", "x-mcp-header": "Region\n" } }),
    "of a is not an HTTP field name",
  ],
  [
    "unique whatever the case",
    object({ a: region, b: object({ c: { type: "string", "x-mcp-header": "rEGION" } }) }),
    "of b.c is used twice",
  ],
  [
    "no number",
    object({ a: { type: "number", "x-mcp-header": "A" } }),
    "of a may only stand at a string, an integer or a boolean",
  ],
  [
    "no object",
    object({ a: { type: "object", "x-mcp-header": "A" } }),
    "of a may only stand at a string, an integer or a boolean",
  ],
  [
    "no list",
    object({ a: { type: "array", "x-mcp-header": "A" } }),
    "of a may only stand at a string, an integer or a boolean",
  ],
  [
    "no null",
    object({ a: { type: "null", "x-mcp-header": "A" } }),
    "of a may only stand at a string, an integer or a boolean",
  ],
  [
    "one type",
    object({ a: { type: ["string", "null"], "x-mcp-header": "A" } }),
    "of a may only stand at a string, an integer or a boolean",
  ],
  [
    "a type of its own",
    object({ a: { "x-mcp-header": "A" } }),
    "of a may only stand at a string, an integer or a boolean",
  ],
  [
    "not at the root",
    { type: "object", "x-mcp-header": "A" },
    "of the root may only stand at a string, an integer or a boolean",
  ],
  [
    "not through items",
    object({ a: { type: "array", items: region } }),
    "of a must be reachable through properties alone",
  ],
  [
    "not through prefixItems",
    object({ a: { type: "array", prefixItems: [region] } }),
    "of a must be reachable through properties alone",
  ],
  [
    "not through properties of items",
    object({ a: { type: "array", items: object({ b: region }) } }),
    "of a.b must be reachable through properties alone",
  ],
  ...["oneOf", "anyOf", "allOf"].map((word): [string, JsonSchema, string] => [
    `not through ${word}`,
    object({}, { [word]: [object({ a: region })] }),
    "of a must be reachable through properties alone",
  ]),
  ...["not", "if", "then", "else", "additionalProperties"].map((word): [string, JsonSchema, string] => [
    `not through ${word}`,
    object({}, { [word]: object({ a: region }) }),
    "of a must be reachable through properties alone",
  ]),
  [
    "not through a reference",
    object({ a: { $ref: "#/$defs/region" } }, { $defs: { region } }),
    "of the root must be reachable through properties alone",
  ],
  [
    "not through patternProperties",
    object({}, { patternProperties: { "^r": region } }),
    "of the root must be reachable through properties alone",
  ],
])("an annotation must be %s", (_rule, input, why) => {
  expect(refusalOf(() => parameterHeaders(input, 'tool "query"'))).toBe(
    `server_invalid: tool "query": x-mcp-header ${why}.`,
  );
});

test("a server with such a tool does not start", () => {
  const input = object({ a: { type: "number", "x-mcp-header": "A" } });
  const tools = [{ name: "query", description: "Queries.", input, run: () => "" }];
  expect(refusalOf(() => compileCatalog({ name: "shop", version: "1", tools }))).toBe(
    'server_invalid: tool "query": x-mcp-header of a may only stand at a string, an integer or a boolean.',
  );
});
