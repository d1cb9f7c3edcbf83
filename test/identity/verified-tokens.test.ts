import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isRefusal } from "../../src/core/refusal.ts";
import { createKeySets } from "../../src/identity/key-sets.ts";
import { createTokenVerifier } from "../../src/identity/token-verifier.ts";
import type { TrustedIssuer } from "../../src/tenancy/tenant-snapshot.ts";
import { es256, type JwsRecipe, type Members } from "../support/hand-made-jws.ts";
import { createFakeClock } from "./fake-clock.ts";
import { type FakeIssuer, registration, startFakeIssuer } from "./fake-issuer.ts";
import {
  makeToken,
  NOW,
  OTHER_RESOURCE,
  OWN_JWK,
  RESOURCE,
  SHARED,
  STRANGERS_JWK,
  stranger,
} from "./token-recipe.ts";

const clock = createFakeClock();
let idp: FakeIssuer;
let otherIdp: FakeIssuer;
let acme: TrustedIssuer;
let globex: TrustedIssuer;
let broker: TrustedIssuer;

beforeAll(async () => {
  [idp, otherIdp] = await Promise.all([startFakeIssuer(), startFakeIssuer()]);
  idp.publish(OWN_JWK);
  otherIdp.publish(STRANGERS_JWK);
  acme = registration(idp);
  globex = registration(otherIdp, { tenantValue: "tnt_globex" });
  broker = registration(idp, { issuer: `${idp.origin}/broker`, broker: true });
});
afterAll(() => Promise.all([idp.close(), otherIdp.close()]));

const make = (recipe?: JwsRecipe) => makeToken(acme.issuer, recipe);
const keySets = createKeySets({ clock, allowLoopbackHttp: true, allowPrivateAddresses: false });
const verifier = createTokenVerifier({ clock, keySets, cacheSize: 1000 });
const candidates = () => [acme, broker];
const verify = (token: string) => verifier.verify(token, { resource: RESOURCE, candidates: candidates() });

test("what a valid token proves", async () => {
  expect(await verify(make())).toEqual({
    kind: "verified",
    issuer: acme,
    subject: "ada",
    clientId: "c1",
    permissions: new Set(["tickets:read", "tickets:write"]),
    roles: [],
    expiresAt: (NOW + 300) * 1000,
    issuedAt: NOW * 1000,
    tokenId: "j1",
    signingKeyId: "k1",
    boundTo: null,
    tenantClaim: "tnt_acme",
  });
  expect(await verify(make({ claims: { azp: "a1" }, without: ["scope", "jti", "client_id"] }))).toMatchObject(
    {
      clientId: "a1",
      permissions: new Set(),
      tokenId: null,
    },
  );
});

test("the key that signed a token is known also where the token does not name it", async () => {
  expect(await verify(make({ withoutHeader: ["kid"] }))).toMatchObject({ signingKeyId: "k1" });
  expect(await verify(make())).toMatchObject({ signingKeyId: "k1" });
});

test("every mutation of one character is refused", async () => {
  const token = make();
  const results = await Promise.all(
    Array.from(token, (letter, i) =>
      verify(token.slice(0, i) + (letter === "A" ? "B" : "A") + token.slice(i + 1)),
    ),
  );
  expect(results.every((result) => isRefusal(result) && result.code === "token_invalid")).toBe(true);
});

test("a token of another tenant's issuer is refused here and accepted there", async () => {
  const token = make({
    claims: { iss: globex.issuer, aud: OTHER_RESOURCE, tenant_id: "tnt_globex" },
    sign: es256(stranger.privateKey),
    header: { kid: "k2" },
  });
  expect(await verify(token)).toMatchObject({ code: "token_invalid" });
  expect(await verifier.verify(token, { resource: OTHER_RESOURCE, candidates: [globex] })).toMatchObject({
    kind: "verified",
  });
});

test("an unknown issuer and a refused claim cause no network traffic and are answered at once", () => {
  const fresh = createTokenVerifier({
    clock,
    keySets: createKeySets({ clock, allowLoopbackHttp: true, allowPrivateAddresses: false }),
    cacheSize: 10,
  });
  const before = idp.requests();
  for (const claims of [
    { iss: "https://evil.example" },
    { aud: OTHER_RESOURCE },
    { tenant_id: "x" },
    { exp: 1 },
  ]) {
    expect(fresh.verify(make({ claims }), { resource: RESOURCE, candidates: candidates() })).toMatchObject({
      code: "token_invalid",
    });
  }
  expect(idp.requests()).toBe(before);
});

test("an issuer may expect an audience of its own in place of the resource", async () => {
  const trusted = { ...acme, audience: "api://acme" };
  const options = { resource: RESOURCE, candidates: [trusted] };
  expect(await verifier.verify(make({ claims: { aud: "api://acme" } }), options)).toMatchObject({
    kind: "verified",
  });
  expect(await verifier.verify(make(), options)).toMatchObject({ code: "token_invalid" });
});

test("an issuer of one tenant may name no claim; a broker may not", async () => {
  const single = { ...acme, tenantClaim: null, tenantValue: null };
  const token = make({ without: ["tenant_id"] });
  expect(await verifier.verify(token, { resource: RESOURCE, candidates: [single] })).toMatchObject({
    tenantClaim: null,
  });
  const careless = { ...single, broker: true };
  expect(await verifier.verify(token, { resource: RESOURCE, candidates: [careless] })).toMatchObject({
    code: "token_invalid",
  });
  const halfDone = { ...acme, tenantValue: null };
  expect(await verifier.verify(make(), { resource: RESOURCE, candidates: [halfDone] })).toMatchObject({
    code: "token_invalid",
  });
});

describe("on the shared URL", () => {
  const shared = (token: string, trusted = [acme, { ...broker, tenantValue: null }]) =>
    verifier.verify(token, { resource: SHARED, candidates: trusted, tenantOf: "claim" });
  const brokered = (claims: Members = {}) => make({ claims: { iss: broker.issuer, aud: SHARED, ...claims } });

  test("a broker's claim is handed to the caller", async () => {
    expect(await shared(brokered({ tenant_id: "tnt_any" }))).toMatchObject({
      kind: "verified",
      tenantClaim: "tnt_any",
    });
  });
  test("an issuer that is no broker does not count", async () => {
    expect(await shared(make({ claims: { aud: SHARED } }))).toMatchObject({ code: "token_invalid" });
  });
  test.each([[["tnt_acme"]], [{ tnt_acme: 1 }], [""], [7], [null]])(
    "the claim %j is refused",
    async (value) => {
      expect(await shared(brokered({ tenant_id: value }))).toMatchObject({ code: "token_invalid" });
    },
  );
  test("a broker without a claim is refused", async () => {
    expect(await shared(brokered(), [{ ...broker, tenantClaim: null, tenantValue: null }])).toMatchObject({
      code: "token_invalid",
    });
  });
  test("a token for the shared URL is none for a tenant's, and the other way round", async () => {
    expect(await verify(brokered())).toMatchObject({ code: "token_invalid" });
    expect(await shared(make({ claims: { iss: broker.issuer } }))).toMatchObject({ code: "token_invalid" });
  });
});

describe("verified tokens are remembered", () => {
  const setUp = (cacheSize = 10) => {
    const time = createFakeClock();
    const keys = createKeySets({ clock: time, allowLoopbackHttp: true, allowPrivateAddresses: false });
    const remembering = createTokenVerifier({ clock: time, keySets: keys, cacheSize });
    const check = (token: string, trusted: TrustedIssuer = acme, resource = RESOURCE) =>
      remembering.verify(token, { resource, candidates: [trusted] });
    return { time, remembering, check };
  };

  test("the second answer comes at once and is the same", async () => {
    const { check } = setUp();
    const token = make();
    const pending = check(token);
    expect(pending).toBeInstanceOf(Promise);
    expect(check(token)).toBeInstanceOf(Promise);
    const result = await pending;
    expect(check(token)).toBe(result);
    expect(check(token, { ...acme })).toBe(result);
  });

  test.each([
    [
      "another resource",
      (check: ReturnType<typeof setUp>["check"], token: string) => check(token, acme, OTHER_RESOURCE),
    ],
    [
      "a registration of another tenant",
      (check, token) => check(token, { ...acme, tenantValue: "tnt_globex" }),
    ],
    [
      "a registration with another id",
      (check, token) => check(token, { ...acme, id: globex.id, tenantValue: "tnt_globex" }),
    ],
    [
      "a registration with another algorithm",
      (check, token) => check(token, { ...acme, algorithms: ["RS256"] }),
    ],
    ["a registration with another claim", (check, token) => check(token, { ...acme, tenantClaim: "org_id" })],
    [
      "a registration with another audience",
      (check, token) => check(token, { ...acme, audience: "api://acme" }),
    ],
    [
      "a registration whose tokens live shorter",
      (check, token) => check(token, { ...acme, maxLifetimeSeconds: 60 }),
    ],
  ])("but not for %s", async (_name, attempt) => {
    const { check } = setUp();
    const token = make();
    expect(await check(token)).toMatchObject({ kind: "verified" });
    expect(await attempt(check, token)).toMatchObject({ code: "token_invalid" });
    expect(check(token)).toMatchObject({ kind: "verified" });
  });

  test.each([
    { scopeClaims: ["scp"] },
    { rolesClaim: ["roles"] },
    { tenantClaimForm: "single" },
    { otherAudiences: ["https://idp.example/userinfo"] },
    { tokenType: "JWT" },
    { introspection: { endpoint: "https://idp.example/i", clientId: "c", sealedSecret: "s" } },
  ] as const)("but verified anew once the registration says %j", async (change) => {
    const { check } = setUp();
    const token = make();
    const first = await check(token);
    const anew = check(token, { ...acme, ...change });
    expect(anew).toBeInstanceOf(Promise);
    expect(await anew).not.toBe(first);
  });

  test("not past exp: then the skew still counts, and after it the token is refused", async () => {
    const { time, check } = setUp();
    const token = make({ claims: { exp: NOW + 10 } });
    await check(token);
    time.advance(9999);
    expect(check(token)).toMatchObject({ kind: "verified" });
    time.advance(1);
    const late = check(token);
    expect(late).toBeInstanceOf(Promise);
    expect(await late).toMatchObject({ kind: "verified" });
    time.advance(30_000);
    expect(check(token)).toMatchObject({ code: "token_invalid" });
  });

  test("a clock set back makes a remembered verification count no more", async () => {
    const { time, check } = setUp();
    const token = make({ claims: { iat: NOW - 60 } });
    const first = await check(token);
    // The skew that clocks are granted, and a millisecond.
    time.advance(-30_000);
    expect(check(token)).toBe(first);
    time.advance(-1);
    const anew = check(token);
    expect(anew).toBeInstanceOf(Promise);
    expect(await anew).toMatchObject({ kind: "verified" });
    expect(await anew).not.toBe(first);
  });

  test("at most as many as fit, the least recently used going first", async () => {
    const { check } = setUp(2);
    const [a, b, c] = [
      make({ claims: { jti: "a" } }),
      make({ claims: { jti: "b" } }),
      make({ claims: { jti: "c" } }),
    ];
    await check(a);
    await check(b);
    expect(check(a)).toMatchObject({ tokenId: "a" });
    await check(c);
    expect(check(a)).toMatchObject({ tokenId: "a" });
    expect(check(c)).toMatchObject({ tokenId: "c" });
    expect(check(b)).toBeInstanceOf(Promise);
  });

  test("until its issuer is seen to publish the key no more", async () => {
    const { check } = setUp();
    const token = make();
    await check(token);
    idp.publish(STRANGERS_JWK);
    try {
      expect(check(token)).toMatchObject({ kind: "verified" });
      const next = make({ header: { kid: "k2" }, sign: es256(stranger.privateKey) });
      expect(await check(next)).toMatchObject({ kind: "verified", signingKeyId: "k2" });
      expect(await check(token)).toMatchObject({ code: "token_invalid" });
      expect(check(next)).toMatchObject({ kind: "verified" });
    } finally {
      idp.publish(OWN_JWK);
    }
  });

  test("a forged token with the claims of a remembered one is refused", async () => {
    const { check } = setUp();
    expect(await check(make())).toMatchObject({ kind: "verified" });
    expect(await check(make({ sign: es256(stranger.privateKey) }))).toMatchObject({ code: "token_invalid" });
  });
});

test("unreachable keys are told apart from a wrong token", async () => {
  const gone = registration(idp, { issuer: "https://gone.example", jwksUri: "http://127.0.0.1:1/jwks" });
  const result = await verifier.verify(make({ claims: { iss: gone.issuer } }), {
    resource: RESOURCE,
    candidates: [gone],
  });
  expect(result).toMatchObject({ code: "keys_unavailable", retryAfterMs: 1000 });
});
