import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createAdministrationRepository } from "../../src/data/administration-repository.ts";
import {
  allPages,
  errorPaths,
  type IdentityServer,
  startIdentityServer,
  withoutOperation,
} from "./identity-server.ts";

let server: IdentityServer;
let number = 0;

beforeAll(async () => {
  server = await startIdentityServer();
});
afterAll(() => server.stop());
beforeEach(async () => {
  await server.database.admin("DELETE FROM bulkhead.issuers");
  server.events.length = 0;
});

const newUrl = (): string => `https://broker-${++number}.example/`;
const JWKS = "https://keys.example/jwks";
const CLIENT = { endpoint: "https://idp.example/introspect", clientId: "bulkhead", clientSecret: "s3cr3t" };
const declare = (more: object = {}) =>
  server.call("POST", "/brokers", { body: { issuer: newUrl(), jwksUri: JWKS, tenantClaim: "org", ...more } });
const map = (tenant: string, issuer: unknown, tenantValue: string) =>
  server.call("POST", `/tenants/${tenant}/issuers`, { body: { issuer, tenantValue } });

describe("a broker", () => {
  it("is declared by the operator, and says nothing of any tenant", async () => {
    const changes = server.changes();
    const answer = await declare({ profile: "workos", tenantClaim: undefined });
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({
      broker: true,
      profile: "workos",
      tenantClaim: "org_id",
      tenantValue: null,
    });
    expect(server.changes()).toBe(changes + 1);
    expect(server.takeActs()).toMatchObject([
      { action: "brokers.create", target: answer.body.id, tenantId: null, outcome: "ok" },
    ]);
    expect((await server.snapshot("acme")).issuers).toEqual([]);
  });

  it("is refused with a tenant's value, and without a claim that names the tenant", async () => {
    expect(errorPaths(await declare({ tenantValue: "x" }))).toEqual(["tenantValue"]);
    expect(errorPaths(await declare({ tenantClaim: null }))).toEqual(["tenantClaim"]);
    expect(errorPaths(await declare({ tenantClaim: undefined, profile: "okta" }))).toEqual(["tenantClaim"]);
  });

  it("may expect the shared resource as audience, and no tenant's", async () => {
    expect((await declare({ audience: "http://127.0.0.1:8787/mcp" })).status).toBe(201);
    expect(errorPaths(await declare({ audience: "http://127.0.0.1:8787/t/acme/mcp" }))).toEqual(["audience"]);
  });

  it("has its secret sealed for it, and in no answer", async () => {
    const { body } = await declare({ introspection: CLIENT });
    await map("acme", body.issuer, "org_1");
    const [trusted] = (await server.snapshot("acme")).issuers;
    const sealed = Buffer.from(trusted?.introspection?.sealedSecret ?? "", "base64");
    expect(server.box.open(sealed, `issuer ${String(body.id)}`)).toBe(CLIENT.clientSecret);
    const shown = [body, (await server.call("GET", "/tenants/acme/issuers")).body, server.events];
    expect(JSON.stringify(shown)).not.toContain(CLIENT.clientSecret);
  });

  it("that introspects is the only one, also where several are declared at once", async () => {
    const answers = await Promise.all(Array.from({ length: 5 }, () => declare({ introspection: CLIENT })));
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(1);
    expect(answers.filter((answer) => answer.body.code === "too_many")).toHaveLength(4);
    const more = await Promise.all(Array.from({ length: 25 }, () => declare()));
    expect(more.filter((answer) => answer.status === 201)).toHaveLength(19);
  });

  it("is one of a list in order of creation, page by page", async () => {
    const created: unknown[] = [];
    for (let i = 0; i < 3; i++) created.push((await declare()).body);
    expect((await allPages(server, "/brokers", 2)).map((page) => page.length)).toEqual([2, 1]);
    expect((await allPages(server, "/brokers", 2)).flat()).toEqual(created);
  });

  it("takes every mapping along when it is removed", async () => {
    const { body } = await declare();
    await map("acme", body.issuer, "org_1");
    await map("globex", body.issuer, "org_2");
    const answer = await server.call("DELETE", `/brokers/${String(body.id)}`);
    expect([answer.status, answer.body]).toEqual([200, body]);
    expect((await server.snapshot("acme")).issuers).toEqual([]);
    expect((await server.snapshot("globex")).issuers).toEqual([]);
    expect((await server.call("DELETE", `/brokers/${String(body.id)}`)).body).toMatchObject({
      status: 404,
      code: "issuer_not_found",
    });
  });

  it("is no issuer of a tenant's own", async () => {
    const { body } = await server.call("POST", "/tenants/acme/issuers", {
      body: { issuer: newUrl(), jwksUri: JWKS, tenantClaim: null },
    });
    for (const id of [String(body.id), "iss_00000000000000000000000000", "x"]) {
      expect((await server.call("DELETE", `/brokers/${id}`)).body).toMatchObject({
        code: "issuer_not_found",
      });
    }
    expect((await server.snapshot("acme")).issuers).toHaveLength(1);
  });

  it("is the operator's alone", async () => {
    for (const [method, path] of [
      ["GET", "/brokers"],
      ["POST", "/brokers"],
      ["DELETE", "/brokers/iss_00000000000000000000000000"],
    ] as const) {
      expect((await server.callAs("acme", method, path)).body).toMatchObject({
        status: 403,
        code: "operator_only",
      });
    }
  });
});

describe("mapping a tenant to a broker", () => {
  it("shows it to the tenant as it is, with the tenant's value", async () => {
    const { body: broker } = await declare();
    const answer = await map("acme", broker.issuer, "org_1");
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({ ...broker, tenantValue: "org_1", createdAt: answer.body.createdAt });
    expect((await server.call("GET", "/tenants/acme/issuers")).body.items).toEqual([answer.body]);
    expect((await server.snapshot("acme")).issuers).toMatchObject([
      { id: broker.id, broker: true, tenantValue: "org_1" },
    ]);
    expect((await server.snapshot("globex")).issuers).toEqual([]);
    expect(server.takeActs().map((act) => [act.action, act.target])).toEqual([
      ["brokers.create", broker.id],
      ["issuers.create", broker.id],
      ["issuers.list", "acme"],
    ]);
  });

  it("takes the value, and nothing that is the broker's", async () => {
    const { body } = await declare();
    const { issuer } = body;
    const post = (more: object) =>
      server.call("POST", "/tenants/acme/issuers", { body: { issuer, ...more } });
    expect(errorPaths(await post({}))).toEqual(["tenantValue"]);
    expect(
      errorPaths(await post({ tenantValue: "x", jwksUri: JWKS, profile: "okta", tenantClaim: null })),
    ).toEqual(["jwksUri", "tenantClaim", "profile"]);
    expect((await server.snapshot("acme")).issuers).toEqual([]);
  });

  it("is refused for a value that another tenant has, and for a second value", async () => {
    const { body } = await declare();
    await map("globex", body.issuer, "org_2");
    const taken = withoutOperation(await map("acme", body.issuer, "org_2"));
    expect(taken).toMatchObject({ status: 409, rest: { code: "issuer_refused" } });
    await map("acme", body.issuer, "org_1");
    expect(withoutOperation(await map("acme", body.issuer, "org_3"))).toEqual(taken);
    // Values are compared as they are.
    await server.call("DELETE", `/tenants/acme/issuers/${String(body.id)}`);
    expect((await map("acme", body.issuer, "org_2 ")).status).toBe(201);
  });

  it("is refused for a broker of development, which the tenant's creation maps", async () => {
    const issuer = newUrl();
    await server.database.admin(
      "INSERT INTO bulkhead.issuers (id, issuer, jwks_uri, tenant_claim, development) VALUES ('iss_00000000000000000000000001', $1, 'x', 'tenant_id', true)",
      [issuer],
    );
    expect((await map("acme", issuer, "x")).body).toMatchObject({ code: "issuer_refused" });
    // Also where it became one between the look at it and the mapping.
    const { id } = await server.snapshot("acme");
    const mapping = { issuer, tenantValue: "x" };
    expect(await createAdministrationRepository(server.database.system).mapBroker(id, mapping)).toEqual({
      kind: "issuer_refused",
    });
  });

  it("gives one value to one of two tenants that are mapped at once", async () => {
    const { body } = await declare();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => map(i % 2 === 0 ? "acme" : "globex", body.issuer, "org_1")),
    );
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(1);
    expect(answers.filter((answer) => answer.body.code === "issuer_refused")).toHaveLength(9);
  });

  it("is refused where the tenant has an issuer that introspects, and the broker does", async () => {
    const { body } = await declare({ introspection: CLIENT });
    await server.call("POST", "/tenants/acme/issuers", {
      body: { issuer: newUrl(), jwksUri: JWKS, tenantClaim: null, introspection: CLIENT },
    });
    expect((await map("acme", body.issuer, "org_1")).body).toMatchObject({ code: "too_many" });
    expect((await map("globex", body.issuer, "org_2")).status).toBe(201);
    const second = { issuer: newUrl(), jwksUri: JWKS, tenantClaim: null, introspection: CLIENT };
    expect((await server.call("POST", "/tenants/globex/issuers", { body: second })).body).toMatchObject({
      code: "too_many",
    });
  });

  it("is undone by the operator with the broker's id, for that tenant alone", async () => {
    const { body } = await declare();
    await map("acme", body.issuer, "org_1");
    await map("globex", body.issuer, "org_2");
    const path = `/tenants/acme/issuers/${String(body.id)}`;
    expect((await server.callAs("acme", "DELETE", path)).body).toMatchObject({
      status: 403,
      code: "operator_only",
    });
    expect((await server.call("DELETE", path)).body).toMatchObject({ id: body.id, tenantValue: "org_1" });
    expect((await server.call("DELETE", path)).body).toMatchObject({ code: "issuer_not_found" });
    // A broker that the tenant is not mapped to is none of its issuers, whoever asks.
    expect((await server.callAs("acme", "DELETE", path)).body).toMatchObject({ code: "issuer_not_found" });
    expect((await server.snapshot("acme")).issuers).toEqual([]);
    expect((await server.snapshot("globex")).issuers).toHaveLength(1);
    expect((await server.call("GET", "/brokers")).body.items).toHaveLength(1);
  });
});
