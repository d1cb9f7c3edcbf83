import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { tenants } from "../../examples/adopted/demonstration.ts";
import { adoptSdkServer } from "../../src/catalog/adopt-sdk-server.ts";
import { type LocalServer, startLocalServer } from "../../src/local-server.ts";
import { messagesOf, openSession } from "../support/earlier-session.ts";
import { connectLocally, type LocalTestClient, type Message } from "../support/local-client.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";
import { accept, askingCall, questionOf } from "./asking-call.ts";

const ASKING = { type: "object" as const, properties: { name: { type: "string" as const } } };

function buildServer(): McpServer {
  const server = new McpServer({ name: "asking", version: "1" });
  const text = (said: unknown) => ({ content: [{ type: "text" as const, text: JSON.stringify(said) }] });
  server.registerTool("elicit", {}, async () =>
    text(await server.server.elicitInput({ message: "Who?", requestedSchema: ASKING })),
  );
  server.registerTool("sample", {}, async () => {
    const content = { type: "text" as const, text: "Capital of France?" };
    const messages = [{ role: "user" as const, content }];
    // A client that does not know what this means must not be sent it.
    const includeContext = "thisServer" as const;
    return text(await server.server.createMessage({ messages, maxTokens: 9, includeContext }));
  });
  server.registerTool("roots", {}, async () => text(await server.server.listRoots()));
  return server;
}

const PARIS = { role: "assistant", content: { type: "text", text: "Paris" }, model: "m" };
const ROOTS = { roots: [{ uri: "file:///work", name: "work" }] };
const CASES = [
  {
    tool: "elicit",
    method: "elicitation/create",
    params: { message: "Who?" },
    answer: accept({ name: "Ann" }),
    wrong: accept({ name: 7 }),
  },
  {
    tool: "sample",
    method: "sampling/createMessage",
    params: {
      messages: [{ role: "user", content: { type: "text", text: "Capital of France?" } }],
      maxTokens: 9,
    },
    answer: PARIS,
    wrong: { role: "assistant" },
  },
  { tool: "roots", method: "roots/list", params: {}, answer: ROOTS, wrong: { roots: [{}] } },
] as const;
const capabilities = { elicitation: {}, sampling: {}, roots: {} };

let server: TestServer;
let local: LocalServer;
beforeAll(async () => {
  const adopted = await adoptSdkServer(buildServer, { development: { plans: { standard: {} }, tenants } });
  server = await startTestServer({ server: adopted });
  const databaseUrl = server.database.adminUrl;
  local = await startLocalServer({
    server: adopted,
    databaseUrl,
    mode: "development",
    log: { write: () => {} },
  });
});
afterAll(async () => {
  await local?.close();
  await server?.close();
});

const textOf = (message: Message): unknown => JSON.parse(message.result.content[0].text);

describe.each(CASES)("$method of an adopted handler", ({ tool, method, params, answer, wrong }) => {
  test("is answered on 2026-07-28, and asked again where the answer is none", async () => {
    const call = (more: object = {}) =>
      askingCall(
        server.acme.mcp,
        server.acme.token,
        { name: tool, arguments: {}, ...more },
        { capabilities },
      );
    const first = questionOf(await call());
    expect(first.request).toMatchObject({ method, params });
    expect(first.request.params).not.toHaveProperty("includeContext");
    const { requestState } = first;
    const again = questionOf(await call({ requestState, inputResponses: { [first.key]: wrong } }));
    expect(again.key).toBe(first.key);
    const last = await call({
      requestState: again.requestState,
      inputResponses: { [first.key]: answer },
    });
    expect(textOf(last.json)).toEqual(answer);
  });

  test("is answered in a session", async () => {
    const session = await openSession(server.acme.mcp, server.acme.token, { capabilities });
    const stream = await session.streamCall(tool);
    const asked = () => messagesOf(stream).find((message) => message.method === method);
    await vi.waitUntil(asked, { interval: 5 });
    expect(asked()).toMatchObject({ params });
    await session.post({ jsonrpc: "2.0", id: asked().id, result: answer });
    expect(await stream.closed).toBe("end");
    expect(textOf(messagesOf(stream).at(-1))).toEqual(answer);
  });

  test("is not asked of a client that has no such ability", async () => {
    const params = { name: tool, arguments: {} };
    const { json } = await askingCall(server.acme.mcp, server.acme.token, params, { capabilities: {} });
    expect(json.result).toMatchObject({ isError: true });
    expect(json.result.content[0].text).toMatch(/not support/);
  });

  test("is answered over stdio, in both generations", async () => {
    const clients: LocalTestClient[] = [];
    try {
      const current = await connectLocally(local);
      clients.push(current);
      const request = {
        name: tool,
        arguments: {},
        _meta: { "io.modelcontextprotocol/clientCapabilities": capabilities },
      };
      const { result } = await current.ask(1, "tools/call", request);
      const inputResponses = { [Object.keys(result.inputRequests)[0] ?? ""]: answer };
      const { requestState } = result;
      expect(
        textOf(await current.ask(2, "tools/call", { ...request, requestState, inputResponses })),
      ).toEqual(answer);

      const earlier = await connectLocally(local);
      clients.push(earlier);
      const clientInfo = { name: "test", version: "1" };
      await earlier.askEarlier(0, "initialize", { protocolVersion: "2025-11-25", capabilities, clientInfo });
      earlier.send({ jsonrpc: "2.0", method: "notifications/initialized" });
      const called = earlier.askEarlier(1, "tools/call", { name: tool, arguments: {} });
      const { id } = await earlier.until((message) => message.method === method);
      earlier.send({ jsonrpc: "2.0", id, result: answer });
      expect(textOf(await called)).toEqual(answer);
    } finally {
      for (const { connection } of clients) await connection.close();
    }
  });
});
