import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isRefusal } from "../../src/core/refusal.ts";
import { createKeySets } from "../../src/identity/key-sets.ts";
import { createTokenVerifier } from "../../src/identity/token-verifier.ts";
import type { TrustedIssuer } from "../../src/tenancy/tenant-snapshot.ts";
import type { JwsRecipe, Members } from "../support/hand-made-jws.ts";
import { createFakeClock } from "./fake-clock.ts";
import { type FakeIssuer, registration, startFakeIssuer } from "./fake-issuer.ts";
import { makeToken, NOW, OWN_JWK, RESOURCE } from "./token-recipe.ts";

const clock = createFakeClock();
const keySets = createKeySets({ clock, allowLoopbackHttp: true, allowPrivateAddresses: false });
const verifier = createTokenVerifier({ clock, keySets, cacheSize: 0 });
let idp: FakeIssuer;

beforeAll(async () => {
  idp = await startFakeIssuer();
  idp.publish(OWN_JWK);
});
afterAll(() => idp.close());

/** The answer for a token made so, where its issuer is registered so. */
function verify(terms: Partial<TrustedIssuer>, recipe: JwsRecipe) {
  const issuer = registration(idp, terms);
  return verifier.verify(makeToken(issuer.issuer, recipe), { resource: RESOURCE, candidates: [issuer] });
}

const USERINFO = "https://idp.example/userinfo";
const THUMBPRINT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
const claims = (changes: Members): JwsRecipe => ({ claims: changes });
const tenant = (value: unknown): JwsRecipe => claims({ tenant_id: value });
const SINGLE = { tenantClaimForm: "single" } as const;
const OTHERS = { otherAudiences: [USERINFO] };
const SCP = { scopeClaims: ["scp", "permissions"] };
const ROLES = { rolesClaim: ["realm_access", "roles"] };
const PLAIN: JwsRecipe = {};

/** Name, terms of the registration, hostile token, control that is accepted, and the rule that must have caught it. */
const HOSTILE: [string, Partial<TrustedIssuer>, JwsRecipe, JwsRecipe, string][] = [
  // Audiences
  [
    "one audience too many",
    OTHERS,
    claims({ aud: [RESOURCE, USERINFO, "x"] }),
    claims({ aud: [RESOURCE, USERINFO] }),
    "aud",
  ],
  [
    "only the other audience",
    OTHERS,
    claims({ aud: [USERINFO] }),
    claims({ aud: [USERINFO, RESOURCE] }),
    "aud",
  ],
  ["the other audience as text", OTHERS, claims({ aud: USERINFO }), PLAIN, "aud"],
  [
    "the other audience twice",
    OTHERS,
    claims({ aud: [RESOURCE, USERINFO, USERINFO] }),
    claims({ aud: [RESOURCE] }),
    "aud",
  ],
  [
    "the resource twice beside another",
    OTHERS,
    claims({ aud: [RESOURCE, USERINFO, RESOURCE] }),
    PLAIN,
    "aud",
  ],
  ["the other audience nested", OTHERS, claims({ aud: [RESOURCE, [USERINFO]] }), PLAIN, "aud"],
  ["another audience of one who has none", {}, claims({ aud: [RESOURCE, USERINFO] }), PLAIN, "aud"],
  [
    "the resource where another audience is expected",
    { audience: "api://acme", ...OTHERS },
    claims({ aud: [RESOURCE, USERINFO] }),
    claims({ aud: ["api://acme", USERINFO] }),
    "aud",
  ],
  // Tenant claim of one element
  ["two tenants in a list", SINGLE, tenant(["tnt_acme", "tnt_globex"]), tenant(["tnt_acme"]), "tenant claim"],
  ["the same tenant twice", SINGLE, tenant(["tnt_acme", "tnt_acme"]), tenant(["tnt_acme"]), "tenant claim"],
  [
    "two tenants in an object",
    SINGLE,
    tenant({ tnt_acme: {}, tnt_globex: {} }),
    tenant({ tnt_acme: { id: "7" } }),
    "tenant claim",
  ],
  ["an empty list of tenants", SINGLE, tenant([]), tenant("tnt_acme"), "tenant claim"],
  ["an empty object of tenants", SINGLE, tenant({}), tenant("tnt_acme"), "tenant claim"],
  ["a list within a list", SINGLE, tenant([["tnt_acme"]]), tenant(["tnt_acme"]), "tenant claim"],
  ["an object within a list", SINGLE, tenant([{ tnt_acme: {} }]), tenant(["tnt_acme"]), "tenant claim"],
  ["another tenant in a list", SINGLE, tenant(["tnt_globex"]), tenant(["tnt_acme"]), "tenant claim"],
  [
    "another tenant in an object",
    SINGLE,
    tenant({ tnt_globex: {} }),
    tenant({ tnt_acme: {} }),
    "tenant claim",
  ],
  [
    "the tenant as a member's value",
    SINGLE,
    tenant({ id: "tnt_acme" }),
    tenant({ tnt_acme: "id" }),
    "tenant claim",
  ],
  ["no tenant", SINGLE, { without: ["tenant_id"] }, PLAIN, "tenant claim"],
  ["a number of one", SINGLE, tenant([1]), PLAIN, "tenant claim"],
  ["a list where a text is expected", {}, tenant(["tnt_acme"]), tenant("tnt_acme"), "tenant claim"],
  ["an object where a text is expected", {}, tenant({ tnt_acme: {} }), tenant("tnt_acme"), "tenant claim"],
  // Scopes and roles
  ["scopes as an object", SCP, claims({ scp: { admin: true } }), claims({ scp: ["admin"] }), "scope claim"],
  [
    "scopes with a number",
    SCP,
    claims({ scp: ["admin", 1] }),
    claims({ scp: ["admin", "1"] }),
    "scope claim",
  ],
  [
    "scopes nested",
    SCP,
    claims({ permissions: [["admin"]] }),
    claims({ permissions: ["admin"] }),
    "scope claim",
  ],
  ["scopes null", SCP, claims({ scp: null }), claims({ scp: "" }), "scope claim"],
  ["scopes true", SCP, claims({ scp: true }), claims({ scp: "true" }), "scope claim"],
  [
    "roles as an object",
    ROLES,
    claims({ realm_access: { roles: { admin: 1 } } }),
    claims({ realm_access: { roles: ["admin"] } }),
    "roles",
  ],
  [
    "roles with a number",
    ROLES,
    claims({ realm_access: { roles: [7] } }),
    claims({ realm_access: { roles: [] } }),
    "roles",
  ],
  ["roles null", ROLES, claims({ realm_access: { roles: null } }), claims({ realm_access: {} }), "roles"],
  ["a text on the way to the roles", ROLES, claims({ realm_access: "roles" }), PLAIN, "roles"],
  ["a list on the way to the roles", ROLES, claims({ realm_access: [{ roles: ["admin"] }] }), PLAIN, "roles"],
  ["null on the way to the roles", ROLES, claims({ realm_access: null }), PLAIN, "roles"],
  // Lifetime
  [
    "a life over two hours",
    { maxLifetimeSeconds: 7200 },
    claims({ exp: NOW + 7231 }),
    claims({ exp: NOW + 7230 }),
    "lifetime",
  ],
  [
    "a life over a minute",
    { maxLifetimeSeconds: 60 },
    claims({ exp: NOW + 91 }),
    claims({ exp: NOW + 90 }),
    "lifetime",
  ],
  ["no moment of issue", {}, { without: ["iat"] }, PLAIN, "iat"],
  // Algorithms
  ["an algorithm of another issuer", {}, { header: { alg: "ES384" } }, PLAIN, "alg"],
  [
    "none, where a registration names it",
    { algorithms: ["ES256", "none"] },
    { header: { alg: "none" } },
    PLAIN,
    "alg",
  ],
  [
    "a symmetric one, where a registration names it",
    { algorithms: ["ES256", "HS256"] },
    { header: { alg: "HS256" } },
    PLAIN,
    "alg",
  ],
  // Binding to a key
  ["no thumbprint", {}, claims({ cnf: {} }), claims({ cnf: { jkt: THUMBPRINT } }), "cnf"],
  ["a list of thumbprints", {}, claims({ cnf: [THUMBPRINT] }), claims({ cnf: { jkt: THUMBPRINT } }), "cnf"],
  ["a thumbprint alone", {}, claims({ cnf: THUMBPRINT }), claims({ cnf: { jkt: THUMBPRINT } }), "cnf"],
  [
    "a thumbprint and a certificate",
    {},
    claims({ cnf: { jkt: THUMBPRINT, "x5t#S256": THUMBPRINT } }),
    PLAIN,
    "cnf",
  ],
  ["a certificate", {}, claims({ cnf: { "x5t#S256": THUMBPRINT } }), PLAIN, "cnf"],
  ["a key in place of its thumbprint", {}, claims({ cnf: { jwk: { kty: "EC" } } }), PLAIN, "cnf"],
  ["a thumbprint of 42 letters", {}, claims({ cnf: { jkt: THUMBPRINT.slice(1) } }), PLAIN, "cnf"],
  ["a thumbprint of 44 letters", {}, claims({ cnf: { jkt: `A${THUMBPRINT}` } }), PLAIN, "cnf"],
  [
    "a thumbprint spelt in another way",
    {},
    claims({ cnf: { jkt: `${THUMBPRINT.slice(0, -1)}J` } }),
    PLAIN,
    "cnf",
  ],
  [
    "a thumbprint in the other alphabet",
    {},
    claims({ cnf: { jkt: THUMBPRINT.replace("-", "+") } }),
    PLAIN,
    "cnf",
  ],
  ["a list with a thumbprint", {}, claims({ cnf: { jkt: [THUMBPRINT] } }), PLAIN, "cnf"],
  ["false for a binding", {}, claims({ cnf: false }), PLAIN, "cnf"],
  // The client, wherever it is named
  [
    "azp as a number",
    {},
    { claims: { azp: 1 }, without: ["client_id"] },
    { claims: { azp: "1" }, without: ["client_id"] },
    "azp",
  ],
  [
    "cid as a list",
    {},
    { claims: { cid: ["c"] }, without: ["client_id"] },
    { claims: { cid: "c" }, without: ["client_id"] },
    "cid",
  ],
  ["client_id null", {}, claims({ client_id: null }), PLAIN, "client_id"],
];

/** Of an access token of a provider, by the names of its documentation; `typ` of the header, null for none. */
interface ProviderToken {
  readonly typ: string | null;
  readonly claims: Members;
}
const tokenOf = ({ typ, claims: own }: ProviderToken): JwsRecipe => ({
  claims: own,
  without: ["client_id", "scope"].filter((name) => !Object.hasOwn(own, name)),
  ...(typ === null ? { withoutHeader: ["typ"] } : { header: { typ } }),
});
const keycloak = (own: Members): ProviderToken => ({ typ: "JWT", claims: { azp: "web", sid: "s", ...own } });
const cognito = (own: Members): ProviderToken => ({ typ: null, claims: { username: "ada", ...own } });
const okta = (own: Members): ProviderToken => ({ typ: null, claims: { ver: 1, ...own } });
const entra = (own: Members): ProviderToken => ({ typ: "JWT", claims: { ver: "2.0", oid: "o", ...own } });
const auth0 = (own: Members): ProviderToken => ({ typ: "JWT", claims: own });

const ACCESS_TOKENS: [string, ProviderToken][] = [
  ["Keycloak", keycloak({ typ: "Bearer" })],
  ["Keycloak, bound to a key", keycloak({ typ: "DPoP", cnf: { jkt: THUMBPRINT } })],
  ["Cognito", cognito({ token_use: "access", client_id: "c", scope: "a" })],
  ["Cognito, without scopes", cognito({ token_use: "access" })],
  ["Okta", okta({ cid: "c", uid: "u", scp: ["a"] })],
  ["Okta, for a program", okta({ cid: "c" })],
  ["Entra, for a person", entra({ azp: "c", scp: "a b" })],
  ["Entra, for a program", entra({ azp: "c", roles: ["a"] })],
  ["Entra version 1, for a program", entra({ ver: "1.0", appid: "c", roles: ["a"] })],
  ["Auth0", auth0({ azp: "c", scope: "a" })],
  ["Auth0, permissions alone", auth0({ azp: "c", permissions: ["a"] })],
  ["Auth0, for a program without scopes", auth0({ azp: "c", gty: "client-credentials" })],
];

const OTHER_TOKENS: [string, ProviderToken, string][] = [
  ...["ID", "Refresh", "Offline", "Logout", "bearer", "Serialized-ID"].map(
    (typ): [string, ProviderToken, string] => [`Keycloak's ${typ}`, keycloak({ typ, scope: "a" }), "typ"],
  ),
  ["Keycloak's typ as a list", keycloak({ typ: ["Bearer"] }), "typ"],
  ["Cognito's ID token", cognito({ token_use: "id", scope: "a" }), "token_use"],
  ["Cognito's refresh token", cognito({ token_use: "refresh", scope: "a" }), "token_use"],
  ["token_use as a list", cognito({ token_use: ["access"], scope: "a" }), "token_use"],
  ["Okta's ID token", okta({ amr: ["pwd"], idp: "i", preferred_username: "ada" }), "marks"],
  ["Entra's ID token with roles", entra({ roles: ["a"], name: "Ada" }), "marks"],
  ["Auth0's ID token with azp", auth0({ azp: "c", name: "Ada", sid: "s" }), "marks"],
  ...["nonce", "at_hash", "c_hash", "s_hash", "events", "htm", "htu", "ath"].map(
    (name): [string, ProviderToken, string] => [
      `one with ${name}`,
      auth0({ scope: "a", [name]: null }),
      "claims",
    ],
  ),
  ["a scope of the prototype", auth0({ azp: "c", toString: "a" }), "marks"],
  ["scp as an object", entra({ scp: { a: 1 } }), "marks"],
];

/** How a provider's tokens are registered: by the type that they have. */
const typed = ({ typ }: ProviderToken): Partial<TrustedIssuer> => ({ tokenType: typ ?? "absent" });

async function expectRefused(terms: Partial<TrustedIssuer>, recipe: JwsRecipe, rule: string): Promise<void> {
  const result = await verify(terms, recipe);
  expect(result).toMatchObject({ code: "token_invalid" });
  expect(isRefusal(result) ? String(result.cause) : "").toContain(rule);
}

describe("of an issuer's terms", () => {
  test.each(HOSTILE)("refused: %s", async (_name, terms, hostile, control, rule) => {
    await expectRefused(terms, hostile, rule);
    expect(await verify(terms, control)).toMatchObject({ kind: "verified" });
  });
});

describe("where the header's type is shared or absent", () => {
  test.each(ACCESS_TOKENS)("an access token is known by its marks: %s", async (_name, token) => {
    expect(await verify(typed(token), tokenOf(token))).toMatchObject({ kind: "verified" });
    // The same claims under no type that was agreed on.
    await expectRefused({}, tokenOf(token), "typ");
  });

  test.each(OTHER_TOKENS)("another token is refused: %s", (_name, token, rule) =>
    expectRefused(typed(token), tokenOf(token), rule),
  );

  test.each(["JWT", "absent", "", "oauth-id-jag+jwt", "dpop+jwt", "logout+jwt", "at+jwt2"])(
    "the type %j is refused where none is expected",
    (typ) => expectRefused({ tokenType: "absent" }, { header: { typ } }, "typ"),
  );

  test.each([null, 0, ["at+jwt"]])("a type that is %j is not an absent one", (typ) =>
    expectRefused({ tokenType: "absent" }, { header: { typ } }, "typ"),
  );

  test.each(["absent", "", "oauth-id-jag+jwt", "dpop+jwt", "logout+jwt"])(
    "the type %j is refused where JWT is expected",
    (typ) => expectRefused({ tokenType: "JWT" }, { header: { typ } }, "typ"),
  );

  test("no type is refused where JWT is expected, and the access token's own type counts everywhere", async () => {
    await expectRefused({ tokenType: "JWT" }, { withoutHeader: ["typ"] }, "typ");
    for (const tokenType of ["JWT", "absent", "at+jwt"]) {
      expect(await verify({ tokenType }, PLAIN)).toMatchObject({ kind: "verified" });
    }
  });
});

describe("what a token says", () => {
  test("permissions come from all scope claims, texts and lists alike, and from no other claim", async () => {
    const recipe = claims({ scp: "a  b", permissions: ["b", "tickets:*", ""], scope: "admin" });
    expect(await verify(SCP, recipe)).toMatchObject({ permissions: new Set(["a", "b", "tickets:*"]) });
    expect(await verify({ scopeClaims: [] }, recipe)).toMatchObject({ permissions: new Set() });
  });

  test("roles come from the end of the path: a list, one text, or nothing", async () => {
    const roles = async (value: unknown) => {
      const result = await verify(ROLES, claims({ realm_access: { roles: value }, roles: ["admin"] }));
      return isRefusal(result) ? result.code : result.roles;
    };
    expect(await roles(["support", "agent"])).toEqual(["support", "agent"]);
    expect(await roles("support")).toEqual(["support"]);
    expect(await roles(undefined)).toEqual([]);
    expect(await verify({}, claims({ realm_access: { roles: ["admin"] } }))).toMatchObject({ roles: [] });
  });

  test("the tenant is the one element, the one member's name, or the text", async () => {
    for (const value of [["tnt_acme"], { tnt_acme: { id: "7" } }, "tnt_acme"]) {
      expect(await verify(SINGLE, tenant(value))).toMatchObject({ tenantClaim: "tnt_acme" });
    }
  });

  test("a bound token is told from one that is not", async () => {
    expect(await verify({}, claims({ cnf: { jkt: THUMBPRINT } }))).toMatchObject({ boundTo: THUMBPRINT });
    expect(await verify({}, PLAIN)).toMatchObject({ boundTo: null });
  });

  test("the client is named where the provider names it, client_id before the others", async () => {
    const others = { azp: "a", cid: "c", appid: "p" };
    expect(await verify({}, claims(others))).toMatchObject({ clientId: "c1" });
    for (const [name, value] of Object.entries(others)) {
      const recipe = { claims: { [name]: value }, without: ["client_id"] };
      expect(await verify({}, recipe)).toMatchObject({ clientId: value });
    }
    expect(await verify({}, { without: ["client_id"] })).toMatchObject({ clientId: null });
  });

  test("the moment of issue is in milliseconds, a fraction of a second included", async () => {
    expect(await verify({}, claims({ iat: NOW - 10 }))).toMatchObject({ issuedAt: (NOW - 10) * 1000 });
    expect(await verify({}, claims({ iat: NOW - 0.5 }))).toMatchObject({ issuedAt: NOW * 1000 - 500 });
  });
});
