import { request } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mcpMessage } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

/** Sends the headers of a call, and its body when it is told to. */
function begin(url: string, token: string, tool: string, args: object) {
  const { headers, body } = mcpMessage(token, "tools/call", { name: tool, arguments: args });
  const sent = request(url, {
    method: "POST",
    agent: false,
    headers: { ...headers, "content-length": String(Buffer.byteLength(body)) },
  });
  const status = new Promise<number>((resolve, reject) => {
    sent.on("error", reject);
    sent.on("response", (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
  });
  sent.flushHeaders();
  return {
    finish: () => {
      sent.end(body);
      return status;
    },
  };
}

/** What this process's server has of requests under way is only seen from outside: by its limit. */
async function untilUnderWay(url: string, token: string): Promise<void> {
  for (;;) {
    const answer = await fetch(url, { method: "POST", headers: { authorization: `Bearer ${token}` } });
    await answer.arrayBuffer();
    if (answer.status === 429) return;
  }
}

test("a role that was taken away while the body came grants nothing any more", async () => {
  const { mcp, issuer } = server.acme;
  const issued = await server.admin("POST", "/development/tokens", {
    tenant: "acme",
    subject: "rita",
    scope: "none",
  });
  const token = String(issued.json.token);
  const assignment = { issuer, subject: "rita", roles: ["reader"] };
  expect((await server.admin("PATCH", "/tenants/acme", { roles: { reader: ["tickets:read"] } })).status).toBe(
    200,
  );
  expect((await server.admin("PUT", "/tenants/acme/role-assignments", assignment)).status).toBe(201);
  expect(await begin(mcp, token, "search_tickets", {}).finish()).toBe(200);

  await server.admin("PATCH", "/tenants/acme", { limits: { maxConcurrency: 1 } });
  const held = begin(mcp, token, "search_tickets", {});
  await untilUnderWay(mcp, server.acme.token);
  const query = new URLSearchParams({ issuer, subject: "rita" });
  expect((await server.admin("DELETE", `/tenants/acme/role-assignments?${query}`)).status).toBe(200);
  expect(await held.finish()).toBe(403);
});
