import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { DevelopmentTokenRequest } from "../../src/admin/development-tokens.ts";
import { refuse } from "../../src/core/refusal.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type AdminServer, startAdminServer } from "./admin-server.ts";
import { administratorOf, callersByName } from "./callers.ts";

const TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl";

let database: TestDatabase;
let server: AdminServer;
let production: AdminServer;
let acme: string;
const asked: DevelopmentTokenRequest[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  const authenticate = callersByName(database.system);
  server = await startAdminServer(database.system, undefined, {
    authenticate,
    development: {
      async issueDevelopmentToken(request) {
        asked.push(request);
        if (request.user === "nobody") return refuse("input_invalid", { detail: "There is no such user." });
        return {
          token: TOKEN,
          issuer: "https://issuer.test",
          audience: "https://mcp.test/mcp",
          subject: request.subject ?? "ada",
          scopes: request.scopes ?? ["tickets:read"],
          expiresAt: Date.UTC(2026, 0, 31, 12),
        };
      },
    },
  });
  production = await startAdminServer(database.system, undefined, { authenticate });
  acme = String((await server.call("POST", "/tenants", { body: { slug: "acme", name: "Acme" } })).body.id);
});
afterAll(async () => {
  await server.close();
  await production.close();
  await database.drop();
});
beforeEach(() => {
  asked.length = 0;
  server.events.length = 0;
});

const issue = (body: unknown) => server.call("POST", "/development/tokens", { body });

describe("in development", () => {
  it("issues a token for the tenant's first user unless it is told otherwise", async () => {
    const answer = await issue({ tenant: "acme" });
    expect(answer.status).toBe(201);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("etag")).toBeNull();
    expect(answer.body).toEqual({
      token: TOKEN,
      issuer: "https://issuer.test",
      audience: "https://mcp.test/mcp",
      subject: "ada",
      scopes: ["tickets:read"],
      expiresAt: "2026-01-31T12:00:00.000Z",
    });
    const tenant = { id: acme, slug: "acme" };
    const first = { tenant, user: null, subject: null, scopes: null, expiresInSeconds: 300, shared: false };
    expect(asked).toEqual([first]);
  });

  it("hands on all that is asked for", async () => {
    const scope = "tickets:read  tickets:*";
    await issue({ tenant: acme, user: "bob", scope, expiresIn: 3_600, shared: true });
    await issue({ tenant: acme, subject: "someone else", scope: "", expiresIn: 1 });
    expect(asked).toMatchObject([
      {
        user: "bob",
        subject: null,
        scopes: ["tickets:read", "tickets:*"],
        expiresInSeconds: 3_600,
        shared: true,
      },
      { user: null, subject: "someone else", scopes: [], expiresInSeconds: 1, shared: false },
    ]);
  });

  it("leaves the tenant's act, without the token", async () => {
    await issue({ tenant: "acme", subject: "a-subject-of-this-test" });
    expect(server.events).toMatchObject([
      {
        type: "administrative",
        action: "development.issue_token",
        actor: { kind: "operator" },
        tenantId: acme,
        target: "acme",
        outcome: "ok",
      },
    ]);
    expect(JSON.stringify(server.events)).not.toMatch(/eyJ|a-subject-of-this-test/);
    expect(server.changes()).toBe(1);
  });

  it.each([
    {},
    { tenant: 5 },
    { tenant: "acme", user: "ada", subject: "ada" },
    { tenant: "acme", user: "" },
    { tenant: "acme", subject: "x".repeat(256) },
    { tenant: "acme", scope: ["tickets:read"] },
    { tenant: "acme", scope: 'a"b' },
    { tenant: "acme", expiresIn: 0 },
    { tenant: "acme", expiresIn: 3_601 },
    { tenant: "acme", expiresIn: 1.5 },
    { tenant: "acme", shared: "yes" },
    { tenant: "acme", audience: "https://elsewhere.test" },
  ])("refuses %j", async (body) => {
    const answer = await issue(body);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: "input_invalid" });
    expect(asked).toEqual([]);
  });

  it("refuses a tenant that does not exist, and a user whom the tenant does not have", async () => {
    for (const tenant of ["nobody", "Not A Tenant"]) {
      expect((await issue({ tenant })).body).toMatchObject({ status: 404, code: "tenant_not_found" });
    }
    expect(asked).toEqual([]);
    const answer = await issue({ tenant: "acme", user: "nobody" });
    expect(answer.body).toMatchObject({ status: 400, detail: "There is no such user." });
  });

  it("is in the document", async () => {
    const { body } = await server.call("GET", "/openapi.json", { token: null });
    expect(Object.keys(body.paths as object)).toContain("/admin/v1/development/tokens");
  });
});

describe("in production", () => {
  it("there is no such route, for nobody", async () => {
    for (const token of [undefined, administratorOf("acme")]) {
      for (const method of ["POST", "GET"]) {
        const answer = await production.call(method, "/development/tokens", {
          ...(token === undefined ? {} : { token }),
          ...(method === "POST" ? { body: { tenant: "acme" } } : {}),
        });
        expect(answer.status).toBe(404);
        expect(answer.body).toMatchObject({ code: "route_unknown" });
      }
    }
    expect(asked).toEqual([]);
  });

  it("the document says nothing of it", async () => {
    const { body } = await production.call("GET", "/openapi.json", { token: null });
    expect(JSON.stringify(body)).not.toMatch(/development.tokens?|DevelopmentToken/i);
  });
});
