import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import deploys from "../../examples/adopted/deploys-v2/server.ts";
import { callTool } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";
import { accept, askingCall, questionOf } from "./asking-call.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ server: deploys });
});
afterAll(() => server.close());

describe("a server of the SDK's second generation, unchanged", () => {
  test("serves two tenants, and every call with a server object of its own", async () => {
    const answers = await Promise.all(
      [server.acme, server.acme, server.globex].map(({ mcp, token }) => callTool(mcp, token, "who")),
    );
    expect(answers.map(({ json }) => json.result.content[0].text)).toEqual([
      "ada of acme, call 1",
      "ada of acme, call 1",
      "grace of globex, call 1",
    ]);
  });

  test("needs the permission that the adopter says", async () => {
    const denied = await callTool(server.acme.mcp, server.token("acme", "bob"), "deploy", { env: "prod" });
    expect(denied.json.error.data).toMatchObject({ code: "scope_insufficient", scopes: ["deploys:write"] });
  });

  test("has what it returns as input_required asked, until it is answered", async () => {
    const deploy = { name: "deploy", arguments: { env: "prod" } };
    const first = questionOf(await askingCall(server.acme.mcp, server.acme.token, deploy));
    expect(first.request.params).toMatchObject({ mode: "form", message: "Deploy to prod?" });
    const declined = questionOf(
      await askingCall(server.acme.mcp, server.acme.token, {
        ...deploy,
        requestState: first.requestState,
        inputResponses: { [first.key]: accept({ confirm: false }) },
      }),
    );
    const last = await askingCall(server.acme.mcp, server.acme.token, {
      ...deploy,
      requestState: declined.requestState,
      inputResponses: { [declined.key]: accept({ confirm: true }) },
    });
    expect(last.json.result.content[0].text).toBe("Deployed to prod of acme.");
  });

  test.each(["legacy", "auto"] as const)("talks with the official client, mode %s", async (mode) => {
    const client = new Client(
      { name: "test", version: "1" },
      { capabilities: { elicitation: {} }, versionNegotiation: { mode } },
    );
    client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: { confirm: true } }));
    await client.connect(
      new StreamableHTTPClientTransport(new URL(server.globex.mcp), {
        requestInit: { headers: { authorization: `Bearer ${server.globex.token}` } },
      }),
    );
    const { content } = await client.callTool({ name: "deploy", arguments: { env: "test" } });
    expect(content).toEqual([{ type: "text", text: "Deployed to test of globex." }]);
    await client.close();
  });
});
