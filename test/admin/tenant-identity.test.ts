import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { errorPaths, type IdentityServer, startIdentityServer } from "./identity-server.ts";

let server: IdentityServer;

beforeAll(async () => {
  server = await startIdentityServer();
});
afterAll(() => server.stop());

const change = (body: unknown, headers: Record<string, string> = {}) =>
  server.call("PATCH", "/tenants/acme", { body, headers });

describe("a tenant", () => {
  it("begins without API keys and without proofs, turns each on and off, and keeps the rest", async () => {
    const { body: before } = await server.call("GET", "/tenants/acme");
    expect(before).toMatchObject({ apiKeys: false, dpop: "off" });
    expect((await change({ apiKeys: true })).body).toEqual({
      ...before,
      apiKeys: true,
      version: 2,
      updatedAt: expect.any(String),
    });
    expect((await change({ dpop: "require" })).body).toMatchObject({ apiKeys: true, dpop: "require" });
    expect((await server.snapshot("acme")).dpop).toBe("require");
    expect((await server.snapshot("globex")).dpop).toBe("off");
    expect((await change({ name: "Acme" })).body).toMatchObject({ apiKeys: true, dpop: "require" });
    expect((await change({ dpop: "allow", apiKeys: false })).body).toMatchObject({
      apiKeys: false,
      dpop: "allow",
    });
    const listed = await server.call("GET", "/tenants");
    expect(listed.body.items).toMatchObject([{ dpop: "allow" }, { apiKeys: false, dpop: "off" }]);
  });

  it("changes them only at the version that was read", async () => {
    const etag = (await server.call("GET", "/tenants/acme")).headers.get("etag") ?? "";
    const both = await Promise.all(
      ["off", "require"].map((dpop) => change({ dpop, apiKeys: true }, { "If-Match": etag })),
    );
    expect(both.map((answer) => answer.status).sort()).toEqual([200, 412]);
    expect((await change({ apiKeys: false }, { "If-Match": etag })).body).toMatchObject({
      code: "version_conflict",
    });
    expect((await server.call("GET", "/tenants/acme")).body).toMatchObject({ apiKeys: true });
  });

  it("has both changed by its own administrator, and nothing else with them", async () => {
    const answer = await server.callAs("acme", "PATCH", "/tenants/acme", { apiKeys: false, dpop: "off" });
    expect(answer.body).toMatchObject({ apiKeys: false, dpop: "off" });
    const more = await server.callAs("acme", "PATCH", "/tenants/acme", { apiKeys: true, plan: "team" });
    expect(more.body).toMatchObject({ code: "operator_only" });
    expect((await server.call("GET", "/tenants/acme")).body).toMatchObject({ apiKeys: false });
  });

  it.each([
    ["apiKeys", "true"],
    ["apiKeys", 1],
    ["apiKeys", null],
    ["apiKeys", ["x"]],
    ["dpop", "Require"],
    ["dpop", "require "],
    ["dpop", "on"],
    ["dpop", true],
    ["dpop", null],
    ["dpop", ["off"]],
    ["dpop", {}],
  ])("refuses %s %j", async (member, value) => {
    const answer = await change({ [member]: value });
    expect([answer.status, errorPaths(answer)]).toEqual([400, [member]]);
  });
});
