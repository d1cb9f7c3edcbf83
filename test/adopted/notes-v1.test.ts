import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import notes from "../../examples/adopted/notes-v1/server.ts";
import { messagesOf, openSession } from "../support/earlier-session.ts";
import { callTool, META, mcp, mcpMessage, send } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";
import { accept, askingCall, questionOf } from "./asking-call.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ server: notes });
  for (const { mcp: url, token } of [server.acme, server.globex])
    await callTool(url, token, "add-note", { name: "plan", text: `of ${url}` });
});
afterAll(() => server.close());

describe("a server of the SDK's first generation, unchanged", () => {
  test("is listed as it lists itself, in the dialect that its schemas have", async () => {
    const { tools } = (await mcp(server.acme.mcp, server.acme.token, "tools/list")).json.result;
    expect(tools.map((tool: { name: string }) => tool.name)).toEqual([
      "add-note",
      "count-notes",
      "delete-note",
      "export-notes",
    ]);
    expect(tools[0]).toMatchObject({
      title: "Add a note",
      description: "Keeps a note.",
      inputSchema: {
        $schema: "http://json-schema.org/draft-07/schema#",
        type: "object",
        properties: { name: { type: "string", minLength: 1 }, text: { type: "string" } },
        required: ["name", "text"],
      },
    });
    expect(tools[1]).toMatchObject({
      annotations: { readOnlyHint: true },
      outputSchema: { type: "object", required: ["notes", "callsOfThisServer"] },
    });
    const { result } = (await mcp(server.acme.mcp, server.acme.token, "server/discover")).json;
    expect(result.instructions).toBe("Keep notes short.");
    expect(result._meta["io.modelcontextprotocol/serverInfo"]).toEqual({ name: "notes", version: "1.4.0" });
  });

  test("keeps what its handlers keep for the tenant that called", async () => {
    const read = async ({ mcp: url, token }: { mcp: string; token: string }) =>
      (await mcp(url, token, "resources/read", { uri: "notes://plan" })).json.result.contents;
    expect(await read(server.acme)).toEqual([
      { uri: "notes://plan", mimeType: "text/plain", text: `of ${server.acme.mcp}` },
    ]);
    expect(await read(server.globex)).toEqual([
      { uri: "notes://plan", mimeType: "text/plain", text: `of ${server.globex.mcp}` },
    ]);
  });

  test("serves every call with a server object of its own", async () => {
    const counts = await Promise.all(
      [server.acme, server.acme, server.globex].map(({ mcp: url, token }) =>
        callTool(url, token, "count-notes"),
      ),
    );
    for (const { json } of counts)
      expect(json.result.structuredContent).toEqual({ notes: 1, callsOfThisServer: 1 });
  });

  test("answers with its results' _meta beside that of this server", async () => {
    const { json } = await callTool(server.acme.mcp, server.acme.token, "add-note", {
      name: "plan",
      text: "x",
    });
    expect(json.result).toEqual({
      resultType: "complete",
      content: [{ type: "text", text: "Kept plan." }],
      _meta: {
        "example.com/calls": 1,
        "io.modelcontextprotocol/serverInfo": { name: "notes", version: "1.4.0" },
      },
    });
    const session = await openSession(server.acme.mcp, server.acme.token);
    const earlier = await session.call("add-note", { name: "plan", text: "x" });
    expect(earlier.json.result).toEqual({
      content: [{ type: "text", text: "Kept plan." }],
      _meta: { "example.com/calls": 1 },
    });
  });

  test("checks its arguments in its own words", async () => {
    const { json } = await callTool(server.acme.mcp, server.acme.token, "add-note", { name: "" });
    expect(json.result.isError).toBe(true);
    expect(json.result.content[0].text).toContain("Input validation error");
  });

  test("gives its prompts", async () => {
    const got = await mcp(server.acme.mcp, server.acme.token, "prompts/get", {
      name: "summarise",
      arguments: { name: "plan" },
    });
    expect(got.json.result.messages).toEqual([
      { role: "user", content: { type: "text", text: "Sum up notes://plan" } },
    ]);
  });
});

describe("around it", () => {
  test("a permission is required where the adopter says so", async () => {
    const denied = await callTool(server.acme.mcp, server.token("acme", "bob"), "add-note", {
      name: "n",
      text: "t",
    });
    expect(denied.status).toBe(403);
    expect(denied.json.error.data).toMatchObject({ code: "scope_insufficient", scopes: ["notes:write"] });
    const { tools } = (await mcp(server.acme.mcp, server.token("acme", "bob"), "tools/list")).json.result;
    expect(tools.map((tool: { name: string }) => tool.name)).toEqual(["count-notes", "export-notes"]);
  });

  test("what may change something is on record before it runs and after", async () => {
    const rows = async () =>
      await server.database.admin(
        "SELECT kind, outcome FROM bulkhead.audit_entries WHERE tenant_id = $1 AND target = $2 ORDER BY seq DESC LIMIT 2",
        [server.globex.id, "delete-note"],
      );
    await callTool(server.globex.mcp, server.globex.token, "delete-note", { name: "audited" });
    expect(await rows()).toEqual([
      { kind: "outcome", outcome: "tool_error" },
      { kind: "intent", outcome: null },
    ]);
    await askingCall(server.globex.mcp, server.globex.token, {
      name: "delete-note",
      arguments: { name: "audited" },
    });
    expect(await rows()).toEqual([
      { kind: "outcome", outcome: "input_required" },
      { kind: "intent", outcome: null },
    ]);
  });

  test("progress and messages reach the client that wants them", async () => {
    const { headers, body } = mcpMessage(server.acme.token, "tools/call", {
      name: "export-notes",
      arguments: {},
    });
    const message = JSON.parse(body);
    message.params._meta = { ...META, progressToken: "p", "io.modelcontextprotocol/logLevel": "info" };
    const { text } = await send(server.acme.mcp, { headers, body: JSON.stringify(message) });
    const said = text
      .split("\n")
      .filter((line) => line.startsWith("data: "))
      .map((line) => JSON.parse(line.slice(6)));
    expect(said[0]).toMatchObject({
      method: "notifications/message",
      params: { level: "info", data: "Read note/plan" },
    });
    expect(said[1]).toMatchObject({
      method: "notifications/progress",
      params: { progressToken: "p", progress: 1, total: 1 },
    });
    expect(said.at(-1).result.content[0].text).toMatch(/^plan: /);
  });
});

describe("a handler that asks its client", () => {
  const params = { name: "delete-note", arguments: { name: "asked" } };
  const deletable = () =>
    callTool(server.acme.mcp, server.acme.token, "add-note", { name: "asked", text: "soon gone" });

  test("on 2026-07-28 is parked until the answer comes, and goes on in its tenant", async () => {
    await deletable();
    const first = await askingCall(server.acme.mcp, server.acme.token, params);
    const { key, request, requestState } = questionOf(first);
    expect(request).toMatchObject({
      method: "elicitation/create",
      params: { mode: "form", message: "Delete asked?" },
    });
    const second = await askingCall(server.acme.mcp, server.acme.token, {
      ...params,
      requestState,
      inputResponses: { [key]: accept({ sure: true }) },
    });
    expect(second.json.result.content).toEqual([{ type: "text", text: "asked is gone." }]);
    // It has ended: there is nothing to go on with.
    const third = await askingCall(server.acme.mcp, server.acme.token, {
      ...params,
      requestState,
      inputResponses: { [key]: accept({ sure: true }) },
    });
    expect(third.status).toBe(400);
    expect(third.json.error.data.code).toBe("request_state_invalid");
  });

  test("in a session waits on the open stream", async () => {
    await deletable();
    const session = await openSession(server.acme.mcp, server.acme.token, {
      capabilities: { elicitation: {} },
    });
    const stream = await session.streamCall("delete-note", { name: "asked" });
    const asked = () => messagesOf(stream).find((message) => message.method === "elicitation/create");
    await vi.waitUntil(asked, { interval: 5 });
    const question = asked();
    await session.post({ jsonrpc: "2.0", id: question.id, result: accept({ sure: true }) });
    expect(await stream.closed).toBe("end");
    expect(messagesOf(stream).at(-1).result.content[0].text).toBe("asked is gone.");
  });

  test("hears that a client cannot ask", async () => {
    const { json } = await callTool(server.acme.mcp, server.acme.token, "delete-note", { name: "asked" });
    expect(json.result).toMatchObject({ isError: true });
    expect(json.result.content[0].text).toContain("elicitation");
  });
});
