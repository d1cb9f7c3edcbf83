import { afterAll, beforeAll, expect, test } from "vitest";
import { callTool, type HttpAnswer, mcp, mcpMessage, send } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

test("the free plan's limit answers 429 with Retry-After; the other tenant does not notice", async () => {
  const answers: HttpAnswer[] = [];
  for (let i = 0; i < 70; i++)
    answers.push(await callTool(server.globex.mcp, server.globex.token, "list_my_customers"));
  const admitted = answers.filter((answer) => answer.status === 200);
  const [refused] = answers.filter((answer) => answer.status === 429);
  // 60 at once, and what flows in meanwhile: one a second.
  expect(admitted.length).toBeGreaterThanOrEqual(60);
  expect(admitted.length).toBeLessThan(70);
  expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200, 429]));
  expect(Number(refused?.headers["retry-after"])).toBeGreaterThanOrEqual(1);
  expect(refused?.json).toMatchObject({
    jsonrpc: "2.0",
    // The body was not read.
    id: null,
    error: {
      code: -31429,
      data: { code: "rate_limited", limit: "requestsPerMinute", value: 60, retryAfterMs: expect.any(Number) },
    },
  });
  // The shared URL is no way around it; a token may have flowed in by now, so more than one is asked.
  const shared = await Promise.all(
    Array.from({ length: 6 }, () => mcp(server.shared, server.globex.sharedToken, "tools/list")),
  );
  expect(shared.filter((answer) => answer.status === 429).length).toBeGreaterThanOrEqual(3);
  for (let i = 0; i < 80; i++)
    expect((await mcp(server.acme.mcp, server.acme.token, "tools/list")).status).toBe(200);
});

test("a tenant at its limit is still told first who it is", async () => {
  expect((await mcp(server.globex.mcp, null, "tools/list")).status).toBe(401);
  expect((await mcp(server.globex.mcp, server.acme.token, "tools/list")).status).toBe(401);
});

test("malformed messages count too; notifications do not", async () => {
  await server.admin("PATCH", "/tenants/acme", { limits: { requestsPerMinute: 6, burst: 3 } });
  const bad = { ...mcpMessage(server.acme.token, "tools/list"), body: "{" };
  const note = {
    ...mcpMessage(server.acme.token, "tools/list"),
    body: JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" }),
  };
  for (let i = 0; i < 5; i++) expect((await send(server.acme.mcp, note)).status).toBe(202);
  const statuses: number[] = [];
  for (let i = 0; i < 5; i++) statuses.push((await send(server.acme.mcp, bad)).status);
  expect(statuses).toEqual([400, 400, 400, 429, 429]);
  await server.admin("PATCH", "/tenants/acme", { limits: {} });
});

test("more operations at once than allowed: 429 that names the limit, before the body is read", async () => {
  await server.admin("PATCH", "/tenants/acme", { limits: { maxConcurrency: 1 } });
  const answers = await Promise.all(
    Array.from({ length: 12 }, () => callTool(server.acme.mcp, server.acme.token, "search_tickets", {})),
  );
  const refused = answers.filter((answer) => answer.status === 429);
  expect(answers.some((answer) => answer.status === 200)).toBe(true);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused[0]?.json).toMatchObject({
    id: null,
    error: { data: { limit: "maxConcurrency", value: 1 } },
  });
  await server.admin("PATCH", "/tenants/acme", { limits: {} });
  for (let i = 0; i < 3; i++)
    expect((await callTool(server.acme.mcp, server.acme.token, "search_tickets", {})).status).toBe(200);
});

test("a tenant with more tools than it may have gets the first of them, and the operator a warning", async () => {
  await server.admin("PATCH", "/tenants/acme", { limits: { maxTools: 2, maxResources: 1 } });
  const tools = (await mcp(server.acme.mcp, server.acme.token, "tools/list")).json.result.tools;
  expect(tools.map((tool: { name: string }) => tool.name)).toEqual(["search_tickets", "get_ticket"]);
  expect((await callTool(server.acme.mcp, server.acme.token, "close_ticket", {})).json.error.data.code).toBe(
    "tool_unknown",
  );
  expect(
    (await mcp(server.acme.mcp, server.acme.token, "resources/templates/list")).json.result.resourceTemplates,
  ).toEqual([]);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(
    server.instances[0]
      .log()
      .filter((line) => line.where === "catalog" && line.tenant === server.acme.id)
      .map((line) => line.level),
  ).toEqual(["warn", "warn"]);
  await server.admin("PATCH", "/tenants/acme", { limits: {} });
});

test("an address that keeps failing is slowed down, but not whoever is known there already", async () => {
  expect((await mcp(server.acme.mcp, server.acme.token, "tools/list")).status).toBe(200);
  const bad = mcpMessage("x.y.z", "tools/list");
  const statuses = new Set<number>();
  for (let round = 0; round < 60 && !statuses.has(429); round++) {
    for (const answer of await Promise.all(Array.from({ length: 40 }, () => send(server.acme.mcp, bad))))
      statuses.add(answer.status);
  }
  expect(statuses).toEqual(new Set([401, 429]));
  expect((await mcp(server.acme.mcp, server.acme.token, "tools/list")).status).toBe(200);
});

test("slugs that nobody has count as failures too: guessing them does not go on for ever", async () => {
  const own = await startTestServer();
  try {
    expect((await mcp(own.acme.mcp, own.acme.token, "tools/list")).status).toBe(200);
    const statuses = new Set<number>();
    for (let round = 0; round < 60 && !statuses.has(429); round++) {
      const guesses = Array.from({ length: 40 }, (_unused, i) => `${own.url}/t/guess-${round}-${i}/mcp`);
      for (const answer of await Promise.all(guesses.map((url) => mcp(url, null, "tools/list"))))
        statuses.add(answer.status);
    }
    expect(statuses).toEqual(new Set([404, 429]));
    expect((await mcp(own.acme.mcp, own.acme.token, "tools/list")).status).toBe(200);
  } finally {
    await own.close();
  }
});
