import { expect, test } from "vitest";
import { z } from "zod";
import { compileCatalog } from "../../src/catalog/catalog.ts";
import type { ServerDefinition } from "../../src/catalog/define.ts";
import { Fault } from "../../src/core/fault.ts";

/** What a module may export, whether its author's compiler saw it or not. */
function compile(parts: Record<string, unknown>) {
  return compileCatalog({ name: "shop", version: "1.0.0", ...parts } as ServerDefinition);
}

function refusalOf(parts: Record<string, unknown>): string {
  try {
    compile(parts);
  } catch (error) {
    if (error instanceof Fault) return `${error.code}: ${error.detail}`;
    throw error;
  }
  return "accepted";
}

const tool = (change: Record<string, unknown> = {}) => ({
  name: "sell",
  description: "Sells.",
  run: () => "sold",
  ...change,
});
const resource = (change: Record<string, unknown> = {}) => ({
  uri: "shop://stock",
  name: "stock",
  read: () => "",
  ...change,
});
const prompt = (change: Record<string, unknown> = {}) => ({ name: "greet", get: () => "", ...change });

const NAME_RULE = '1 to 128 of A-Z, a-z, 0-9, "_", "-" and "."';

test.each<[what: string, parts: Record<string, unknown>, refusal: string]>([
  ["a server without a name", { name: "" }, "name and version of the server must be texts."],
  ["a server without a version", { version: 1 }, "name and version of the server must be texts."],
  ["two tools of one name", { tools: [tool(), tool()] }, 'two tools are named "sell".'],
  [
    "two resources of one address",
    { resources: [resource(), resource({ name: "b" })] },
    'two resources are named "shop://stock".',
  ],
  ["two prompts of one name", { prompts: [prompt(), prompt()] }, 'two prompts are named "greet".'],
  [
    "two arguments of one name",
    { prompts: [prompt({ arguments: [{ name: "who" }, { name: "who" }] })] },
    'two arguments of prompt "greet" are named "who".',
  ],
  [
    "an argument without a name",
    { prompts: [prompt({ arguments: [{ description: "Who." }] })] },
    'prompt "greet" has an argument without a name.',
  ],
  ["no name", { tools: [tool({ name: undefined })] }, `tool undefined: a name is ${NAME_RULE}.`],
  ["an empty name", { tools: [tool({ name: "" })] }, `tool "": a name is ${NAME_RULE}.`],
  ["a name with a space", { tools: [tool({ name: "sell it" })] }, `tool "sell it": a name is ${NAME_RULE}.`],
  [
    "a name with a line feed at its end",
    { tools: [tool({ name: "sell\n" })] },
    `tool "sell\\n": a name is ${NAME_RULE}.`,
  ],
  [
    "a name beyond ASCII",
    { tools: [tool({ name: "verkäufe" })] },
    `tool "verkäufe": a name is ${NAME_RULE}.`,
  ],
  [
    "a name of 129 characters",
    { tools: [tool({ name: "a".repeat(129) })] },
    `tool "${"a".repeat(129)}": a name is ${NAME_RULE}.`,
  ],
  [
    "a prompt's malformed name",
    { prompts: [prompt({ name: "a/b" })] },
    `prompt "a/b": a name is ${NAME_RULE}.`,
  ],
  [
    "a tool without a description",
    { tools: [tool({ description: undefined })] },
    'tool "sell" has no description.',
  ],
  [
    "a tool with an empty description",
    { tools: [tool({ description: "" })] },
    'tool "sell" has no description.',
  ],
  ["a tool without run", { tools: [tool({ run: undefined })] }, 'tool "sell" has no function run.'],
  [
    "a resource without read",
    { resources: [resource({ read: "text" })] },
    'resource "shop://stock" has no function read.',
  ],
  [
    "a resource without a name",
    { resources: [resource({ name: undefined })] },
    'resource "shop://stock" has no name.',
  ],
  [
    "a resource without a scheme",
    { resources: [resource({ uri: "/stock" })] },
    'The resource URI "/stock" does not begin with a scheme, or is too long.',
  ],
  [
    "a resource whose address is no text",
    { resources: [resource({ uri: new URL("shop://stock") })] },
    'The resource URI "shop://stock" does not begin with a scheme, or is too long.',
  ],
  ["a prompt without get", { prompts: [prompt({ get: undefined })] }, 'prompt "greet" has no function get.'],
  ["an empty permission", { tools: [tool({ requires: "" })] }, 'tool "sell": requires is not a scope.'],
  [
    "a permission with a space",
    { resources: [resource({ requires: "a b" })] },
    'resource "shop://stock": requires is not a scope.',
  ],
  [
    "a permission with a quote",
    { prompts: [prompt({ requires: 'a"b' })] },
    'prompt "greet": requires is not a scope.',
  ],
  [
    "several permissions at once",
    { tools: [tool({ requires: ["a:read", "b:read"] })] },
    'tool "sell": requires is not a scope.',
  ],
  [
    "a permission of 129 characters",
    { tools: [tool({ requires: "x".repeat(129) })] },
    'tool "sell": requires is not a scope.',
  ],
  [
    "a permission with a wildcard",
    { tools: [tool({ requires: "tickets:*" })] },
    'tool "sell": requires is not a scope.',
  ],
  [
    "a permission with a star within",
    { resources: [resource({ requires: "tick*ts:read" })] },
    'resource "shop://stock": requires is not a scope.',
  ],
  ["permissions that are a list", { permissions: ["a"] }, "permissions is not an object."],
  ["permissions that are nothing", { permissions: null }, "permissions is not an object."],
  ["a misspelt hierarchy", { permissions: { implied: {} } }, 'permissions has no member "implied".'],
  [
    "a hierarchy that is a list",
    { permissions: { implies: [["a", "b"]] } },
    "permissions.implies: is not an object of permissions.",
  ],
  [
    "a hierarchy without lists",
    { permissions: { implies: { "a:write": "a:read" } } },
    'permissions.implies: what "a:write" implies is not a list.',
  ],
  [
    "a part of a segment as a pattern",
    { permissions: { implies: { "tick*:write": ["tickets:read"] } } },
    'permissions.implies: "tick*:write" is neither a permission nor a pattern of whole segments.',
  ],
  [
    "an implied permission with a space",
    { permissions: { implies: { "a:write": ["a read"] } } },
    'permissions.implies: "a read" is neither a permission nor a pattern of whole segments.',
  ],
  [
    "an implied permission that is no text",
    { permissions: { implies: { "a:write": [["a:read"]] } } },
    'permissions.implies: ["a:read"] is neither a permission nor a pattern of whole segments.',
  ],
  [
    "an empty permission in the hierarchy",
    { permissions: { implies: { "": ["a:read"] } } },
    'permissions.implies: "" is neither a permission nor a pattern of whole segments.',
  ],
  [
    "a permission that implies admin",
    { permissions: { implies: { owner: ["admin"] } } },
    'permissions.implies: "owner" would imply admin, which nothing may.',
  ],
  [
    "a pattern that would imply admin",
    { permissions: { implies: { "*:all": ["*"] } } },
    'permissions.implies: "*:all" would imply admin, which nothing may.',
  ],
  [
    "a star that stands for nothing",
    { permissions: { implies: { "*:write": ["*:*:read"] } } },
    'permissions.implies: "*:*:read" has a * that "*:write" has nothing for.',
  ],
  ["a malformed tool set", { tools: [tool({ toolSet: "a b" })] }, 'tool "sell": toolSet is not a name.'],
  ["a list of tool sets", { tools: [tool({ toolSet: ["a"] })] }, 'tool "sell": toolSet is not a name.'],
  [
    "a tenant by something that is no slug",
    { tools: [tool({ tenants: ["acme", "ACME"] })] },
    `tool "sell": "ACME" is not a tenant's slug.`,
  ],
  [
    "a tenant in a list of its own",
    { tools: [tool({ tenants: [["acme"]] })] },
    `tool "sell": ["acme"] is not a tenant's slug.`,
  ],
  [
    "tenants that are no list",
    { prompts: [prompt({ tenants: "acme" })] },
    'prompt "greet": tenants is not a list of slugs.',
  ],
  [
    "an input that is a text",
    { tools: [tool({ input: z.string() })] },
    'the input of tool "sell" is not an object.',
  ],
  [
    "an input that is a list",
    { tools: [tool({ input: { type: "array" } })] },
    'the input of tool "sell" is not an object.',
  ],
  [
    "an input of several types",
    { tools: [tool({ input: { type: ["object", "null"] } })] },
    'the input of tool "sell" is not an object.',
  ],
  [
    "an input that says nothing",
    { tools: [tool({ input: {} })] },
    'the input of tool "sell" is not an object.',
  ],
  [
    "an input that is no schema",
    { tools: [tool({ input: "object" })] },
    'the input of tool "sell" is not a schema.',
  ],
  [
    "an output that is no schema",
    { tools: [tool({ output: null })] },
    'the output of tool "sell" is not a schema.',
  ],
])("%s is refused, by the name of the entry", (_what, parts, refusal) => {
  expect(refusalOf(parts)).toBe(`server_invalid: ${refusal}`);
});

test("what is allowed to the last character is taken", () => {
  const catalog = compile({
    tools: [
      tool({ name: "A.b_c-9" }),
      tool({ name: "x".repeat(128), requires: "!#[]~".repeat(25), toolSet: "set.1" }),
      tool({ name: "theirs", tenants: ["acme", "a-b-c", "g2"] }),
      tool({ name: "of_nobody", tenants: [] }),
    ],
    // Tools, resources and prompts have names of their own.
    resources: [resource({ name: "A.b_c-9" }), resource({ uri: "shop://stock/{id}" })],
    prompts: [prompt({ name: "A.b_c-9", requires: "a:read" }), prompt()],
  });
  expect(catalog.tools.map((entry) => entry.definition.name)).toEqual([
    "A.b_c-9",
    "x".repeat(128),
    "theirs",
    "of_nobody",
  ]);
  expect(catalog.permissions).toEqual(["!#[]~".repeat(25), "a:read"]);
});

test("the hierarchy is the module's, or else the default", () => {
  expect(compile({}).hierarchy).toEqual({ "*:write": ["*:read"] });
  expect(compile({ permissions: {} }).hierarchy).toEqual({ "*:write": ["*:read"] });
  expect(compile({ permissions: { implies: {} } }).hierarchy).toEqual({});
  const implies = { "*:of:*": ["*:*", "seen"], admin: ["a:read"], "admin:users": ["users:read"] };
  expect(compile({ permissions: { implies } }).hierarchy).toEqual(implies);
});

test("a server without anything is one", () => {
  expect(compile({})).toMatchObject({ tools: [], resources: [], prompts: [], permissions: [] });
});

test("the lists show what clients need, and nothing of who may see it", () => {
  const catalog = compile({
    tools: [
      tool({
        title: "Sell",
        requires: "shop:write",
        toolSet: "shop",
        tenants: ["acme"],
        input: z.object({ item: z.string().describe("What.") }),
        output: z.object({ sold: z.boolean() }),
        annotations: { readOnlyHint: false, destructiveHint: true },
      }),
      tool({ name: "look", annotations: { readOnlyHint: true } }),
    ],
    resources: [resource({ mimeType: "text/csv" }), resource({ uri: "shop://item/{id}", title: "Item" })],
    prompts: [prompt({ description: "Greets.", arguments: [{ name: "who", required: true }] })],
  });
  expect(catalog.tools.map((entry) => entry.listing)).toEqual([
    {
      name: "sell",
      title: "Sell",
      description: "Sells.",
      inputSchema: {
        type: "object",
        properties: { item: { type: "string", description: "What." } },
        required: ["item"],
      },
      outputSchema: {
        type: "object",
        properties: { sold: { type: "boolean" } },
        required: ["sold"],
        additionalProperties: false,
      },
      annotations: { readOnlyHint: false, destructiveHint: true },
    },
    {
      name: "look",
      description: "Sells.",
      inputSchema: { type: "object", additionalProperties: false },
      annotations: { readOnlyHint: true },
    },
  ]);
  expect(catalog.tools.map((entry) => entry.readOnly)).toEqual([false, true]);
  expect(catalog.resources.map((entry) => entry.listing)).toEqual([
    { uri: "shop://stock", name: "stock", mimeType: "text/csv" },
    { uriTemplate: "shop://item/{id}", name: "stock", title: "Item" },
  ]);
  expect(catalog.prompts.map((entry) => entry.listing)).toEqual([
    { name: "greet", description: "Greets.", arguments: [{ name: "who", required: true }] },
  ]);
});
