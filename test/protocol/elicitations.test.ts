import { describe, expect, test } from "vitest";
import { z } from "zod";
import type { JsonSchema } from "../../src/core/schema.ts";
import { createElicitations } from "../../src/protocol/elicitations.ts";
import type { JsonObject } from "../../src/protocol/json-rpc.ts";

const elicitations = createElicitations(() => "the-id");
const message = "Well?";

/** What a client of the current revision is asked with a form. */
function asked(schema: JsonSchema | z.ZodType): unknown {
  return elicitations.prepare({ message, schema }, "2026-07-28").request.params.requestedSchema;
}

function form(properties: JsonObject, more: JsonObject = {}): JsonObject {
  return { type: "object", properties, ...more };
}

describe("a raw JSON Schema that the specification allows is asked as it was written", () => {
  test.each([
    ["a text", { type: "string", title: "T", description: "D", minLength: 3, maxLength: 50, default: "abc" }],
    ["a text with a format", { type: "string", format: "email" }],
    ["a number", { type: "number", minimum: 0, maximum: 100, default: 95.5 }],
    ["an integer", { type: "integer", description: "User age", default: 30 }],
    ["a boolean", { type: "boolean", default: true }],
    ["a choice", { type: "string", enum: ["active", "inactive", "pending"], default: "active" }],
    ["a choice with titles", { type: "string", oneOf: [{ const: "value1", title: "First Option" }] }],
    ["a choice with names", { type: "string", enum: ["opt1"], enumNames: ["Option One"] }],
    [
      "a list of choices",
      {
        type: "array",
        items: { type: "string", enum: ["a", "b"] },
        minItems: 1,
        maxItems: 2,
        default: ["a"],
      },
    ],
    ["a list of choices with titles", { type: "array", items: { anyOf: [{ const: "a", title: "A" }] } }],
  ])("%s", (_name, field) => {
    expect(asked(form({ field }, { required: ["field"] }))).toStrictEqual(
      form({ field }, { required: ["field"] }),
    );
    expect(asked(form({ field }))).toStrictEqual(form({ field }));
  });

  test("a form without fields asks for a confirmation", () => {
    expect(asked(form({}))).toStrictEqual(form({}));
  });

  test("without what says nothing to a user", () => {
    const more = {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      additionalProperties: false,
      title: "T",
    };
    expect(asked(form({ field: { type: "string" } }, more))).toStrictEqual(
      form({ field: { type: "string" } }),
    );
  });
});

describe("a library's schema is asked in the words of the specification", () => {
  test.each([
    [
      z.string().min(2).max(5).describe("D"),
      { type: "string", minLength: 2, maxLength: 5, description: "D" },
    ],
    [z.email(), { type: "string", format: "email" }],
    [z.url(), { type: "string", format: "uri" }],
    [z.iso.date(), { type: "string", format: "date" }],
    [z.iso.datetime(), { type: "string", format: "date-time" }],
    [z.number().min(1), { type: "number", minimum: 1 }],
    [z.int().min(0).max(9), { type: "integer", minimum: 0, maximum: 9 }],
    [z.boolean().meta({ title: "T" }), { type: "boolean", title: "T" }],
    [z.enum(["a", "b"]), { type: "string", enum: ["a", "b"] }],
    [z.literal("a"), { type: "string", enum: ["a"] }],
    [z.union([z.literal("a"), z.literal("b")]), { type: "string", enum: ["a", "b"] }],
    [
      z.union([z.literal("a").meta({ title: "A" }), z.literal("b").meta({ title: "B" })]),
      {
        type: "string",
        oneOf: [
          { const: "a", title: "A" },
          { const: "b", title: "B" },
        ],
      },
    ],
    [
      z.array(z.enum(["a", "b"])).min(1),
      { type: "array", items: { type: "string", enum: ["a", "b"] }, minItems: 1 },
    ],
    [
      z.array(z.union([z.literal("a").meta({ title: "A" }), z.literal("b").meta({ title: "B" })])),
      {
        type: "array",
        items: {
          anyOf: [
            { const: "a", title: "A" },
            { const: "b", title: "B" },
          ],
        },
      },
    ],
  ])("%#", (field, expected) => {
    expect(asked(z.object({ field }))).toStrictEqual(form({ field: expected }, { required: ["field"] }));
    expect(asked(z.strictObject({ field: field.optional() }))).toStrictEqual(form({ field: expected }));
  });

  test("a field with a default need not be filled in", () => {
    expect(asked(z.object({ field: z.string().default("x") }))).toStrictEqual(
      form({ field: { type: "string", default: "x" } }),
    );
  });
});

describe("what no form can have is a fault of the server that names it", () => {
  test.each<[string, JsonObject | z.ZodType, RegExp]>([
    ["a nested object", z.object({ a: z.object({}) }), /field a /],
    ["a list of texts", z.object({ a: z.array(z.string()) }), /field a /],
    ["a list of objects", form({ a: { type: "array", items: { type: "object" } } }), /field a /],
    [
      "a list of choices and more",
      form({ a: { type: "array", items: { type: "string", enum: ["x"], minLength: 1 } } }),
      /field a /,
    ],
    ["a null", z.object({ a: z.string().nullable() }), /field a /],
    ["anything", z.object({ a: z.unknown() }), /field a /],
    ["a pattern", z.object({ a: z.string().regex(/^x$/) }), /field a has pattern/],
    ["another format", z.object({ a: z.uuid() }), /field a has a format/],
    ["an exclusive bound", z.object({ a: z.number().positive() }), /field a has exclusiveMinimum/],
    ["a choice of numbers", form({ a: { type: "string", enum: [1] } }), /field a /],
    ["no choice", form({ a: { type: "string", enum: [] } }), /enum/],
    [
      "an option with more",
      form({ a: { type: "string", oneOf: [{ const: "x", title: "X", minLength: 3 }] } }),
      /field a /,
    ],
    ["too few names", form({ a: { type: "string", enum: ["x", "y"], enumNames: ["X"] } }), /enumNames/],
    ["a default of another type", form({ a: { type: "boolean", default: "yes" } }), /default of the field a/],
    [
      "a default that is no choice",
      form({ a: { type: "string", enum: ["x"], default: "y" } }),
      /default of the field a/,
    ],
    [
      "a default that is no integer",
      form({ a: { type: "integer", default: 1.5 } }),
      /default of the field a/,
    ],
    [
      "a default that is no list of choices",
      form({ a: { type: "array", items: { type: "string", enum: ["x"] }, default: ["y"] } }),
      /default of the field a/,
    ],
    ["a field required that is not there", form({}, { required: ["b"] }), /required/],
    ["any fields", form({}, { additionalProperties: { type: "string" } }), /additionalProperties/],
    ["an allOf", form({}, { allOf: [] }), /allOf/],
    ["a text alone", { type: "string" }, /type object/],
    ["no fields", { type: "object" }, /properties/],
  ])("%s", (_name, schema, detail) => {
    expect(() => asked(schema)).toThrow(
      expect.objectContaining({ code: "server_invalid", detail: expect.stringMatching(detail) }),
    );
  });

  test("no message", () => {
    expect(() => elicitations.prepare({ message: "", schema: form({}) }, "2026-07-28")).toThrow(
      expect.objectContaining({ code: "server_invalid" }),
    );
  });

  test.each([
    "http://example.com/connect",
    "http://localhost.example.com/",
    "http://127.0.0.1.example.com/",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "https://user:password@example.com/",
    "https://user@example.com/",
    "/connect",
    "",
  ])("the address %j", (url) => {
    expect(() => elicitations.prepare({ message, url }, "2026-07-28")).toThrow(
      expect.objectContaining({ code: "server_invalid" }),
    );
  });
});

test.each([
  "https://example.com/connect?to=x",
  "http://localhost:8080/",
  "http://127.0.0.1/",
  "http://[::1]:1/",
])("a user may be sent to %s", (url) => {
  expect(elicitations.prepare({ message, url }, "2026-07-28")).toMatchObject({
    needs: "elicitation.url",
    request: { method: "elicitation/create", params: { mode: "url", message, url } },
  });
});

describe("each revision is asked in its own words", () => {
  const oneOf = [
    { const: "a", title: "A" },
    { const: "b", title: "B" },
  ];
  const schema = form(
    { x: { type: "string", title: "X", oneOf }, y: { type: "boolean" } },
    { required: ["x"] },
  );
  const earlier = form(
    { x: { type: "string", title: "X", enum: ["a", "b"], enumNames: ["A", "B"] }, y: { type: "boolean" } },
    { required: ["x"] },
  );

  test.each([
    ["2026-07-28", { mode: "form", message, requestedSchema: schema }],
    ["2025-11-25", { mode: "form", message, requestedSchema: schema }],
    ["2025-06-18", { message, requestedSchema: earlier }],
    ["2025-03-26", { message, requestedSchema: earlier }],
  ] as const)("a form on %s", (revision, params) => {
    expect(elicitations.prepare({ message, schema }, revision)).toMatchObject({ needs: "elicitation.form" });
    expect(elicitations.prepare({ message, schema }, revision).request).toStrictEqual({
      method: "elicitation/create",
      params,
    });
  });

  const url = "https://example.com/";
  test.each([
    ["2026-07-28", { mode: "url", message, url }],
    ["2025-11-25", { mode: "url", message, url, elicitationId: "the-id" }],
  ] as const)("a visit on %s", (revision, params) => {
    expect(elicitations.prepare({ message, url }, revision).request).toStrictEqual({
      method: "elicitation/create",
      params,
    });
  });
});

describe("an answer to a form", () => {
  const schema = z.object({ name: z.string().min(1), size: z.enum(["s", "m"]).default("m") });
  const question = elicitations.prepare({ message, schema }, "2026-07-28");

  test.each<[string, JsonObject]>([
    ["with content that does not fit", { action: "accept", content: { name: "" } }],
    ["with a value of another type", { action: "accept", content: { name: 12345 } }],
    ["with a field missing", { action: "accept", content: {} }],
    ["without content", { action: "accept" }],
    ["with a list for content", { action: "accept", content: ["Ada"] }],
    ["with another action", { action: "maybe", content: { name: "Ada" } }],
    ["without an action", { content: { name: "Ada" } }],
  ])("%s is none", async (_name, result) => {
    expect(await question.accepts(result)).toBe(false);
    await expect(question.read(result)).rejects.toThrow(TypeError);
  });

  test("has the defaults of what was left as it was, and nothing that was not asked", async () => {
    const result = JSON.parse(
      `{"action":"accept","content":{"name":"Ada","__proto__":{"x":1},"admin":true}}`,
    );
    expect(await question.accepts(result)).toBe(true);
    expect(await question.read(result)).toStrictEqual({
      action: "accept",
      content: { name: "Ada", size: "m" },
    });
  });

  test("to raw JSON Schema is checked and completed the same way", async () => {
    const raw = elicitations.prepare(
      {
        message,
        schema: form(
          { mail: { type: "string", format: "email" }, n: { type: "integer", default: 3 } },
          { required: ["mail", "n"] },
        ),
      },
      "2026-07-28",
    );
    expect(await raw.accepts({ action: "accept", content: { mail: "nobody" } })).toBe(false);
    const result = { action: "accept", content: { mail: "a@example.com", other: 1 } };
    expect(await raw.accepts(result)).toBe(true);
    expect(await raw.read(result)).toStrictEqual({
      action: "accept",
      content: { mail: "a@example.com", n: 3 },
    });
  });

  test("may be checked by what takes a while", async () => {
    const slow = z.object({ name: z.string().refine(async (name) => name === "Ada") });
    const late = elicitations.prepare({ message, schema: slow }, "2026-07-28");
    expect(await late.accepts({ action: "accept", content: { name: "Bob" } })).toBe(false);
    expect(await late.accepts({ action: "accept", content: { name: "Ada" } })).toBe(true);
  });

  test.each(["decline", "cancel"] as const)("may be to %s it", async (action) => {
    const result = { action, content: { name: 5 } };
    expect(await question.accepts(result)).toBe(true);
    expect(await question.read(result)).toStrictEqual({ action });
  });
});

describe("an answer to a visit", () => {
  const visit = elicitations.prepare({ message, url: "https://example.com/" }, "2026-07-28");

  test.each(["decline", "cancel"])("may be to %s it", async (action) => {
    expect(await visit.accepts({ action })).toBe(true);
    expect(await visit.read({ action })).toStrictEqual({ action });
  });

  test("has no content, whatever was sent", async () => {
    const result = { action: "accept", content: { token: "x" } };
    expect(await visit.accepts(result)).toBe(true);
    expect(await visit.read(result)).toEqual({ action: "accept" });
    expect(await visit.accepts({ action: "other" })).toBe(false);
  });
});

test("a form is compiled once for its schema", () => {
  let reads = 0;
  const schema = new Proxy(form({ a: { type: "string" } }), {
    get(target, name) {
      if (name === "properties") reads++;
      return Reflect.get(target, name);
    },
  });
  asked(schema);
  const first = reads;
  asked(schema);
  expect(first).toBeGreaterThan(0);
  expect(reads).toBe(first);
});
