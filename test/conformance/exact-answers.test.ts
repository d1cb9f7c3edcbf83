import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RED_PIXEL, SILENCE } from "../../examples/conformance/media.ts";
import conformance from "../../examples/conformance/server.ts";
import { META, mcpMessage, send } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

/** What the suites leave unasked: they look whether there is a text, and seldom which. */
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ server: conformance });
});
afterAll(() => server.close());

const EVERYTHING = { sampling: {}, elicitation: {}, roots: {} };

interface Answer {
  readonly status: number;
  /** What was sent before the answer. */
  readonly notifications: readonly unknown[];
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever the wire has, and assert what it must be.
  readonly result: any;
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  readonly error: any;
}

async function ask(
  method: string,
  params: Record<string, unknown> = {},
  { capabilities = {}, meta = {} }: { capabilities?: object; meta?: object } = {},
): Promise<Answer> {
  const { headers, body } = mcpMessage(server.acme.token, method, params);
  const message = JSON.parse(body);
  message.params._meta = { ...META, "io.modelcontextprotocol/clientCapabilities": capabilities, ...meta };
  const {
    status,
    text,
    headers: answered,
  } = await send(server.acme.mcp, {
    headers,
    body: JSON.stringify(message),
  });
  const isStream = String(answered["content-type"]).startsWith("text/event-stream");
  const messages = isStream
    ? text.split("\n").flatMap((line) => (line.startsWith("data: {") ? [JSON.parse(line.slice(6))] : []))
    : [JSON.parse(text)];
  const { result, error } = messages.at(-1);
  return { status, notifications: messages.slice(0, -1), result, error };
}

const call = (name: string, args: object = {}, client: Parameters<typeof ask>[2] = {}) =>
  ask("tools/call", { name, arguments: args }, client);

const text = (said: string) => [{ type: "text", text: said }];
const picture = { type: "image", data: RED_PIXEL, mimeType: "image/png" };
const mixed = { uri: "test://mixed-content-resource", mimeType: "application/json" };

describe("the contents of tools", () => {
  test.each([
    ["test_simple_text", text("This is a simple text response for testing.")],
    ["test_image_content", [picture]],
    ["test_audio_content", [{ type: "audio", data: SILENCE, mimeType: "audio/wav" }]],
    [
      "test_embedded_resource",
      [
        {
          type: "resource",
          resource: {
            uri: "test://embedded-resource",
            mimeType: "text/plain",
            text: "This is an embedded resource content.",
          },
        },
      ],
    ],
    [
      "test_multiple_content_types",
      [
        ...text("Multiple content types test:"),
        picture,
        { type: "resource", resource: { ...mixed, text: '{"test":"data","value":123}' } },
      ],
    ],
  ])("%s", async (name, content) => {
    const { status, result } = await call(name);
    expect({ status, result }).toEqual({
      status: 200,
      result: { resultType: "complete", content, _meta: expect.anything() },
    });
  });

  test("test_error_handling: an error for the caller, not of the protocol", async () => {
    expect((await call("test_error_handling")).result).toMatchObject({
      resultType: "complete",
      isError: true,
      content: text("This tool intentionally returns an error for testing"),
    });
  });

  test("test_x_mcp_header: the argument that the header repeats", async () => {
    const { headers, body } = mcpMessage(server.acme.token, "tools/call", {
      name: "test_x_mcp_header",
      arguments: { region: "Hello" },
    });
    const answer = await send(server.acme.mcp, {
      headers: { ...headers, "mcp-param-region": "=?base64?SGVsbG8=?=" },
      body,
    });
    expect(answer.json.result.content).toEqual(text("region=Hello"));
  });
});

describe("what a tool tells while it works", () => {
  test("progress with the token of the request, from 0 to 100", async () => {
    for (const progressToken of ["token", 7]) {
      const { notifications, result } = await call(
        "test_tool_with_progress",
        {},
        { meta: { progressToken } },
      );
      expect(notifications).toEqual(
        [0, 50, 100].map((progress) => ({
          jsonrpc: "2.0",
          method: "notifications/progress",
          params: { progressToken, progress, total: 100 },
        })),
      );
      expect(result.resultType).toBe("complete");
    }
  });

  test("no progress where the request has no token", async () => {
    expect((await call("test_tool_with_progress")).notifications).toEqual([]);
  });

  test.each([
    ["info", ["Tool execution started", "Tool processing data", "Tool execution completed"]],
    ["warning", []],
    ["none", []],
  ])("messages of a request with level %s", async (level, expected) => {
    const meta = level === "none" ? {} : { "io.modelcontextprotocol/logLevel": level };
    const { notifications } = await call("test_tool_with_logging", {}, { meta });
    expect(notifications).toEqual(
      expected.map((data) => ({
        jsonrpc: "2.0",
        method: "notifications/message",
        params: { level: "info", data },
      })),
    );
  });
});

const form = (message: string, name: string, type: string) => ({
  method: "elicitation/create",
  params: {
    mode: "form",
    message,
    requestedSchema: { type: "object", properties: { [name]: { type } }, required: [name] },
  },
});
const sampling = (said: string, maxTokens: number) => ({
  method: "sampling/createMessage",
  params: { messages: [{ role: "user", content: { type: "text", text: said } }], maxTokens },
});
const ROOTS = { method: "roots/list", params: {} };
const NAME = form("What is your name?", "name", "string");
const accept = (content: object) => ({ action: "accept", content });
const says = (said: string) => ({
  role: "assistant",
  content: { type: "text", text: said },
  model: "test",
  stopReason: "endTurn",
});

describe("the questions of a tool and what becomes of the answers", () => {
  test.each([
    ["elicitation", { user_name: NAME }, { user_name: accept({ name: "Alice" }) }, "Hello, Alice!"],
    [
      "sampling",
      { capital_question: sampling("What is the capital of France?", 100) },
      { capital_question: says("Paris.") },
      "Paris.",
    ],
    [
      "list_roots",
      { client_roots: ROOTS },
      { client_roots: { roots: [{ uri: "file:///one" }, { uri: "file:///two" }] } },
      "Roots: file:///one, file:///two",
    ],
    [
      "request_state",
      { confirm: form("Please confirm", "ok", "boolean") },
      { confirm: accept({ ok: true }) },
      expect.stringMatching(/^state-ok: asked at \d{4}-/),
    ],
    [
      "multiple_inputs",
      { user_name: NAME, greeting: sampling("Generate a greeting", 50), client_roots: ROOTS },
      {
        user_name: accept({ name: "Alice" }),
        greeting: says("Good day"),
        client_roots: { roots: [{ uri: "file:///one" }] },
      },
      "Good day Alice, you work in 1 folders.",
    ],
  ])("%s", async (name, questions, inputResponses, said) => {
    const tool = `test_input_required_result_${name}`;
    const client = { capabilities: EVERYTHING };
    const first = await call(tool, {}, client);
    expect(first.result).toMatchObject({ resultType: "input_required" });
    expect(first.result.inputRequests).toEqual(questions);
    const { requestState } = first.result;
    const second = await ask(
      "tools/call",
      { name: tool, arguments: {}, inputResponses, ...(requestState === undefined ? {} : { requestState }) },
      client,
    );
    expect(second.result).toMatchObject({ resultType: "complete", content: text(said) });
  });

  test("multi_round: the first answer is still there when the second comes", async () => {
    const of = { name: "test_input_required_result_multi_round", arguments: {} };
    const client = { capabilities: EVERYTHING };
    const first = (await ask("tools/call", of, client)).result;
    expect(first.inputRequests).toEqual({ step1: form("Step 1: What is your name?", "name", "string") });
    const second = (
      await ask(
        "tools/call",
        { ...of, requestState: first.requestState, inputResponses: { step1: accept({ name: "Alice" }) } },
        client,
      )
    ).result;
    expect(second.inputRequests).toEqual({
      step2: form("Step 2: What is your favorite color?", "color", "string"),
    });
    const third = (
      await ask(
        "tools/call",
        { ...of, requestState: second.requestState, inputResponses: { step2: accept({ color: "blue" }) } },
        client,
      )
    ).result;
    expect(third).toMatchObject({ resultType: "complete", content: text("Alice likes blue.") });
  });

  test("capabilities: only those that the client can ask", async () => {
    const asked = async (capabilities: object) =>
      Object.keys(
        (await call("test_input_required_result_capabilities", {}, { capabilities })).result.inputRequests ??
          {},
      );
    expect(await asked({ sampling: {} })).toEqual(["greeting"]);
    expect(await asked({ elicitation: {} })).toEqual(["user_name"]);
    expect(await asked(EVERYTHING)).toEqual(["user_name", "greeting"]);
    expect(await asked({})).toEqual([]);
  });

  test("a changed state is refused with the code of the specification", async () => {
    const of = { name: "test_input_required_result_tampered_state", arguments: {} };
    const client = { capabilities: EVERYTHING };
    const { requestState } = (await ask("tools/call", of, client)).result;
    const { status, error } = await ask(
      "tools/call",
      { ...of, requestState: `${requestState}-TAMPERED`, inputResponses: { confirm: accept({ ok: true }) } },
      client,
    );
    expect([status, error.code]).toEqual([400, -32602]);
  });

  test("test_missing_capability: the refusal names what is missing", async () => {
    const { status, error } = await call("test_missing_capability");
    expect([status, error.code]).toEqual([400, -32021]);
    expect(error.data.requiredCapabilities).toEqual({ sampling: {} });
  });
});

describe("resources", () => {
  test.each([
    ["test://static-text", "text/plain", { text: "This is the content of the static text resource." }],
    ["test://static-binary", "image/png", { blob: RED_PIXEL }],
    [
      "test://template/123/data",
      "application/json",
      { text: '{"id":"123","templateTest":true,"data":"Data for ID: 123"}' },
    ],
  ])("%s", async (uri, mimeType, contents) => {
    const { result } = await ask("resources/read", { uri });
    expect(result.contents).toEqual([{ uri, mimeType, ...contents }]);
    expect(result.cacheScope).toBe("private");
  });

  test("one that is not there", async () => {
    const uri = "test://not-there";
    const { error } = await ask("resources/read", { uri });
    expect(error).toMatchObject({ code: -32602, data: { uri } });
  });
});

describe("prompts", () => {
  const user = (content: object) => ({ role: "user", content });
  test.each([
    ["test_simple_prompt", {}, [user({ type: "text", text: "This is a simple prompt for testing." })]],
    [
      "test_prompt_with_arguments",
      { arg1: "hello", arg2: "world" },
      [user({ type: "text", text: "Prompt with arguments: arg1='hello', arg2='world'" })],
    ],
    [
      "test_prompt_with_embedded_resource",
      { resourceUri: "test://example-resource" },
      [
        user({
          type: "resource",
          resource: {
            uri: "test://example-resource",
            mimeType: "text/plain",
            text: "Embedded resource content for testing.",
          },
        }),
        user({ type: "text", text: "Please process the embedded resource above." }),
      ],
    ],
    [
      "test_prompt_with_image",
      {},
      [user(picture), user({ type: "text", text: "Please analyze the image above." })],
    ],
  ])("%s", async (name, args, messages) => {
    expect((await ask("prompts/get", { name, arguments: args })).result.messages).toEqual(messages);
  });

  test("one that asks the user first", async () => {
    const of = { name: "test_input_required_result_prompt" };
    const client = { capabilities: EVERYTHING };
    expect((await ask("prompts/get", of, client)).result.inputRequests).toEqual({
      user_context: form("What context should the prompt use?", "context", "string"),
    });
    const inputResponses = { user_context: accept({ context: "a test" }) };
    expect((await ask("prompts/get", { ...of, inputResponses }, client)).result.messages).toEqual([
      user({ type: "text", text: "Use this context: a test" }),
    ]);
  });

  test("completion of an argument", async () => {
    const { result } = await ask("completion/complete", {
      ref: { type: "ref/prompt", name: "test_prompt_with_arguments" },
      argument: { name: "arg1", value: "test" },
    });
    expect(result).toMatchObject({ resultType: "complete", completion: { values: [] } });
  });
});

test("discovery names every capability that the fixture has, and both kinds of revision", async () => {
  const { result } = await ask("server/discover");
  expect(result.capabilities).toEqual({
    tools: { listChanged: true },
    resources: { listChanged: true, subscribe: true },
    prompts: { listChanged: true },
    logging: {},
    completions: {},
    extensions: { "io.modelcontextprotocol/tasks": {} },
  });
  expect(result.supportedVersions).toContain("2026-07-28");
  expect(result._meta["io.modelcontextprotocol/serverInfo"]).toMatchObject({
    name: "conformance",
    version: "1.0.0",
  });
});

test("raw JSON Schema is listed as the module has it", async () => {
  const { result } = await ask("tools/list");
  const listed = result.tools.find((tool: { name: string }) => tool.name === "json_schema_2020_12_tool");
  const defined = conformance.tools?.find((tool) => tool.name === "json_schema_2020_12_tool");
  expect(listed.inputSchema).toEqual(defined?.input);
});
