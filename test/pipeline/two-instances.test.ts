import { afterAll, beforeAll, expect, test } from "vitest";
import { callTool, mcp } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ instances: 2 });
});
afterAll(() => server.close());

/** The same tenant's URL on the second instance. */
const onSecond = (): string => `${server.instances[1]?.url}/t/acme/mcp`;

async function within(milliseconds: number, condition: () => Promise<boolean>): Promise<number> {
  const started = performance.now();
  while (!(await condition())) {
    if (performance.now() - started > milliseconds) throw new Error(`Not within ${milliseconds} ms.`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return performance.now() - started;
}

const hasReport = async (url: string, token: string): Promise<boolean> =>
  (await mcp(url, token, "tools/list")).json.result.tools.some(
    (tool: { name: string }) => tool.name === "ticket_report",
  );

test("both serve the same tenants, with tokens of either", async () => {
  const first = await callTool(server.acme.mcp, server.acme.token, "list_my_customers");
  const second = await callTool(onSecond(), server.acme.token, "list_my_customers");
  expect(second.json.result).toEqual(first.json.result);
});

test("a change through one is seen by the other, within a second, for this tenant alone", async () => {
  const globex = `${server.instances[1]?.url}/t/globex/mcp`;
  expect(await hasReport(onSecond(), server.acme.token)).toBe(true);
  expect(await hasReport(globex, server.globex.token)).toBe(false);
  await server.admin("PATCH", "/tenants/acme", { toolSets: [] });
  // The instance that was told has it at once.
  expect(await hasReport(server.acme.mcp, server.acme.token)).toBe(false);
  await within(1_000, async () => !(await hasReport(onSecond(), server.acme.token)));
  await server.admin("PATCH", "/tenants/acme", { toolSets: null });
  await within(1_000, () => hasReport(onSecond(), server.acme.token));
  await server.admin("PUT", "/plans/free", { limits: { requestsPerMinute: 600 }, toolSets: ["reports"] });
  await within(1_000, () => hasReport(globex, server.globex.token));
});

test("a change is seen without any notification, by polling", async () => {
  // Straight into the database: nobody is told.
  await server.database.admin("UPDATE bulkhead.tenants SET status = 'suspended' WHERE id = $1", [
    server.acme.id,
  ]);
  for (const url of [server.acme.mcp, onSecond()]) {
    await within(1_500, async () => (await mcp(url, server.acme.token, "tools/list")).status === 403);
  }
  await server.database.admin("UPDATE bulkhead.tenants SET status = 'active' WHERE id = $1", [
    server.acme.id,
  ]);
  await within(1_500, async () => (await mcp(onSecond(), server.acme.token, "tools/list")).status === 200);
});

test("an issuer that is taken away lets nobody in any more, also with a token that was verified before", async () => {
  expect((await mcp(onSecond(), server.acme.token, "tools/list")).status).toBe(200);
  await server.database.admin("DELETE FROM bulkhead.issuers WHERE tenant_id = $1", [server.acme.id]);
  await within(1_500, async () => (await mcp(onSecond(), server.acme.token, "tools/list")).status === 401);
  await within(
    1_500,
    async () => (await mcp(server.acme.mcp, server.acme.token, "tools/list")).status === 401,
  );
});

test("a tenant that is deleted is unknown on both, and its slug stays so", async () => {
  expect((await server.admin("DELETE", `/tenants/${server.globex.id}`)).status).toBe(200);
  await within(
    1_500,
    async () =>
      (await mcp(`${server.instances[1]?.url}/t/globex/mcp`, server.globex.token, "tools/list")).status ===
      404,
  );
  expect((await mcp(server.shared, server.globex.sharedToken, "tools/list")).status).toBe(401);
  expect(
    (await server.admin("POST", "/tenants", { slug: "globex", name: "Again", plan: "free" })).status,
  ).toBe(409);
  expect(
    await server.database.admin("SELECT 1 FROM app.tickets WHERE tenant_id = $1", [server.globex.id]),
  ).toEqual([]);
});
