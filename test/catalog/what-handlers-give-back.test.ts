import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import {
  CallerError,
  definePrompt,
  defineResource,
  defineServer,
  defineTool,
  type ToolReturn,
} from "../../src/catalog/define.ts";
import { callTool, type HttpAnswer, mcp, mcpMessage, send } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

/** What no answer may contain. */
const SECRET = "postgres://owner:hunter2@db";

const circular: Record<string, unknown> = {};
circular.self = circular;
const unreadable = new Proxy(
  {},
  {
    get() {
      throw new Error("unreadable");
    },
  },
);
const fakeError = Object.create(Error.prototype, {
  stack: {
    get() {
      throw new Error("no stack");
    },
  },
}) as Error;

/** Handlers by the name of what they give back. */
const RETURNS: Record<string, () => unknown> = {
  text: () => "Sold.",
  empty_text: () => "",
  whole: () => ({
    content: [{ type: "text", text: "two" }],
    structuredContent: { n: 2 },
    isError: false,
    _meta: { mine: 1 },
    resultType: "input_required",
  }),
  whole_error: () => ({ content: [{ type: "text", text: "Out of stock." }], isError: true }),
  object: () => ({ id: 7, tags: ["a"], none: undefined }),
  array: () => [1, "b", null],
  number: () => 4.5,
  boolean: () => false,
  null: () => null,
  nothing: () => undefined,
  later: async () => ({ id: 8 }),
  a_function: () => () => SECRET,
  a_symbol: () => Symbol(SECRET),
  a_bigint: () => ({ n: 10n, SECRET }),
  circular: () => circular,
  bigint_in_whole: () => ({ content: [], structuredContent: { n: 10n } }),
};

const THROWN: Record<string, unknown> = {
  an_error: new Error(`connect ${SECRET}`),
  a_type_error: new TypeError(`cannot read ${SECRET}`),
  an_error_with_a_cause: new Error("outer", { cause: new Error(SECRET) }),
  a_text: SECRET,
  an_object: { message: SECRET, isError: true, content: [{ type: "text", text: SECRET }] },
  a_circular_object: circular,
  an_unreadable_object: unreadable,
  an_error_without_a_stack: fakeError,
  a_bigint: 10n,
  a_symbol: Symbol(SECRET),
  nothing: undefined,
  null: null,
};

const readOnly = { annotations: { readOnlyHint: true } };
const ran: string[] = [];

const server = defineServer({
  name: "shop",
  version: "1.0.0",
  tools: [
    ...Object.entries(RETURNS).map(([name, give]) =>
      defineTool({
        name: `give_${name}`,
        description: "Gives something back.",
        ...readOnly,
        run: () => give() as ToolReturn,
      }),
    ),
    ...Object.entries(THROWN).map(([name, thrown]) =>
      defineTool({
        name: `throw_${name}`,
        description: "Throws something.",
        ...readOnly,
        run: () => {
          throw thrown;
        },
      }),
    ),
    defineTool({
      name: "say_no",
      description: "Says no.",
      run: async () => {
        throw new CallerError("There are only 3 left.");
      },
    }),
    defineTool({
      name: "throw_and_write",
      description: "May change something.",
      run: () => {
        throw new Error(SECRET);
      },
    }),
    defineTool({
      name: "promise",
      description: "Gives what it is told, and promises what zod says.",
      ...readOnly,
      input: z.object({ give: z.unknown() }),
      output: z.object({ id: z.int(), note: z.string().default("none") }),
      run: ({ give }) => give as ToolReturn,
    }),
    defineTool({
      name: "promise_raw",
      description: "The same with a raw schema.",
      ...readOnly,
      input: z.object({ give: z.unknown() }),
      output: { type: "object", properties: { id: { type: "integer" } }, required: ["id"] },
      run: ({ give }) => give as ToolReturn,
    }),
    defineTool({
      name: "promise_text",
      description: "Promises a text.",
      ...readOnly,
      output: z.string(),
      run: () => "Sold.",
    }),
    defineTool({
      name: "break_promise",
      description: "Gives something with a secret that does not fit.",
      ...readOnly,
      output: z.object({ id: z.literal(1) }),
      run: () => ({ id: SECRET, [SECRET]: 1 }),
    }),
    defineTool({
      name: "check_and_throw",
      description: "Its check throws.",
      input: z.object({
        n: z.number().refine(() => {
          throw new Error(SECRET);
        }),
      }),
      run: () => {
        ran.push("check_and_throw");
        return "";
      },
    }),
    defineTool({
      name: "tree",
      description: "Takes a tree of any depth.",
      ...readOnly,
      input: { type: "object", properties: { child: { $ref: "#" } }, additionalProperties: false },
      run: () => "A tree.",
    }),
  ],
  resources: [
    defineResource({ uri: "shop://text", name: "text", read: () => "Stock." }),
    defineResource({
      uri: "shop://bytes",
      name: "bytes",
      mimeType: "image/png",
      read: () => new Uint8Array([0, 255]),
    }),
    defineResource({ uri: "shop://json", name: "json", read: () => ({ id: 1 }) }),
    defineResource({ uri: "shop://none/{id}", name: "none", read: () => undefined }),
    defineResource({
      uri: "shop://no",
      name: "no",
      read: () => {
        throw new CallerError("Closed on Sundays.");
      },
    }),
    defineResource({
      uri: "shop://failing",
      name: "failing",
      read: () => {
        throw new Error(SECRET);
      },
    }),
  ],
  prompts: [
    definePrompt({
      name: "greet",
      arguments: [{ name: "who", required: true }, { name: "__proto__" }],
      get: (args) => `Greet ${args.who} (${Object.keys(args).join()}).`,
    }),
    definePrompt({
      name: "failing",
      get: async () => {
        throw new Error(SECRET);
      },
    }),
  ],
});

let running: TestServer;
beforeAll(async () => {
  running = await startTestServer({ server });
});
afterAll(() => running.close());

const call = (name: string, args: Record<string, unknown> = {}): Promise<HttpAnswer> =>
  callTool(running.acme.mcp, running.acme.token, name, args);

async function until<T>(find: () => T | undefined): Promise<T> {
  const end = Date.now() + 5_000;
  for (;;) {
    const found = find();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new TypeError("It did not come to be.");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The log line of the operation that an answer names. */
const lineOf = (answer: HttpAnswer) =>
  until(() =>
    running.instances[0].log().find((line) => line.operation === answer.json.error.data.operationId),
  );

/** That a caller was told of a failure, and nothing of why, and the operator all of it. */
async function expectFailure(answer: HttpAnswer, cause: string | null = SECRET) {
  expect(answer.status).toBe(200);
  expect(answer.json).toEqual({
    jsonrpc: "2.0",
    id: 1,
    error: {
      code: -32603,
      message: "The operation failed.",
      data: {
        code: "handler_failed",
        remedy: "Try again; the operator finds the cause in the log under data.operationId.",
        operationId: expect.stringMatching(/^op_[0-9a-z]{26}$/),
      },
    },
  });
  expect(answer.text).not.toContain("hunter2");
  const line = await lineOf(answer);
  expect(line).toMatchObject({
    level: "error",
    event: "operation",
    outcome: "failed",
    tenant: running.acme.id,
  });
  if (cause !== null) expect(line.cause).toContain(cause);
}

describe("a tool's return", () => {
  test.each<[string, Record<string, unknown>]>([
    ["text", { content: [{ type: "text", text: "Sold." }] }],
    ["empty_text", { content: [{ type: "text", text: "" }] }],
    ["whole", { content: [{ type: "text", text: "two" }], structuredContent: { n: 2 }, isError: false }],
    ["whole_error", { content: [{ type: "text", text: "Out of stock." }], isError: true }],
    [
      "object",
      {
        content: [{ type: "text", text: '{"id":7,"tags":["a"]}' }],
        structuredContent: { id: 7, tags: ["a"] },
      },
    ],
    ["array", { content: [{ type: "text", text: '[1,"b",null]' }], structuredContent: [1, "b", null] }],
    ["number", { content: [{ type: "text", text: "4.5" }], structuredContent: 4.5 }],
    ["boolean", { content: [{ type: "text", text: "false" }], structuredContent: false }],
    ["null", { content: [{ type: "text", text: "null" }], structuredContent: null }],
    ["nothing", { content: [] }],
    ["later", { content: [{ type: "text", text: '{"id":8}' }], structuredContent: { id: 8 } }],
  ])("%s", async (name, result) => {
    const answer = await call(`give_${name}`);
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({
      jsonrpc: "2.0",
      id: 1,
      result: {
        resultType: "complete",
        ...result,
        _meta: {
          ...(name === "whole" ? { mine: 1 } : {}),
          "io.modelcontextprotocol/serverInfo": { name: "shop", version: "1.0.0" },
        },
      },
    });
    // A member twice would be read by each parser in its own way.
    expect(answer.text.split('"_meta"').length).toBe(2);
    expect(answer.text.split('"resultType"').length).toBe(2);
  });

  test.each(["a_function", "a_symbol", "a_bigint", "circular", "bigint_in_whole"])(
    "%s is a failure of the tool, since JSON has no such thing",
    async (name) => {
      await expectFailure(await call(`give_${name}`), "");
    },
  );
});

describe("a tool that throws", () => {
  test("a CallerError becomes a result with isError and its text", async () => {
    const answer = await call("say_no");
    expect(answer.json.result).toMatchObject({
      content: [{ type: "text", text: "There are only 3 left." }],
      isError: true,
    });
  });

  test.each<[string, string]>([
    ["an_error", `Error: connect ${SECRET}`],
    ["a_type_error", `TypeError: cannot read ${SECRET}`],
    ["an_error_with_a_cause", `Error: ${SECRET}`],
    ["a_text", SECRET],
    ["an_object", SECRET],
    ["and_write", SECRET],
  ])("%s: its text is in the log, and nowhere in the answer", async (name, cause) => {
    await expectFailure(await call(`throw_${name}`), cause);
  });

  test.each([
    "a_circular_object",
    "an_unreadable_object",
    "an_error_without_a_stack",
    "a_bigint",
    "a_symbol",
    "nothing",
    "null",
  ])("%s: whatever it is, it ends that one call and nothing else", async (name) => {
    await expectFailure(await call(`throw_${name}`), null);
    expect((await call("give_text")).json.result.content[0].text).toBe("Sold.");
  });
});

describe("a tool with an output schema", () => {
  test("sends what the schema gave: defaults filled in, members that it does not name left out", async () => {
    const { result } = (await call("promise", { give: { id: 1, passwordHash: "x" } })).json;
    expect(result.structuredContent).toEqual({ id: 1, note: "none" });
    expect(result.content).toEqual([{ type: "text", text: '{"id":1,"note":"none"}' }]);
    const whole = (
      await call("promise", {
        give: { content: [{ type: "text", text: "One." }], structuredContent: { id: 1, extra: 2 } },
      })
    ).json.result;
    expect([whole.content, whole.structuredContent]).toEqual([
      [{ type: "text", text: "One." }],
      { id: 1, note: "none" },
    ]);
    const raw = (await call("promise_raw", { give: { id: 1, extra: 2 } })).json.result;
    expect(raw.structuredContent).toEqual({ id: 1, extra: 2 });
  });

  test("a text is structured content where the schema says so", async () => {
    expect((await call("promise_text")).json.result).toMatchObject({
      content: [{ type: "text", text: '"Sold."' }],
      structuredContent: "Sold.",
    });
  });

  test("an answer with isError need not fit", async () => {
    const give = { content: [{ type: "text", text: "No." }], isError: true };
    for (const name of ["promise", "promise_raw"]) {
      const { result } = (await call(name, { give })).json;
      expect([result.isError, result.structuredContent]).toEqual([true, undefined]);
    }
  });

  test("what does not fit fails, and the log says how", async () => {
    for (const name of ["promise", "promise_raw"]) {
      const says = "The output does not fit its schema: ";
      await expectFailure(await call(name, { give: { id: "one" } }), `${says}id: `);
      await expectFailure(await call(name, { give: {} }), says);
      await expectFailure(await call(name, { give: "text" }), says);
      await expectFailure(await call(name, { give: null }), says);
      await expectFailure(await call(name, { give: { content: [] } }), says);
    }
    await expectFailure(await call("break_promise"), "The output does not fit its schema: id: ");
  });
});

describe("arguments", () => {
  test("a check that throws is a failure of the tool, which does not run", async () => {
    await expectFailure(await call("check_and_throw", { n: 1 }));
    expect(ran).toEqual([]);
  });

  test("a tree as deep as a body may be is taken, and a deeper one is no JSON to us", async () => {
    const tree = (depth: number) => `${'{"child":'.repeat(depth)}{}${"}".repeat(depth)}`;
    // The message and its parameters are two more, and the leaf is one.
    expect((await sendDeep("tree", tree(997))).json.result.content[0].text).toBe("A tree.");
    for (const depth of [998, 90_000]) {
      const { status, json } = await sendDeep("tree", tree(depth));
      expect([status, json.error.data.code]).toEqual([400, "parse_error"]);
    }
    expect((await call("give_text")).status).toBe(200);
    const lines = running.instances[0].log().filter((line) => line.event === "fault");
    expect(lines).toEqual([]);
  });
});

/** Calls a tool with arguments of any depth. */
async function sendDeep(name: string, args: string): Promise<HttpAnswer> {
  const { headers, body } = mcpMessage(running.acme.token, "tools/call", { name, arguments: "ARGS" });
  return send(running.acme.mcp, { headers, body: body.replace('"ARGS"', args) });
}

describe("resources and prompts", () => {
  const read = (uri: string) => mcp(running.acme.mcp, running.acme.token, "resources/read", { uri });
  const get = (name: string, args: Record<string, unknown>) =>
    mcp(running.acme.mcp, running.acme.token, "prompts/get", { name, arguments: args });

  test("a resource is text, bytes or JSON", async () => {
    const contents = async (uri: string) => (await read(uri)).json.result.contents;
    expect(await contents("shop://text")).toEqual([
      { uri: "shop://text", mimeType: "text/plain", text: "Stock." },
    ]);
    expect(await contents("shop://bytes")).toEqual([
      { uri: "shop://bytes", mimeType: "image/png", blob: "AP8=" },
    ]);
    expect(await contents("shop://json")).toEqual([
      { uri: "shop://json", mimeType: "application/json", text: '{"id":1}' },
    ]);
  });

  test("one that is not there answers as one that is not defined", async () => {
    const absent = await read("shop://none/7");
    const undefinedOne = await read("shop://nowhere");
    expect([absent.json.error.message, absent.json.error.data.uri]).toEqual([
      "Resource not found.",
      "shop://none/7",
    ]);
    expect(undefinedOne.json.error.message).toBe("Resource not found.");
  });

  test("a CallerError's text is told; any other exception's is not", async () => {
    const told = (await read("shop://no")).json.error;
    expect([told.code, told.message]).toEqual([-32602, "Invalid params. Closed on Sundays."]);
    await expectFailure(await read("shop://failing"));
    await expectFailure(await get("failing", {}));
  });

  test("a prompt gets its declared arguments alone", async () => {
    const args = JSON.parse('{"who":"Ada","__proto__":"x","constructor":"y","other":"z"}');
    expect((await get("greet", args)).json.result.messages).toEqual([
      { role: "user", content: { type: "text", text: "Greet Ada (who,__proto__)." } },
    ]);
    expect((await get("greet", { who: 5 })).json.error.data.code).toBe("params_invalid");
    expect((await get("greet", {})).json.error.message).toBe("Invalid params. The argument who is missing.");
  });
});
