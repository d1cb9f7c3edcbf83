import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isRefusal } from "../../src/core/refusal.ts";
import { NO_REVOCATIONS } from "../../src/tenancy/revocations.ts";
import type { TenantSnapshot } from "../../src/tenancy/tenant-snapshot.ts";
import { type AuthenticatorSetting, BOUND, FLOODING, startAuthenticator } from "./authenticator-setting.ts";
import { NOW, OTHER_RESOURCE, RESOURCE, SHARED } from "./token-recipe.ts";

let at: AuthenticatorSetting;
beforeEach(async () => {
  at = await startAuthenticator();
});
afterEach(() => at.close());

const ADMIN = { scope: "tickets:read admin" };
const admin = (claims: Record<string, unknown> = {}) => at.token({ claims: { ...ADMIN, ...claims } });

/** The tenant of the administrator, or the code of the refusal. */
async function answer(asked: ReturnType<AuthenticatorSetting["administer"]>): Promise<string> {
  const caller = await asked;
  return isRefusal(caller) ? caller.code : caller.snapshot.slug;
}
const administer = (tenant: string | null, token: string) => answer(at.administer(tenant, at.bearer(token)));

describe("a token with the permission admin", () => {
  test("is an administrator's where the path names its tenant, by slug or id, or none", async () => {
    const { id } = at.tenant("acme");
    for (const tenant of ["acme", id, null]) expect(await administer(tenant, admin())).toBe("acme");
    const caller = await at.administer("acme", at.bearer(admin()));
    expect(caller).toMatchObject({ principal: { subject: "ada", kind: "user" } });
  });

  test("is one of its own tenant's, whatever other tenant the path names", async () => {
    const { id } = at.tenant("globex");
    for (const tenant of ["globex", id, "nobody", "tnt_00000000000000000000000000"]) {
      expect(await administer(tenant, admin())).toBe("acme");
      expect(await administer(tenant, at.brokered("acme-org", ADMIN))).toBe("acme");
    }
  });

  test("of a broker for the shared URL is of the tenant that its claim names", async () => {
    expect(await administer("acme", at.brokered("acme-org", ADMIN))).toBe("acme");
    expect(await administer(null, at.brokered("globex-org", ADMIN))).toBe("globex");
    expect(await administer("acme", at.brokered("initech-org", ADMIN))).toBe("operator_token_required");
  });

  test("for an audience of the issuer's own is of the tenant that the path names", async () => {
    const audience = "api://acme";
    const { broker } = at.issuers;
    await at.change("acme", {
      issuers: [
        { ...at.issuers.acme, audience },
        { ...broker, tenantValue: "acme-org" },
      ],
    });
    const token = admin({ aud: audience });
    expect(await administer("acme", token)).toBe("acme");
    expect(await administer(at.tenant("acme").id, token)).toBe("acme");
    for (const tenant of ["globex", "nobody", null]) {
      expect(await administer(tenant, token)).toBe("operator_token_required");
    }
  });

  test("for an audience that only looks like a tenant's URL is of the tenant that the path names", async () => {
    const audience = "https://acme.example/t/globex/mcp";
    await at.change("acme", { issuers: [{ ...at.issuers.acme, audience }] });
    expect(await administer("acme", admin({ aud: audience }))).toBe("acme");
  });

  test("may have it through a role of its tenant", async () => {
    const roles = { boss: ["admin"] };
    await at.change("acme", { roles, issuers: [{ ...at.issuers.acme, rolesClaim: ["groups"] }] });
    expect(await administer("acme", at.token({ claims: { groups: ["boss"] } }))).toBe("acme");
    await at.change("acme", { roles: {} });
    expect(await administer("acme", at.token({ claims: { groups: ["boss"] } }))).toBe(
      "administrator_required",
    );
  });
});

test.each(["", "tickets:read", "Admin", "admin:*", "*", "administrator", "tickets:admin"])(
  "a token with the scope %j is none of an administrator, whatever tenant the path names",
  async (scope) => {
    for (const tenant of ["acme", "globex", "nobody", null]) {
      expect(await administer(tenant, at.token({ claims: { scope } }))).toBe("administrator_required");
    }
  },
);

test("a tenant that is suspended has no administrator", async () => {
  await at.change("acme", { status: "suspended" });
  for (const tenant of ["acme", "globex", null])
    expect(await administer(tenant, admin())).toBe("tenant_suspended");
});

describe("what is no token of any tenant is not the operator's either", () => {
  test.each<[string, () => readonly string[]]>([
    ["nothing", () => []],
    ["two headers", () => [...at.bearer(admin()), ...at.bearer(admin())]],
    ["another scheme", () => ["Authorization", "Basic dTpw"]],
    ["an expired token", () => at.bearer(admin({ exp: NOW - 60 }))],
    ["a token of a stranger", () => at.bearer(admin({ iss: "https://stranger.example" }))],
    ["a token for two tenants", () => at.bearer(admin({ aud: [RESOURCE, OTHER_RESOURCE] }))],
    ["a token for the tenant and the shared URL", () => at.bearer(admin({ aud: [SHARED, RESOURCE] }))],
    ["a token for a URL that is nearly the tenant's", () => at.bearer(admin({ aud: `${RESOURCE}/` }))],
    ["a token for a tenant elsewhere", () => at.bearer(admin({ aud: "https://evil.example/t/acme/mcp" }))],
    ["a token for nobody", () => at.bearer(admin({ aud: undefined }))],
    [
      "a token of another tenant's issuer for this one",
      () => at.bearer(at.globexToken({ claims: { ...ADMIN, aud: RESOURCE } })),
    ],
    ["a text that means to be an API key", () => at.bearer("bk_x")],
    ["half a JWT", () => at.bearer("a.b.c")],
  ])("%s", async (_name, headers) => {
    for (const tenant of ["acme", "nobody", null]) {
      expect(await answer(at.administer(tenant, headers()))).toBe("operator_token_required");
    }
  });

  test("a token in the URL", async () => {
    const url = "/admin/v1/tenants?access_token=x";
    expect(await answer(at.administer("acme", at.bearer(admin()), { url }))).toBe("operator_token_required");
  });

  test("a revoked one", async () => {
    await at.change("acme", { revocations: { ...NO_REVOCATIONS, notBefore: NOW * 1000 } });
    expect(await administer("acme", admin())).toBe("operator_token_required");
  });

  test("an opaque one, which is shown to no issuer: it may be the operator's own of another day", async () => {
    const audience = { aud: RESOURCE, tenant_id: "tnt_acme", sub: "ada", exp: NOW + 60, ...ADMIN };
    at.introspects(audience);
    const issuers: TenantSnapshot["issuers"] = [at.issuers.opaque];
    await at.change("acme", { issuers });
    expect(await administer("acme", "an-operator-token-that-was-changed")).toBe("operator_token_required");
    expect(at.asked).toEqual([]);
    // It is the admin API alone that does not ask.
    expect(isRefusal(await at.enter("acme", at.bearer("opaque")))).toBe(false);
  });
});

test("an API key is not enough, whatever it may do", async () => {
  const { key, text } = at.apiKey({ permissions: ["admin"] });
  await at.change("acme", { apiKeys: new Map([[key.id, key]]) });
  for (const tenant of ["acme", "globex", null]) {
    expect(await administer(tenant, text)).toBe("administrator_required");
  }
});

test("keys that cannot be read are told apart from a token that is none", async () => {
  at.idp.answer = (_req, res) => res.writeHead(500).end();
  expect(await administer("acme", admin())).toBe("keys_unavailable");
});

test("a bound token needs a proof for the URL of the admin API, at the server's own address", async () => {
  await at.change("acme", { dpop: "require" });
  const token = admin(BOUND);
  const url = "/admin/v1/tenants/acme?limit=5";
  const proved = (address: string, method = "GET") =>
    answer(at.administer("acme", at.proved(token, address, method), { url }));
  expect(await proved("https://mcp.example.com/admin/v1/tenants/acme")).toBe("acme");
  for (const address of [
    RESOURCE,
    "https://mcp.example.com/admin/v1/tenants/globex",
    "https://evil.example/admin/v1/tenants/acme",
  ]) {
    expect(await proved(address)).toBe("dpop_proof_invalid");
  }
  expect(await proved("https://mcp.example.com/admin/v1/tenants/acme", "DELETE")).toBe("dpop_proof_invalid");
  expect(await administer("acme", token)).toBe("operator_token_required");
  expect(await administer("acme", admin())).toBe("operator_token_required");
});

test("an address that keeps failing gets nothing verified, and passes with what was accepted before", async () => {
  const flooding = { flooding: FLOODING };
  const headers = at.bearer(admin());
  expect(await at.administer("acme", headers, flooding)).toBe(FLOODING);
  await at.directory.bySlug(at.tenant("acme").slug);
  for (const sent of [headers, [], at.bearer("opaque"), at.bearer(at.apiKey().text)]) {
    expect(await at.administer("acme", sent, flooding)).toBe(FLOODING);
  }
  expect(at.idp.requests()).toBe(0);
  expect(await answer(at.administer("acme", headers))).toBe("acme");
  expect(await answer(at.administer("acme", headers, flooding))).toBe("acme");
});
