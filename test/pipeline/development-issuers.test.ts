import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import helpdesk from "../../examples/helpdesk/server.ts";
import { freePort } from "../../src/cli/free-port.ts";
import type { Slug, TenantId } from "../../src/core/ids.ts";
import { createBulkhead } from "../../src/server.ts";
import { createTestDatabase } from "../support/database.ts";
import { connectAs } from "../support/oauth-client.ts";
import { OPERATOR_TOKEN, startTestServer, type TestServer } from "../support/running-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ instances: 2 });
});
afterAll(() => server.close());

const statusOf = async (url: string) => (await fetch(url)).status;

describe("a tenant that is created while the server runs", () => {
  test("has its own issuer at once, on every instance, and loses it when it is deleted", async () => {
    const created = await server.admin("POST", "/tenants", {
      slug: "initech",
      name: "Initech",
      plan: "free",
    });
    expect(created.status).toBe(201);
    const [first, second] = server.instances;
    const keysAt = (instance: typeof first | undefined) => `${instance?.url}/issuers/initech/jwks`;
    expect(await statusOf(keysAt(first))).toBe(200);
    expect(await statusOf(keysAt(second))).toBe(200);
    const metadata = await fetch(`${server.url}/.well-known/oauth-protected-resource/t/initech/mcp`);
    expect(await metadata.json()).toMatchObject({
      authorization_servers: [`${server.url}/issuers/initech`, `${server.url}/issuers/_shared`],
    });

    // One person, who may do everything.
    for (const url of [`${server.url}/t/initech/mcp`, server.shared]) {
      const { client, program } = await connectAs("Developer of Initech", url);
      expect(decodeJwt(program.stored?.access_token ?? "")).toMatchObject({
        sub: "developer",
        aud: url,
        tenant_id: created.json.id,
      });
      const mine = await client.callTool({ name: "list_my_customers", arguments: {} });
      expect(mine.isError).not.toBe(true);
      await client.close();
    }

    expect((await server.admin("DELETE", "/tenants/initech?confirm=initech")).status).toBe(200);
    expect(await statusOf(keysAt(first))).toBe(404);
    expect(await statusOf(keysAt(second))).toBe(404);
    const kept = await server.database.admin(
      "SELECT 1 FROM bulkhead.development_storage WHERE issuer_name = 'initech' OR payload::text LIKE $1",
      [`%${created.json.id}%`],
    );
    expect(kept).toEqual([]);
  });

  test("is in no token of the broker that was given before for another with the same subject", async () => {
    await server.admin("POST", "/tenants", { slug: "hooli", name: "Hooli", plan: "free" });
    const { program, client } = await connectAs("Developer of Hooli", server.shared);
    await client.close();
    expect((await server.admin("DELETE", "/tenants/hooli?confirm=hooli")).status).toBe(200);
    await server.admin("POST", "/tenants", { slug: "umbrella", name: "Umbrella", plan: "free" });
    const response = await fetch(`${server.url}/issuers/_shared/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "refresh_token",
        client_id: program.client?.client_id ?? "",
        refresh_token: program.stored?.refresh_token ?? "",
      }),
    });
    expect(await response.json()).toMatchObject({ error: "invalid_grant" });
  });
});

test("what clients were given outlives a restart of the server", async () => {
  const database = await createTestDatabase("helpdesk");
  const port = await freePort(0);
  const start = async () => {
    const bulkhead = createBulkhead({
      server: helpdesk,
      databaseUrl: database.adminUrl,
      publicUrl: `http://127.0.0.1:${port}`,
      operatorToken: OPERATOR_TOKEN,
      mode: "development",
      logLevel: "silent",
      drainMs: 1_000,
      connections: { tenant: 4, system: 2 },
    });
    await bulkhead.listen(port);
    return bulkhead;
  };
  const before = await start();
  const { program, client } = await connectAs("Ada Marsh of", `http://127.0.0.1:${port}/t/acme/mcp`);
  await client.close();
  const token = program.stored?.access_token;
  await before.close();
  const after = await start();
  try {
    // The client has thrown its access token away and has nothing but its refresh token.
    if (program.stored !== undefined) program.stored = { ...program.stored, access_token: "gone" };
    const again = await connectAs(
      "nobody, since it can renew",
      `http://127.0.0.1:${port}/t/acme/mcp`,
      program,
    );
    expect(program.sentTo).toHaveLength(1);
    expect(program.stored?.access_token).not.toBe(token);
    expect((await again.client.listTools()).tools.length).toBeGreaterThan(0);
    await again.client.close();
  } finally {
    await after.close();
    await database.drop();
  }
});

describe("tokens for tests and scripts", () => {
  const issue = async (changes: object) => {
    const development = server.instances[0].bulkhead.development();
    if (development === null) throw new TypeError("The server is not in development mode.");
    const { id, slug } = server.acme;
    const tenant = { id: id as TenantId, slug: slug as Slug };
    return development.issueDevelopmentToken({
      tenant,
      user: null,
      subject: null,
      scopes: null,
      expiresInSeconds: 300,
      shared: false,
      ...changes,
    });
  };
  const nobody = "tnt_00000000000000000000000000" as TenantId;

  test.each([
    ["the first user", {}, { subject: "ada", scopes: expect.arrayContaining(["tickets:manage"]) }],
    ["a named user", { user: "vic" }, { subject: "vic", scopes: ["tickets:read"] }],
    ["a user with other scopes", { user: "vic", scopes: ["x:y"] }, { subject: "vic", scopes: ["x:y"] }],
    ["any subject", { subject: "robot", scopes: [] }, { subject: "robot", scopes: [] }],
  ])("are for %s", async (_name, changes, expected) => {
    const own = await issue(changes);
    expect(own).toMatchObject({ ...expected, issuer: server.acme.issuer, audience: server.acme.mcp });
    const shared = await issue({ ...changes, shared: true });
    expect(shared).toMatchObject({
      ...expected,
      issuer: `${server.url}/issuers/_shared`,
      audience: server.shared,
    });
    for (const issued of [own, shared]) {
      if (!("token" in issued)) throw new TypeError("No token was issued.");
      const claims = decodeJwt(issued.token);
      expect(claims).toMatchObject({
        sub: issued.subject,
        aud: issued.audience,
        scope: issued.scopes.join(" "),
        tenant_id: server.acme.id,
        exp: issued.expiresAt / 1000,
      });
      expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(300);
    }
  });

  test.each([
    ["a user that there is not", { user: "grace" }, "input_invalid", "ada, ben, vic"],
    ["a subject without scopes", { subject: "robot" }, "input_invalid", "scopes"],
    ["a tenant that is gone", { tenant: { id: nobody, slug: "gone" } }, "tenant_not_found", ""],
    ["a tenant that is gone", { tenant: { id: nobody, slug: "gone" }, shared: true }, "tenant_not_found", ""],
  ])("are refused for %s", async (_name, changes, code, detail) => {
    const refusal = await issue(changes);
    expect(refusal).toMatchObject({ kind: "refusal", code });
    expect("detail" in refusal ? refusal.detail : "").toContain(detail);
  });

  test("are refused where the issuer was removed from the tenant, with what brings it back", async () => {
    const slug = "massive";
    const { json } = await server.admin("POST", "/tenants", { slug, name: "Massive", plan: "free" });
    const tenant = { id: json.id, slug };
    const remove = async (name: string) => {
      const { json: listed } = await server.admin("GET", `/tenants/${slug}/issuers`);
      const found = (listed.items as { id: string; issuer: string }[]).filter(({ issuer }) =>
        issuer.endsWith(`/issuers/${name}`),
      );
      expect(found).toHaveLength(1);
      const removed = await server.admin("DELETE", `/tenants/${slug}/issuers/${found[0]?.id}`);
      expect(removed.status).toBe(200);
    };
    const gone = {
      kind: "refusal",
      code: "input_invalid",
      detail: "massive has no development issuer any more; restart bulkhead dev, which makes it again",
    };
    await remove("_shared");
    expect(await issue({ tenant, shared: true })).toMatchObject(gone);
    expect(await issue({ tenant })).toHaveProperty("token");
    await remove(slug);
    expect(await issue({ tenant })).toMatchObject(gone);
    expect((await server.admin("DELETE", `/tenants/${slug}?confirm=${slug}`)).status).toBe(200);
    expect(await issue({ tenant })).toMatchObject({ code: "tenant_not_found" });
  });
});

test("a server in production has no development issuer, and makes none", async () => {
  const database = await createTestDatabase("helpdesk");
  await database.admin("UPDATE bulkhead.deployment SET mode = 'production'");
  const port = await freePort(0);
  const bulkhead = createBulkhead({
    server: helpdesk,
    databaseUrl: database.adminUrl,
    publicUrl: `http://127.0.0.1:${port}`,
    operatorToken: OPERATOR_TOKEN,
    logLevel: "silent",
  });
  try {
    await bulkhead.listen(port);
    expect(bulkhead.development()).toBeNull();
    const url = `http://127.0.0.1:${port}`;
    const created = await fetch(`${url}/admin/v1/tenants`, {
      method: "POST",
      headers: { authorization: `Bearer ${OPERATOR_TOKEN}`, "content-type": "application/json" },
      body: JSON.stringify({ slug: "acme", name: "Acme", plan: "free" }),
    });
    expect(created.status).toBe(201);
    for (const path of ["/issuers/acme/jwks", "/issuers/_shared/auth"]) {
      expect(await statusOf(url + path)).toBe(404);
    }
    expect(await database.admin("SELECT 1 FROM bulkhead.issuers")).toEqual([]);
    expect(await database.admin("SELECT 1 FROM bulkhead.development_storage")).toEqual([]);
  } finally {
    await bulkhead.close();
    await database.drop();
  }
});
