import { afterEach, expect, test } from "vitest";
import { type DemonstrationTenant, defineServer, defineTool } from "../../src/catalog/define.ts";
import { createTestDatabase } from "../support/database.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

const demonstrated = (slug: string, more: Partial<DemonstrationTenant>): DemonstrationTenant => ({
  slug,
  name: slug,
  plan: "free",
  users: [{ subject: "u1", name: "U", permissions: [] }],
  ...more,
});

function moduleWith(roles: DemonstrationTenant["roles"]) {
  return defineServer({
    name: "roles",
    version: "1",
    tools: [defineTool({ name: "read", description: "Reads.", requires: "desk:read", run: () => "read" })],
    development: { tenants: [demonstrated("acme", { roles: roles ?? {} }), demonstrated("globex", {})] },
  });
}

let running: TestServer | null = null;
afterEach(async () => {
  await running?.close();
  running = null;
});

test("a demonstration tenant has the module's roles when it is made, and keeps its own afterwards", async () => {
  const server = await startTestServer({ server: moduleWith({ reader: ["desk:*"] }) });
  running = server;
  expect((await server.admin("GET", "/tenants/acme")).json.roles).toEqual({ reader: ["desk:*"] });
  expect((await server.admin("GET", "/tenants/globex")).json.roles).toEqual({});
  await server.admin("PATCH", "/tenants/acme", { roles: { clerk: ["desk:read"] } });

  // The next start of a module that says something else.
  await server.instances[0].bulkhead.close();
  const again = await startTestServer({
    server: moduleWith({ reader: ["desk:read"] }),
    database: server.database,
  });
  running = again;
  expect((await again.admin("GET", "/tenants/acme")).json.roles).toEqual({ clerk: ["desk:read"] });
});

test.each([
  ["a name that the admin API would refuse", { "two words": ["desk:read"] }],
  ["a permission that is none", { reader: ["desk read"] }],
  ["a wildcard for a part of a segment", { reader: ["de*:read"] }],
])("a module whose demonstration role has %s does not start, and nothing is made", async (_what, roles) => {
  const database = await createTestDatabase("plain");
  const before = await database.admin("SELECT slug FROM bulkhead.tenants");
  await expect(startTestServer({ server: moduleWith(roles), database })).rejects.toMatchObject({
    code: "server_invalid",
    message: expect.stringContaining("demonstration tenant acme"),
  });
  expect(await database.admin("SELECT slug FROM bulkhead.tenants")).toEqual(before);
  await database.drop();
});
