import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { HttpAnswer } from "../../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../../support/running-server.ts";
import { ask, EVERYTHING, type Params, round, textOf } from "./ask.ts";
import { createAskingServer } from "./asking-server.ts";

const asking = createAskingServer();
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ server: asking.server, instances: 2 });
});
afterAll(() => server.close());
beforeEach(() => void asking.done.splice(0));

/** A request to one of the two instances, as acme's first user. */
function to(
  instance: 0 | 1,
  method: string,
  params: Params,
  capabilities: Params = EVERYTHING,
): Promise<HttpAnswer> {
  const url = server.acme.mcp.replace(server.url, server.instances[instance]?.url ?? "");
  return ask({ url, token: server.acme.token, capabilities }, method, params);
}
const call = (name: string, more: Params = {}, capabilities: Params = EVERYTHING): Promise<HttpAnswer> =>
  to(0, "tools/call", { name, arguments: {}, ...more }, capabilities);
const accept = (content: Params) => ({ action: "accept", content });

const NAME_FORM = {
  method: "elicitation/create",
  params: {
    mode: "form",
    message: "What is your name?",
    requestedSchema: {
      type: "object",
      properties: { name: { type: "string", minLength: 1 } },
      required: ["name"],
    },
  },
};
const CAPITAL = {
  method: "sampling/createMessage",
  params: {
    messages: [{ role: "user", content: { type: "text", text: "What is the capital of France?" } }],
    maxTokens: 100,
  },
};
const ROOTS = { method: "roots/list", params: {} };
const PARIS = { role: "assistant", content: { type: "text", text: "Paris" }, model: "a-model" };

/** The answer that asks exactly this. */
function expectQuestions(answer: HttpAnswer, inputRequests: Params): void {
  expect(answer.status).toBe(200);
  expect(answer.json).toEqual({
    jsonrpc: "2.0",
    id: 7,
    result: {
      resultType: "input_required",
      inputRequests,
      requestState: expect.stringMatching(/^1\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/),
      _meta: { "io.modelcontextprotocol/serverInfo": { name: "asking", version: "1.0.0" } },
    },
  });
}

describe("a question", () => {
  test("is the answer of the first round, and the handler's of the next", async () => {
    const first = await call("greet", { arguments: { greeting: "Salut" } });
    expectQuestions(first, { name: NAME_FORM });
    const second = await call("greet", {
      arguments: { greeting: "Salut" },
      ...round(first, { name: accept({ name: "Ada" }) }),
    });
    expect(second.json.result).toMatchObject({ resultType: "complete" });
    expect(textOf(second)).toBe("Salut, Ada!");
    expect(asking.done).toEqual(["greet", "greet"]);
  });

  test("is an operation of its own in the audit trail and the log", async () => {
    await call("greet");
    const rows = await server.database.admin<{ operation_id: string; kind: string; outcome: string | null }>(
      `SELECT operation_id, kind, outcome FROM bulkhead.audit_entries
        WHERE operation_id = (SELECT operation_id FROM bulkhead.audit_entries WHERE target = 'greet' ORDER BY at DESC LIMIT 1)
        ORDER BY seq`,
    );
    expect(rows).toMatchObject([
      { kind: "intent", outcome: null },
      { kind: "outcome", outcome: "input_required" },
    ]);
    const lines = () =>
      server.instances[0]
        .log()
        .filter((line) => line.operation === rows[0]?.operation_id && line.event === "operation");
    // Events are handed to the log some milliseconds later.
    await expect.poll(lines).toMatchObject([{ outcome: "input_required" }]);
  });

  test.each(["decline", "cancel"])("may be answered by: %s", async (action) => {
    const first = await call("greet");
    expect(textOf(await call("greet", round(first, { name: { action } })))).toBe(`You said: ${action}`);
  });

  test("of a user is a form or an address, as the handler wrote it", async () => {
    const first = await call("connect");
    const params = { mode: "url", message: "Connect your account.", url: "https://example.com/connect" };
    expectQuestions(first, { visit: { method: "elicitation/create", params } });
    expect(textOf(await call("connect", round(first, { visit: { action: "accept" } })))).toBe("accept");
  });

  test("of a model is what the handler wrote", async () => {
    const first = await call("ask_model");
    expectQuestions(first, { capital: CAPITAL });
    expect(textOf(await call("ask_model", round(first, { capital: PARIS })))).toBe(
      `a-model: ${JSON.stringify(PARIS.content)}`,
    );
  });

  test("for roots has them for an answer", async () => {
    const first = await call("list_roots");
    expectQuestions(first, { roots: ROOTS });
    const roots = [{ uri: "file:///a", name: "A", more: 1 }, { uri: "file:///b" }];
    expect(textOf(await call("list_roots", round(first, { roots: { roots } })))).toBe(
      '[{"uri":"file:///a","name":"A"},{"uri":"file:///b"}]',
    );
  });

  test("may be one of several, which are asked together and answered in any parts", async () => {
    const first = await call("ask_all");
    expectQuestions(first, { name: NAME_FORM, capital: CAPITAL, roots: ROOTS });
    const second = await call("ask_all", round(first, { capital: PARIS, unasked: { x: 1 } }));
    expectQuestions(second, { name: NAME_FORM, roots: ROOTS });
    const third = await call(
      "ask_all",
      round(second, { name: accept({ name: "Ada" }), roots: { roots: [] } }),
    );
    expect(textOf(third)).toBe("accept, a-model, 0");
  });

  test("may be answered before it was asked: the first round depends on the arguments alone", async () => {
    expect(textOf(await call("greet", { inputResponses: { name: accept({ name: "Ada" }) } }))).toBe(
      "Hello, Ada!",
    );
  });

  test("of a prompt or a resource is asked the same way", async () => {
    const prompt = { name: "greet", arguments: { tone: "brief" } };
    const first = await to(0, "prompts/get", prompt);
    expectQuestions(first, { name: NAME_FORM });
    const said = round(first, { name: accept({ name: "Ada" }) });
    const { json } = await to(0, "prompts/get", { ...prompt, ...said });
    expect(json.result.messages[0].content.text).toBe("Greet Ada, and be brief.");

    const memo = await to(0, "resources/read", { uri: "memo://7" });
    expectQuestions(memo, { name: NAME_FORM });
    const read = await to(0, "resources/read", {
      uri: "memo://7",
      ...round(memo, { name: accept({ name: "Ada" }) }),
    });
    expect(read.json.result.contents[0].text).toBe("7 for Ada");
  });

  test("cannot be asked while an argument is completed", async () => {
    const { status, json } = await to(0, "completion/complete", {
      ref: { type: "ref/prompt", name: "greet" },
      argument: { name: "tone", value: "" },
    });
    expect(status).toBe(200);
    expect(json.error.data.code).toBe("handler_failed");
    expect(asking.done).toEqual(["completing"]);
  });

  test("that no form can be is a failure of the handler, told to the operator alone", async () => {
    const before = server.instances[0].log().length;
    const { json, text } = await call("nested_form");
    expect(json.error.data.code).toBe("handler_failed");
    expect(text).not.toContain("field a");
    await expect
      .poll(() => JSON.stringify(server.instances[0].log().slice(before)))
      .toContain("The field a is no text, number, boolean, choice or list of choices");
  });

  test("does not keep a handler from ending with an error", async () => {
    const first = await call("give_up");
    const second = await call("give_up", round(first, { name: { action: "cancel" } }));
    expect(second.json.result).toMatchObject({ isError: true, content: [{ text: "No: cancel" }] });
  });
});

describe("steps", () => {
  test("are taken once in three rounds, whichever instance serves each", async () => {
    const first = await to(0, "tools/call", { name: "buy", arguments: {} });
    expect(first.json.result.inputRequests.order.params.message).toBe("Order for quote 1?");
    const second = await to(1, "tools/call", {
      name: "buy",
      arguments: {},
      ...round(first, { order: accept({ yes: true }) }),
    });
    expect(Object.keys(second.json.result.inputRequests)).toEqual(["pay"]);
    expect(second.json.result.requestState).not.toBe(first.json.result.requestState);
    const third = await to(0, "tools/call", {
      name: "buy",
      arguments: {},
      ...round(second, { pay: accept({ yes: true }) }),
    });
    expect(textOf(third)).toBe("quote 1, reserve 2, charge 3");
    expect(asking.done).toEqual(["quote", "reserve", "charge"]);
  });

  test("after a state are taken again when the state is used again: it is good for more than one use", async () => {
    const first = await call("buy");
    const yes = round(first, { order: accept({ yes: true }) });
    await call("buy", yes);
    await call("buy", yes);
    expect(asking.done).toEqual(["quote", "reserve", "reserve"]);
  });
});

describe("an answer that is none", () => {
  test.each<[string, Params]>([
    ["of a user with an invalid value", { name: accept({ name: 12345 }) }],
    ["of a user with an empty value", { name: accept({ name: "" }) }],
    ["of a user without content", { name: { action: "accept" } }],
    ["of another kind", { name: PARIS }],
    ["under another key", { names: accept({ name: "Ada" }) }],
    ["missing", {}],
  ])("%s is asked for again", async (_name, inputResponses) => {
    const first = await call("greet");
    expectQuestions(await call("greet", round(first, inputResponses)), { name: NAME_FORM });
    expectQuestions(await call("greet", { inputResponses }), { name: NAME_FORM });
  });

  test.each<[string, string, Params]>([
    ["a model's without a model", "ask_model", { capital: { ...PARIS, model: undefined } }],
    ["a model's without content", "ask_model", { capital: { ...PARIS, content: "Paris" } }],
    ["roots without URIs", "list_roots", { roots: { roots: [{ name: "A" }] } }],
    ["no roots", "list_roots", { roots: {} }],
  ])("%s is asked for again", async (_name, tool, inputResponses) => {
    const first = await call(tool);
    const again = await call(tool, round(first, inputResponses));
    expect(again.json.result.inputRequests).toEqual(first.json.result.inputRequests);
  });

  test.each([null, [], "x", 5, { name: null }, { name: "Ada" }, { name: [] }])(
    "such as %j is an error: these are no InputResponses",
    async (inputResponses) => {
      const { status, json } = await call("greet", { inputResponses });
      expect(status).toBe(200);
      expect(json.error).toMatchObject({ code: -32602, data: { code: "params_invalid" } });
      expect(asking.done).toEqual([]);
    },
  );
});

describe("a client that cannot be asked", () => {
  test.each<[string, Params, Params]>([
    ["greet", {}, { elicitation: { form: {} } }],
    ["greet", { elicitation: { url: {} } }, { elicitation: { form: {} } }],
    ["connect", { elicitation: {} }, { elicitation: { url: {} } }],
    ["ask_model", {}, { sampling: {} }],
    ["ask_model_with_tools", { sampling: {} }, { sampling: { tools: {} } }],
    ["list_roots", { sampling: {} }, { roots: {} }],
    ["ask_all", { elicitation: {}, roots: {} }, { sampling: {} }],
  ])("%s with %j is told what it lacks", async (tool, capabilities, requiredCapabilities) => {
    const { status, json } = await call(tool, {}, capabilities);
    expect(status).toBe(400);
    expect(json).toMatchObject({ id: 7, error: { code: -32021, data: { requiredCapabilities } } });
    expect(json.error.data.requiredCapabilities).toEqual(requiredCapabilities);
  });

  test("ends the handler there, whatever that still does", async () => {
    const { json } = await call("fall_back", {}, {});
    expect(json.error.code).toBe(-32021);
    expect(asking.done).toEqual([]);
  });

  test("is not asked although it brings the answer", async () => {
    const { json } = await call("greet", { inputResponses: { name: accept({ name: "Ada" }) } }, {});
    expect(json.error.code).toBe(-32021);
  });
});
