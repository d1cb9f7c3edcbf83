import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import conformance from "../../examples/conformance/server.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

/** What the fixture asks a client of the previous generation, which answers on the open stream, and what it then says. */
let server: TestServer;
let client: Client;
const asked: { method: string; params: unknown }[] = [];
const said: unknown[] = [];
/** The user's next answer. */
let userAnswers:
  | { action: "accept"; content: Record<string, string | number | boolean | string[]> }
  | { action: "decline" };

beforeAll(async () => {
  server = await startTestServer({ server: conformance });
  client = new Client(
    { name: "bulkhead-test", version: "1.0.0" },
    { capabilities: { sampling: {}, elicitation: {} }, versionNegotiation: { mode: "legacy" } },
  );
  client.setRequestHandler("elicitation/create", ({ method, params }) => {
    asked.push({ method, params });
    return userAnswers;
  });
  client.setRequestHandler("sampling/createMessage", ({ method, params }) => {
    asked.push({ method, params });
    return { role: "assistant", content: { type: "text", text: "Of course." }, model: "test" };
  });
  client.setNotificationHandler("notifications/message", ({ params }) => void said.push(params));
  await client.connect(
    new StreamableHTTPClientTransport(new URL(server.acme.mcp), {
      requestInit: { headers: { authorization: `Bearer ${server.acme.token}` } },
    }),
  );
});
afterAll(async () => {
  await client.close();
  await server.close();
});

/** The text of a tool's answer, and the one question that it asked. */
async function call(name: string, args: Record<string, unknown> = {}) {
  asked.length = 0;
  const { content } = await client.callTool({ name, arguments: args });
  expect(asked).toHaveLength(1);
  return { content, question: asked[0] };
}

test("test_sampling asks for the prompt with 100 tokens, and says what the model said", async () => {
  const { content, question } = await call("test_sampling", { prompt: "Are you there?" });
  expect(question).toEqual({
    method: "sampling/createMessage",
    params: {
      messages: [{ role: "user", content: { type: "text", text: "Are you there?" } }],
      maxTokens: 100,
    },
  });
  expect(content).toEqual([{ type: "text", text: "LLM response: Of course." }]);
});

test("test_elicitation asks for a name and an address, and says what the user did", async () => {
  userAnswers = { action: "accept", content: { username: "ada", email: "ada@example.com" } };
  const { content, question } = await call("test_elicitation", { message: "Who are you?" });
  expect(question).toMatchObject({
    method: "elicitation/create",
    params: {
      message: "Who are you?",
      requestedSchema: {
        type: "object",
        properties: {
          username: { type: "string", description: "User's response" },
          email: { type: "string", description: "User's email address" },
        },
        required: ["username", "email"],
      },
    },
  });
  expect(content).toEqual([
    {
      type: "text",
      text: 'User response: action=accept, content={"username":"ada","email":"ada@example.com"}',
    },
  ]);
  userAnswers = { action: "decline" };
  const declined = await call("test_elicitation", { message: "Who are you?" });
  expect(declined.content).toEqual([{ type: "text", text: "User response: action=decline, content={}" }]);
});

test("test_elicitation_sep1034_defaults asks with the defaults of the table, none of them required", async () => {
  userAnswers = { action: "accept", content: { name: "Jane Smith", age: 25 } };
  const { question } = await call("test_elicitation_sep1034_defaults");
  const properties = {
    name: { type: "string", default: "John Doe" },
    age: { type: "integer", default: 30 },
    score: { type: "number", default: 95.5 },
    status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
    verified: { type: "boolean", default: true },
  };
  expect(question).toMatchObject({ params: { requestedSchema: { type: "object", properties } } });
  expect(question).not.toHaveProperty("params.requestedSchema.required");
});

test("test_elicitation_sep1330_enums asks with every kind of choice as the module wrote it", async () => {
  userAnswers = {
    action: "accept",
    content: {
      untitledSingle: "option1",
      titledSingle: "value1",
      legacyEnum: "opt1",
      untitledMulti: ["option1", "option2"],
      titledMulti: ["value1", "value2"],
    },
  };
  const { question } = await call("test_elicitation_sep1330_enums");
  const plain = ["option1", "option2", "option3"];
  const titled = [
    { const: "value1", title: "First Option" },
    { const: "value2", title: "Second Option" },
    { const: "value3", title: "Third Option" },
  ];
  expect(question).toMatchObject({
    params: {
      requestedSchema: {
        properties: {
          untitledSingle: { type: "string", enum: plain },
          titledSingle: { type: "string", oneOf: titled },
          legacyEnum: {
            type: "string",
            enum: ["opt1", "opt2", "opt3"],
            enumNames: ["Option One", "Option Two", "Option Three"],
          },
          untitledMulti: { type: "array", items: { type: "string", enum: plain } },
          titledMulti: { type: "array", items: { anyOf: titled } },
        },
      },
    },
  });
});

test("test_tool_with_logging sends its three messages in their order", async () => {
  said.length = 0;
  await client.setLoggingLevel("debug");
  await client.callTool({ name: "test_tool_with_logging", arguments: {} });
  expect(said).toEqual(
    ["Tool execution started", "Tool processing data", "Tool execution completed"].map((data) => ({
      level: "info",
      data,
    })),
  );
});

test("test_reconnection is answered to a client that comes back", async () => {
  const { content } = await client.callTool({ name: "test_reconnection", arguments: {} });
  expect(content).toEqual([{ type: "text", text: "Reconnection test completed successfully." }]);
});
