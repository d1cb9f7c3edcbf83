import { afterAll, beforeAll, expect, test } from "vitest";
import { callTool, mcp } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

test("lists tools on both URLs", async () => {
  for (const [url, token] of [[server.acme.mcp, server.acme.token], [server.shared, server.acme.sharedToken]] as const) {
    const answer = await mcp(url, token, "tools/list");
    expect(answer.status).toBe(200);
    expect(answer.json.result.tools.map((tool: { name: string }) => tool.name)).toContain("search_tickets");
  }
  const customers = await callTool(server.globex.mcp, server.globex.token, "list_my_customers");
  expect(customers.json.result.isError).toBeUndefined();
});
