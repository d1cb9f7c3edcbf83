import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parseTenantId } from "../../src/core/ids.ts";
import type { SystemDoor } from "../../src/data/system-door.ts";
import { DEFAULT_LIMITS } from "../../src/tenancy/limits.ts";
import { createTestDatabase } from "../support/database.ts";
import { type AdminServer, startAdminServer } from "./admin-server.ts";

let database: { readonly system: SystemDoor; drop(): Promise<void> };
let server: AdminServer;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startAdminServer(database.system);
  await server.call("PUT", "/plans/gold", {
    body: {
      limits: { requestsPerMinute: 5000, quotas: { mails: { limit: 10, period: "day" } } },
      toolSets: ["notes"],
    },
  });
});
afterAll(async () => {
  await server.close();
  await database.drop();
});
beforeEach(() => {
  server.events.length = 0;
});

describe("creating a tenant", () => {
  it("answers 201 with the tenant, its effective configuration and its endpoint", async () => {
    const changes = server.changes();
    const answer = await server.call("POST", "/tenants", {
      body: {
        slug: "acme",
        name: "Acme",
        plan: "gold",
        limits: { burst: null, maxTools: 7, quotas: { exports: { limit: 3, period: "month" } } },
        scopes: ["notes:read"],
        roles: { editor: ["notes:read", "notes:write"] },
        settings: { theme: { dark: true } },
      },
    });
    expect(answer.status).toBe(201);
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(answer.headers.get("etag")).toBe('"1"');
    expect(parseTenantId(String(answer.body.id))).not.toBeNull();
    expect(answer.body).toEqual({
      id: answer.body.id,
      slug: "acme",
      name: "Acme",
      plan: "gold",
      status: "active",
      limits: { burst: null, maxTools: 7, quotas: { exports: { limit: 3, period: "month" } } },
      effectiveLimits: {
        ...DEFAULT_LIMITS,
        requestsPerMinute: 5000,
        maxTools: 7,
        quotas: { mails: { limit: 10, period: "day" }, exports: { limit: 3, period: "month" } },
      },
      toolSets: null,
      effectiveToolSets: ["notes"],
      scopes: ["notes:read"],
      roles: { editor: ["notes:read", "notes:write"] },
      settings: { theme: { dark: true } },
      apiKeys: false,
      dpop: "off",
      placement: "shared",
      version: 1,
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      updatedAt: answer.body.createdAt,
      mcp: "http://127.0.0.1:8787/t/acme/mcp",
    });
    expect(server.changes()).toBe(changes + 1);
    expect(server.events).toEqual([
      {
        type: "administrative",
        at: expect.any(Number),
        operationId: expect.stringMatching(/^op_/),
        actor: { kind: "operator", subject: "operator", issuer: null, clientId: null },
        action: "tenants.create",
        tenantId: answer.body.id,
        target: "acme",
        outcome: "ok",
        code: null,
        durationMs: expect.any(Number),
      },
    ]);
  });

  it("puts it on the plan free where none is named", async () => {
    const answer = await server.call("POST", "/tenants", { body: { slug: "plain", name: "Plain" } });
    expect(answer.body).toMatchObject({
      plan: "free",
      limits: {},
      toolSets: null,
      scopes: [],
      roles: {},
      settings: {},
    });
  });

  it("is refused where the slug is in use", async () => {
    await server.call("POST", "/tenants", { body: { slug: "twice", name: "One" } });
    const changes = server.changes();
    server.events.length = 0;
    const answer = await server.call("POST", "/tenants", { body: { slug: "twice", name: "Two" } });
    expect(answer.status).toBe(409);
    expect(answer.body).toMatchObject({
      code: "slug_taken",
      status: 409,
      operationId: expect.stringMatching(/^op_/),
    });
    expect(server.changes()).toBe(changes);
    expect(server.takeActs()).toMatchObject([
      { action: "tenants.create", outcome: "refused", code: "slug_taken", target: "twice", tenantId: null },
    ]);
  });

  it("is refused where there is no such plan, and leaves nothing", async () => {
    const answer = await server.call("POST", "/tenants", {
      body: { slug: "lost", name: "Lost", plan: "platinum" },
    });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({
      code: "input_invalid",
      errors: [{ path: "plan", message: "There is no such plan" }],
    });
    expect((await server.call("GET", "/tenants/lost")).status).toBe(404);
  });

  it("is seen by one of two that create the same slug at once", async () => {
    const both = await Promise.all(
      [1, 2].map(() => server.call("POST", "/tenants", { body: { slug: "race", name: "Race" } })),
    );
    expect(both.map((answer) => answer.status).sort()).toEqual([201, 409]);
  });

  it("maps it for every broker of development, and for no other", async () => {
    await database.system.run("set up development", (db) =>
      db.query(`
        INSERT INTO bulkhead.issuers (id, tenant_id, issuer, jwks_uri, tenant_claim, development) VALUES
          ('iss_00000000000000000000000001', NULL, 'http://127.0.0.1/dev', 'http://127.0.0.1/dev/jwks', 'tenant_id', true),
          ('iss_00000000000000000000000002', NULL, 'https://broker.example', 'https://broker.example/jwks', 'org', false)`),
    );
    const { body } = await server.call("POST", "/tenants", { body: { slug: "mapped", name: "Mapped" } });
    const { rows } = await database.system.run("read configuration", (db) =>
      db.query("SELECT issuer_id, claim_value FROM bulkhead.broker_tenants WHERE tenant_id = $1", [body.id]),
    );
    expect(rows).toEqual([{ issuer_id: "iss_00000000000000000000000001", claim_value: body.id }]);
  });
});

describe("reading a tenant", () => {
  it("goes by slug and by id", async () => {
    const bySlug = await server.call("GET", "/tenants/acme");
    const byId = await server.call("GET", `/tenants/${String(bySlug.body.id)}`);
    expect(bySlug.status).toBe(200);
    expect(bySlug.headers.get("etag")).toBe('"1"');
    expect(byId.body).toEqual(bySlug.body);
    expect(server.takeActs()).toMatchObject([
      { action: "tenants.get", target: "acme", outcome: "ok" },
      { action: "tenants.get", target: bySlug.body.id, outcome: "ok" },
    ]);
  });

  it.each(["nobody", "tnt_00000000000000000000000000", "ACME", "tnt_short", "a%00b", "%E0%A4%A", "-"])(
    "answers 404 to the name %s",
    async (name) => {
      const answer = await server.call("GET", `/tenants/${name}`);
      expect(answer.status).toBe(404);
      expect(answer.body).toMatchObject({ code: "tenant_not_found" });
      expect(server.takeActs()).toMatchObject([
        { action: "tenants.get", outcome: "refused", code: "tenant_not_found" },
      ]);
    },
  );

  it("answers HEAD without a body", async () => {
    const answer = await server.call("HEAD", "/tenants/acme");
    expect(answer.status).toBe(200);
    expect(answer.headers.get("etag")).toBe('"1"');
    expect(answer.body).toEqual({});
  });
});

describe("changing a tenant", () => {
  it("replaces the members that are sent and keeps the others", async () => {
    await server.call("POST", "/tenants", {
      body: {
        slug: "change",
        name: "Before",
        limits: { burst: 5, maxTools: 3 },
        settings: { a: 1, b: 2 },
        scopes: ["x"],
      },
    });
    const changes = server.changes();
    const answer = await server.call("PATCH", "/tenants/change", {
      body: {
        name: "After",
        plan: "gold",
        limits: { maxConcurrency: null },
        toolSets: ["mail"],
        settings: { c: 3 },
      },
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("etag")).toBe('"2"');
    expect(answer.body).toMatchObject({
      name: "After",
      plan: "gold",
      version: 2,
      toolSets: ["mail"],
      effectiveToolSets: ["mail"],
      scopes: ["x"],
    });
    expect(answer.body.limits).toEqual({ maxConcurrency: null });
    expect(answer.body.settings).toEqual({ c: 3 });
    expect(answer.body.effectiveLimits).toMatchObject({
      maxConcurrency: null,
      burst: DEFAULT_LIMITS.burst,
      maxTools: DEFAULT_LIMITS.maxTools,
      requestsPerMinute: 5000,
    });
    expect(server.changes()).toBe(changes + 1);
    expect((await server.call("GET", "/tenants/change")).body).toEqual(answer.body);
  });

  it("gives the plan's tool sets back with null", async () => {
    await server.call("POST", "/tenants", {
      body: { slug: "sets", name: "Sets", plan: "gold", toolSets: [] },
    });
    expect((await server.call("GET", "/tenants/sets")).body).toMatchObject({
      toolSets: [],
      effectiveToolSets: [],
    });
    const answer = await server.call("PATCH", "/tenants/sets", { body: { toolSets: null } });
    expect(answer.body).toMatchObject({ toolSets: null, effectiveToolSets: ["notes"] });
  });

  it("is refused where there is no such plan, and changes nothing", async () => {
    await server.call("POST", "/tenants", { body: { slug: "stay", name: "Stay" } });
    const answer = await server.call("PATCH", "/tenants/stay", { body: { name: "Gone", plan: "platinum" } });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: "input_invalid", errors: [{ path: "plan" }] });
    expect((await server.call("GET", "/tenants/stay")).body).toMatchObject({ name: "Stay", version: 1 });
  });

  it("is refused for a tenant that is not there", async () => {
    const answer = await server.call("PATCH", "/tenants/nobody", { body: { name: "x" } });
    expect(answer.status).toBe(404);
    expect(answer.body).toMatchObject({ code: "tenant_not_found" });
  });
});

describe("suspending and resuming a tenant", () => {
  it("changes its status once, however often it is asked for", async () => {
    await server.call("POST", "/tenants", { body: { slug: "pause", name: "Pause" } });
    const suspended = await server.call("POST", "/tenants/pause/suspend");
    expect(suspended.status).toBe(200);
    expect(suspended.body).toMatchObject({ status: "suspended", version: 2 });
    expect((await server.call("POST", "/tenants/pause/suspend")).body).toEqual(suspended.body);
    const resumed = await server.call("POST", "/tenants/pause/resume");
    expect(resumed.body).toMatchObject({ status: "active", version: 3 });
    expect(resumed.headers.get("etag")).toBe('"3"');
    expect(server.takeActs().map((act) => act.action)).toEqual([
      "tenants.create",
      "tenants.suspend",
      "tenants.suspend",
      "tenants.resume",
    ]);
  });

  it.each(["suspend", "resume"])("%s is refused for a tenant that is not there", async (verb) => {
    expect((await server.call("POST", `/tenants/nobody/${verb}`)).body).toMatchObject({
      code: "tenant_not_found",
    });
    expect((await server.call("POST", `/tenants/NOBODY/${verb}`)).status).toBe(404);
  });
});

it("a change stands even where the instances cannot be told of it", async () => {
  for (const failure of [
    () => Promise.reject(new Error("no")),
    () => {
      throw new Error("no");
    },
  ]) {
    server.onChange(failure);
    const answer = await server.call("PATCH", "/tenants/acme", { body: { name: "Told nobody" } });
    server.onChange(() => Promise.resolve());
    expect(answer.status).toBe(200);
  }
  expect(server.takeActs()).toMatchObject([{ outcome: "ok" }, { outcome: "ok" }]);
});
