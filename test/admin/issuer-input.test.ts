import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { errorPaths, type IdentityServer, startIdentityServer } from "./identity-server.ts";

let server: IdentityServer;

beforeAll(async () => {
  server = await startIdentityServer();
});
afterAll(() => server.stop());
beforeEach(() => {
  server.events.length = 0;
});

const JWKS = "https://keys.example/jwks";
const VALID = { issuer: "https://idp.example/", jwksUri: JWKS };
const CLIENT = { endpoint: "https://idp.example/introspect", clientId: "bulkhead", clientSecret: "s3cr3t" };

/** What either route refuses, and where it says so. */
const REFUSED: readonly (readonly [string, object, string])[] = [
  ["no issuer", { issuer: undefined }, "issuer"],
  ["an issuer that is a list", { issuer: ["https://idp.example/"] }, "issuer"],
  ["an issuer that is an object", { issuer: { url: "https://idp.example/" } }, "issuer"],
  ["an issuer that is null", { issuer: null }, "issuer"],
  ["an issuer with NUL", { issuer: "https://idp.example/\0" }, "issuer"],
  ["an issuer with half a character", { issuer: "https://idp.example/\ud800" }, "issuer"],
  ["an issuer that ends in a space", { issuer: "https://idp.example/ " }, "issuer"],
  ["an issuer with a letter that looks like another", { issuer: "https://іdp.example/" }, "issuer"],
  ["an issuer of 501 characters", { issuer: `https://idp.example/${"a".repeat(481)}` }, "issuer"],
  ["an issuer without TLS", { issuer: "http://idp.example/" }, "issuer"],
  ["an issuer on this machine", { issuer: "https://localhost/" }, "issuer"],
  ["an issuer with a query", { issuer: "https://idp.example/?x" }, "issuer"],
  ["an issuer with a fragment", { issuer: "https://idp.example/#" }, "issuer"],
  ["an issuer with a user", { issuer: "https://x@idp.example/" }, "issuer"],
  ["an issuer in other letters", { issuer: "https://IDP.example/" }, "issuer"],
  ["an unknown profile", { profile: "auth1" }, "profile"],
  ["a profile that every object has", { profile: "constructor" }, "profile"],
  ["a profile that is a prototype", { profile: "__proto__" }, "profile"],
  ["keys without TLS", { jwksUri: "http://keys.example/" }, "jwksUri"],
  ["keys on this machine", { jwksUri: "https://127.0.0.1/jwks" }, "jwksUri"],
  ["keys with a user", { jwksUri: "https://a:b@keys.example/" }, "jwksUri"],
  ["keys that are a file", { jwksUri: "file:///etc/passwd" }, "jwksUri"],
  ["keys that are data", { jwksUri: { keys: [] } }, "jwksUri"],
  ["keys in a long URL", { jwksUri: `https://keys.example/${"a".repeat(2_000)}` }, "jwksUri"],
  ["two audiences", { audience: ["a", "b"] }, "audience"],
  ["an empty audience", { audience: "" }, "audience"],
  ["an audience with NUL", { audience: "a\0" }, "audience"],
  ["one other audience", { otherAudiences: "account" }, "otherAudiences"],
  ["too many other audiences", { otherAudiences: Array(11).fill("a") }, "otherAudiences"],
  ["an empty claim", { tenantClaim: "" }, "tenantClaim"],
  ["a path as claim", { tenantClaim: ["a", "b"] }, "tenantClaim"],
  ["a claim with a control character", { tenantClaim: "org\u0085" }, "tenantClaim"],
  ["a long audience", { audience: "a".repeat(501) }, "audience"],
  ["a long audience beside", { otherAudiences: ["a".repeat(501)] }, "otherAudiences.0"],
  ["a long claim", { tenantClaim: "a".repeat(256) }, "tenantClaim"],
  ["a tenant claim that is a prototype", { tenantClaim: "__proto__" }, "tenantClaim"],
  ["a scope claim that is a prototype", { scopeClaims: ["scope", "__proto__"] }, "scopeClaims.1"],
  ["a path to roles through a prototype", { rolesClaim: ["a", "__proto__"] }, "rolesClaim.1"],
  ["an unknown form", { tenantClaimForm: "list" }, "tenantClaimForm"],
  ["scope claims that are text", { scopeClaims: "scope" }, "scopeClaims"],
  ["too many scope claims", { scopeClaims: Array(11).fill("a") }, "scopeClaims"],
  ["roles at no path", { rolesClaim: [] }, "rolesClaim"],
  ["roles too deep", { rolesClaim: ["a", "b", "c", "d", "e"] }, "rolesClaim"],
  ["a roles claim that is text", { rolesClaim: "role" }, "rolesClaim"],
  ["no algorithm", { algorithms: [] }, "algorithms"],
  ["the algorithm none", { algorithms: ["none"] }, "algorithms.0"],
  ["a symmetric algorithm", { algorithms: ["RS256", "HS256"] }, "algorithms.1"],
  ["an algorithm in other letters", { algorithms: ["rs256"] }, "algorithms.0"],
  ["too many algorithms", { algorithms: Array(12).fill("RS256") }, "algorithms"],
  ["the type of ID tokens", { tokenType: "id+jwt" }, "tokenType"],
  ["the type of proofs", { tokenType: "dpop+jwt" }, "tokenType"],
  ["a type in other letters", { tokenType: "jwt" }, "tokenType"],
  ["a lifetime of a second", { maxLifetimeSeconds: 1 }, "maxLifetimeSeconds"],
  ["a lifetime over a day", { maxLifetimeSeconds: 86_401 }, "maxLifetimeSeconds"],
  ["a lifetime of text", { maxLifetimeSeconds: "3600" }, "maxLifetimeSeconds"],
  ["introspection by a URL alone", { introspection: "https://idp.example/introspect" }, "introspection"],
  ["introspection of null", { introspection: null }, "introspection"],
  [
    "introspection without TLS",
    { introspection: { ...CLIENT, endpoint: "http://idp.example/introspect" } },
    "introspection.endpoint",
  ],
  [
    "introspection on this machine",
    { introspection: { ...CLIENT, endpoint: "https://[::1]/introspect" } },
    "introspection.endpoint",
  ],
  [
    "introspection without a secret",
    { introspection: { ...CLIENT, clientSecret: undefined } },
    "introspection.clientSecret",
  ],
  [
    "a secret with a line break",
    { introspection: { ...CLIENT, clientSecret: "a\r\nb" } },
    "introspection.clientSecret",
  ],
  [
    "a long secret",
    { introspection: { ...CLIENT, clientSecret: "a".repeat(1_001) } },
    "introspection.clientSecret",
  ],
  [
    "introspection that says more",
    { introspection: { ...CLIENT, method: "private_key_jwt" } },
    "introspection.method",
  ],
  ["an id of its own", { id: "iss_00000000000000000000000000" }, "id"],
  ["a mark of development", { development: true }, "development"],
  ["a mark of brokers", { broker: true }, "broker"],
];

describe.each([
  ["an issuer", "/tenants/acme/issuers", { tenantClaim: "org", tenantValue: "acme" }],
  ["a broker", "/brokers", { tenantClaim: "org" }],
])("%s is refused", (_, path, tenant) => {
  it.each(REFUSED)("with %s", async (_, change, at) => {
    const answer = await server.call("POST", path, { body: { ...VALID, ...tenant, ...change } });
    expect([answer.status, answer.body.code]).toEqual([400, "input_invalid"]);
    expect(errorPaths(answer)).toEqual([at]);
    expect(server.takeActs()).toMatchObject([{ outcome: "refused", code: "input_invalid" }]);
    expect((await server.call("GET", path)).body.items).toEqual([]);
  });

  it("with a prototype, as a list, as text, and beyond 256 KB", async () => {
    const body = JSON.stringify({ ...VALID, ...tenant });
    const polluted = await server.call("POST", path, {
      body: body.replace(/}$/, ',"__proto__":{"development":true}}'),
    });
    expect([polluted.status, errorPaths(polluted)]).toEqual([400, ["__proto__"]]);
    for (const wrong of ["[]", '"x"', "null", `[${body}]`]) {
      expect((await server.call("POST", path, { body: wrong })).status).toBe(400);
    }
    const large = JSON.stringify({ ...VALID, tenantClaim: "x".repeat(1_000_000) });
    expect((await server.call("POST", path, { body: large })).status).toBe(413);
    expect((await server.call("GET", path)).body.items).toEqual([]);
  });
});

describe("a tenant's value is refused", () => {
  it.each([
    ["empty", ""],
    ["null", null],
    ["a list", ["acme"]],
    ["an object", { acme: true }],
    ["with NUL", "acme\0"],
    ["with half a character", "acme\udfff"],
    ["of 256 characters", "a".repeat(256)],
  ])("%s", async (_, tenantValue) => {
    const body = { ...VALID, tenantClaim: "org", tenantValue };
    const answer = await server.call("POST", "/tenants/acme/issuers", { body });
    expect([answer.status, errorPaths(answer)]).toEqual([400, ["tenantValue"]]);
  });
});

it("what is valid at its bounds is taken", async () => {
  const body = {
    ...VALID,
    issuer: `https://idp.example/${"a".repeat(480)}`,
    tenantClaim: "ü".repeat(255),
    tenantValue: "__proto__",
    rolesClaim: ["a", "b", "c", "constructor"],
    maxLifetimeSeconds: 60,
    audience: "ü".repeat(500),
    otherAudiences: ["a".repeat(500)],
    introspection: { ...CLIENT, clientSecret: "ü".repeat(1_000) },
  };
  const answer = await server.call("POST", "/tenants/acme/issuers", { body });
  expect(answer.status).toBe(201);
  const { introspection, ...shown } = body;
  expect(answer.body).toMatchObject(shown);
  expect((await server.snapshot("acme")).issuers).toMatchObject([shown]);
});
