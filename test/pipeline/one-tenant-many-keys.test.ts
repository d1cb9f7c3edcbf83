import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { defineServer, defineTool } from "../../src/catalog/define.ts";
import { systemClock } from "../../src/core/clock.ts";
import { createIdSource } from "../../src/core/ids.ts";
import { connectionSettings } from "../../src/data/connection-settings.ts";
import { makeApiKey } from "../../src/identity/api-key.ts";
import { callTool, send } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

const KEYS = 40;

const definition = defineServer({
  name: "shop",
  version: "1.0.0",
  tools: [
    // It may change something: so two rows of audit are written through the system door before it answers.
    defineTool({ name: "change", description: "Changes.", run: () => "changed" }),
  ],
});

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ server: definition });
});
afterAll(() => server.close());

/** Keys of acme, as its administrator might have made them. */
async function makeKeys(): Promise<string[]> {
  const ids = createIdSource(systemClock.now);
  const texts: string[] = [];
  for (let i = 0; i < KEYS; i++) {
    const id = ids.apiKey();
    const { text, secretHash } = makeApiKey(id, randomBytes);
    texts.push(text);
    await server.database.admin(
      `INSERT INTO bulkhead.api_keys (id, tenant_id, name, secret_hash, permissions, expires_at, created_by)
       SELECT $1, t.id, 'machine', $2, '{a}', now() + interval '1 day', '{}' FROM bulkhead.tenants t WHERE t.slug = 'acme'`,
      [id, Buffer.from(secretHash)],
    );
  }
  return texts;
}

/** How many connections wait for a lock: each is one that reads a snapshot. */
async function waiting(): Promise<number> {
  const rows = await server.database.admin<{ n: number }>(
    `SELECT count(*)::int AS n FROM pg_stat_activity
      WHERE datname = current_database() AND usename = 'bulkhead_system' AND wait_event_type = 'Lock'`,
  );
  return rows[0]?.n ?? 0;
}

test("a tenant whose snapshot is slow to read, asked for by 40 keys at once, takes one connection, and others go on", async () => {
  const keys = await makeKeys();
  const globex = () => callTool(`${server.url}/t/globex/mcp`, server.globex.token, "change");
  // The last change: after it the instance knows globex, and has to read acme.
  const body = { apiKeys: true, plan: "enterprise" };
  expect((await server.admin("PATCH", "/tenants/acme", body)).status).toBe(200);
  expect((await server.admin("PATCH", "/tenants/globex", { plan: "enterprise" })).status).toBe(200);
  expect((await globex()).status).toBe(200);

  const blocker = new pg.Client(connectionSettings(server.database.adminUrl));
  await blocker.connect();
  try {
    await blocker.query("BEGIN; LOCK TABLE bulkhead.role_assignments");
    const asked = keys.map((key) => callTool(server.shared, key, "change"));
    await expect.poll(waiting).toBeGreaterThanOrEqual(1);
    for (let i = 0; i < 10; i++) expect((await globex()).status).toBe(200);
    expect(await waiting()).toBe(1);
    expect((await send(`${server.url}/readyz`, { method: "GET" })).status).toBe(200);
    await blocker.query("COMMIT");
    const answers = await Promise.all(asked);
    expect(answers.map(({ status }) => status)).toEqual(Array(KEYS).fill(200));
  } finally {
    await blocker.end();
  }
});
