import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { compileCatalog } from "../../src/catalog/catalog.ts";
import { createSchemaCompiler, type Validation } from "../../src/catalog/schemas.ts";
import { Fault } from "../../src/core/fault.ts";
import type { SchemaLike } from "../../src/core/schema.ts";

const compileSchema = createSchemaCompiler();

function faultOf(work: () => unknown): Fault {
  try {
    work();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new TypeError("It was accepted.");
}

const withInput = (input: unknown) => () =>
  compileCatalog({
    name: "shop",
    version: "1",
    tools: [{ name: "sell", description: "Sells.", input: input as SchemaLike, run: () => "" }],
  });
const withOutput = (output: unknown) => () =>
  compileCatalog({
    name: "shop",
    version: "1",
    tools: [{ name: "sell", description: "Sells.", output: output as SchemaLike, run: () => "" }],
  });

async function check(schema: unknown, value: unknown): Promise<Validation> {
  return compileSchema(schema as SchemaLike, "input", "the input").validate(value);
}

async function issuesOf(schema: unknown, value: unknown): Promise<string> {
  const result = await check(schema, value);
  return result.valid ? "valid" : result.issues;
}

describe("a type that JSON does not have is refused, by the name of the tool", () => {
  test.each<[string, z.ZodType]>([
    ["a date", z.object({ day: z.date() })],
    ["a bigint", z.object({ count: z.bigint() })],
    ["a map", z.object({ prices: z.map(z.string(), z.number()) })],
    ["a set", z.object({ tags: z.set(z.string()) })],
    ["a symbol", z.object({ key: z.symbol() })],
  ])("%s", (_what, schema) => {
    const input = faultOf(withInput(schema));
    expect([input.code, input.detail]).toEqual([
      "schema_unrepresentable",
      expect.stringMatching(/^the input of tool "sell": ./),
    ]);
    expect(input.remedy).toBe("Use only types that JSON has: dates as strings, maps as objects.");
    const output = faultOf(withOutput(schema));
    expect([output.code, output.detail]).toEqual([
      "schema_unrepresentable",
      expect.stringMatching(/^the output of tool "sell": ./),
    ]);
  });

  test("what a transformation gives can be an input, and no output", () => {
    const schema = z.object({ day: z.iso.date().transform((text) => new Date(text)) });
    expect(withInput(schema)).not.toThrow();
    expect(faultOf(withOutput(schema)).code).toBe("schema_unrepresentable");
  });

  test("a library that speaks no Standard JSON Schema is named", () => {
    const old = { "~standard": { version: 1, vendor: "oldlib", validate: (value: unknown) => ({ value }) } };
    const fault = faultOf(withInput(old));
    expect([fault.code, fault.detail]).toEqual([
      "schema_unrepresentable",
      'the input of tool "sell": oldlib does not speak Standard JSON Schema.',
    ]);
  });
});

describe("a raw JSON Schema", () => {
  test.each<[string, Record<string, unknown>, RegExp]>([
    ["an unknown type", { type: "object", properties: { a: { type: "text" } } }, /properties\/a\/type/],
    ["properties that are a list", { type: "object", properties: [] }, /properties must be object/],
    [
      "a pattern that is none",
      { type: "object", properties: { a: { pattern: "(" } } },
      /Invalid regular expression: \/\(\//,
    ],
    [
      "a reference to nothing",
      { type: "object", properties: { a: { $ref: "#/$defs/none" } } },
      /can't resolve reference #\/\$defs\/none/,
    ],
    [
      "another dialect",
      { $schema: "http://json-schema.org/draft-07/schema#", type: "object" },
      /json-schema\.org\/draft-07/,
    ],
    ["a check that is only a promise", { $async: true, type: "object" }, /\$async/],
  ])("%s is refused, by the name of the tool", (_what, schema, why) => {
    for (const [refused, where] of [
      [faultOf(withInput(schema)), "input"],
      [faultOf(withOutput(schema)), "output"],
    ] as const) {
      expect([refused.code, refused.detail]).toEqual([
        "server_invalid",
        expect.stringContaining(`the ${where} of tool "sell" is not a JSON Schema: `),
      ]);
      expect(refused.detail).toMatch(why);
    }
  });

  test("a reference to another place is refused and never fetched", async () => {
    let asked = 0;
    const server = createServer((_req, res) => {
      asked++;
      res.end('{"type":"string"}');
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/schema.json`;
      for (const schema of [
        { type: "object", properties: { a: { $ref: url } } },
        { type: "object", properties: { a: { $dynamicRef: `${url}#x` } } },
        { type: "object", allOf: [{ $ref: "other.json" }] },
        { type: "object", $id: url, properties: { a: { $ref: "other.json" } } },
        { type: "object", properties: { a: { $ref: "file:///etc/passwd" } } },
      ]) {
        expect(faultOf(withInput(schema))).toMatchObject({
          code: "server_invalid",
          detail: expect.stringContaining('the input of tool "sell"'),
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(asked).toBe(0);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test("references within, also under an $id that another tool has too, are followed", async () => {
    const schema = (type: string) => ({
      $id: "https://example.com/args",
      type: "object",
      properties: { a: { $ref: "#/$defs/a" } },
      $defs: { a: { type } },
    });
    expect(await issuesOf(schema("string"), { a: 1 })).toBe("a: must be string");
    expect(await issuesOf(schema("integer"), { a: 1 })).toBe("valid");
    expect(await issuesOf(schema("string"), { a: 1 })).toBe("a: must be string");
  });

  test("no tool's schema can refer to another tool's", () => {
    const tool = (name: string, input: SchemaLike) => ({ name, description: "D.", input, run: () => "" });
    const fault = faultOf(() =>
      compileCatalog({
        name: "shop",
        version: "1",
        tools: [
          tool("first", { $id: "https://example.com/args", type: "object", $defs: { a: { $anchor: "a" } } }),
          tool("second", { type: "object", properties: { a: { $ref: "https://example.com/args#a" } } }),
        ],
      }),
    );
    expect([fault.code, fault.detail]).toEqual([
      "server_invalid",
      expect.stringContaining('the input of tool "second"'),
    ]);
  });

  test("the dialect is 2020-12: prefixItems, dependentRequired, unevaluatedProperties, formats", async () => {
    const schema = {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      properties: {
        pair: { type: "array", prefixItems: [{ type: "string" }, { type: "integer" }], items: false },
        day: { type: "string", format: "date" },
        card: { type: "string" },
      },
      dependentRequired: { card: ["day"] },
      unevaluatedProperties: false,
    };
    expect(await issuesOf(schema, { pair: ["a", 1], day: "2026-07-28", card: "x" })).toBe("valid");
    expect(await issuesOf(schema, { pair: ["a", "b"] })).toBe("pair.1: must be integer");
    expect(await issuesOf(schema, { pair: ["a", 1, 2] })).toBe("pair: must NOT have more than 2 items");
    expect(await issuesOf(schema, { day: "2026-02-30" })).toBe('day: must match format "date"');
    expect(await issuesOf(schema, { card: "x" })).toBe(
      "must have property day when property card is present",
    );
    expect(await issuesOf(schema, { other: 1 })).toBe("must NOT have unevaluated properties: other");
  });

  test("a format that nobody knows is a remark, and not a line on the console", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    try {
      const schema = { type: "object", properties: { a: { type: "string", format: "postcode" } } };
      expect(await issuesOf(schema, { a: "x" })).toBe("valid");
      expect(await issuesOf(schema, { a: 1 })).toBe("a: must be string");
      expect(warn).not.toHaveBeenCalled();
    } finally {
      warn.mockRestore();
    }
  });

  test("its issues say where, what, and what would do", async () => {
    const schema = {
      type: "object",
      properties: {
        number: { type: "integer", minimum: 1 },
        status: { enum: ["open", "closed"] },
        kind: { const: "ticket" },
        "a/b": { type: "object", properties: { "~": { type: "string" } } },
      },
      required: ["number"],
      additionalProperties: false,
    };
    const good = { number: 1 };
    expect(await issuesOf(schema, {})).toBe("must have required property 'number'");
    expect(await issuesOf(schema, { number: "1" })).toBe("number: must be integer");
    expect(await issuesOf(schema, { number: 0 })).toBe("number: must be >= 1");
    expect(await issuesOf(schema, { ...good, status: "new" })).toBe(
      'status: must be equal to one of the allowed values: ["open","closed"]',
    );
    expect(await issuesOf(schema, { ...good, kind: "" })).toBe('kind: must be equal to constant: "ticket"');
    expect(await issuesOf(schema, { ...good, titel: "x" })).toBe(
      "must NOT have additional properties: titel",
    );
    expect(await issuesOf(schema, { ...good, "a/b": { "~": 1 } })).toBe("a/b.~: must be string");
    expect((await issuesOf(schema, { ...good, ["x".repeat(100_000)]: 1 })).length).toBeLessThan(400);
  });

  test("arguments are neither coerced nor filled in nor changed", async () => {
    const schema = {
      type: "object",
      properties: { n: { type: "integer", default: 5 }, flag: { type: "boolean" } },
    };
    expect(await check(schema, {})).toEqual({ valid: true, value: {} });
    expect(await issuesOf(schema, { n: "5" })).toBe("n: must be integer");
    expect(await issuesOf(schema, { flag: "true" })).toBe("flag: must be boolean");
  });
});

describe("a schema of a library", () => {
  test("zod: issues say where and what; the handler gets what zod gives", async () => {
    const schema = z.object({
      number: z.int().min(1),
      tags: z.array(z.string()).default([]),
      who: z.object({ mail: z.email() }).optional(),
    });
    expect(await check(schema, { number: 3, unknown: 1 })).toEqual({
      valid: true,
      value: { number: 3, tags: [] },
    });
    expect(await issuesOf(schema, {})).toBe("number: Invalid input: expected number, received undefined");
    expect(await issuesOf(schema, { number: 0, tags: ["a", 2], who: { mail: "x" } })).toBe(
      "number: Too small: expected number to be >=1; tags.1: Invalid input: expected string, received number; who.mail: Invalid email address",
    );
    expect(await issuesOf(schema, null)).toBe("Invalid input: expected object, received null");
    expect(await issuesOf(z.strictObject({}), { titel: 1 })).toBe('Unrecognized key: "titel"');
  });

  test("ten issues are told, not a hundred", async () => {
    const issues = await issuesOf(z.object({ tags: z.array(z.string()) }), { tags: Array(100).fill(1) });
    expect(issues.split("; ")).toHaveLength(10);
    expect(issues).toMatch(/^tags\.0: .*; tags\.9: [^;]*$/);
  });

  test("another library: through Standard Schema alone, waiting where it gives a promise", async () => {
    const even = {
      "~standard": {
        version: 1,
        vendor: "evenlib",
        validate: async (value: unknown) => {
          await new Promise((resolve) => setTimeout(resolve, 1));
          const { n } = value as { n: number };
          return n % 2 === 0
            ? { value: { half: n / 2 } }
            : { issues: [{ message: "is odd", path: ["n", { key: 0 }] }, { message: "Try another." }] };
        },
        jsonSchema: {
          input: () => ({
            $schema: "https://json-schema.org/draft/2020-12/schema",
            type: "object",
            properties: { n: { multipleOf: 2 } },
          }),
          output: () => ({ type: "object" }),
        },
      },
    };
    const compiled = compileSchema(even as unknown as SchemaLike, "input", "the input");
    expect(compiled.json).toEqual({ type: "object", properties: { n: { multipleOf: 2 } } });
    expect(await check(even, { n: 4 })).toEqual({ valid: true, value: { half: 2 } });
    expect(await issuesOf(even, { n: 3 })).toBe("n.0: is odd; Try another.");
  });

  test("a library whose schemas are functions is one", async () => {
    const schema = Object.assign(() => {}, { "~standard": z.object({ a: z.string() })["~standard"] });
    expect(await issuesOf(schema, { a: "b" })).toBe("valid");
  });
});
