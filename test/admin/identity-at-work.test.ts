import { afterAll, beforeAll, expect, it } from "vitest";
import { callTool, type HttpAnswer } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const search = (token: string): Promise<HttpAnswer> =>
  callTool(server.acme.mcp, token, "search_tickets", { query: "x" });

it("an API key that was created works for its tenant, until it is deleted", async () => {
  await server.admin("PATCH", "/tenants/acme", { apiKeys: true });
  const created = await server.admin("POST", "/tenants/acme/keys", {
    name: "Importer",
    permissions: ["tickets:read"],
  });
  expect(created.status).toBe(201);
  const key = String(created.json.key);
  expect((await search(key)).status).toBe(200);
  expect((await callTool(server.globex.mcp, key, "search_tickets", { query: "x" })).status).toBe(401);
  await server.admin("DELETE", `/tenants/acme/keys/${String(created.json.id)}`);
  expect((await search(key)).status).toBe(401);
  // Events are handed to the log some milliseconds later.
  const logged = () => JSON.stringify(server.instances[0].log());
  await expect.poll(logged, { timeout: 5_000 }).toContain(String(created.json.id));
  const log = logged();
  expect(log).not.toContain(key.slice(-43));
});

it("a revoked subject's token stops counting, and counts again when the revocation is taken back", async () => {
  const token = server.token("acme", "ada");
  expect((await search(token)).status).toBe(200);
  const { iss, sub } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
  const revoked = await server.admin("POST", "/tenants/acme/revocations", { issuer: iss, subject: sub });
  expect(revoked.status).toBe(201);
  expect((await search(token)).status).toBe(401);
  await server.admin("DELETE", `/tenants/acme/revocations/${String(revoked.json.id)}`);
  expect((await search(token)).status).toBe(200);
});

it("an issuer that is removed takes its tokens along", async () => {
  const token = server.token("acme", "ada");
  expect((await search(token)).status).toBe(200);
  const { json } = await server.admin("GET", "/tenants/acme/issuers");
  const own = (json.items as { id: string; broker: boolean }[]).find((issuer) => !issuer.broker);
  expect((await server.admin("DELETE", `/tenants/acme/issuers/${own?.id}`)).status).toBe(200);
  expect((await search(token)).status).toBe(401);
});
