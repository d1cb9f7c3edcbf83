import { afterAll, beforeAll, expect, test } from "vitest";
import { createKeySets } from "../../src/identity/key-sets.ts";
import { createTokenVerifier } from "../../src/identity/token-verifier.ts";
import type { TrustedIssuer } from "../../src/tenancy/tenant-snapshot.ts";
import { es256, hs256, type JwsRecipe, jsonWith } from "../support/hand-made-jws.ts";
import { createFakeClock } from "./fake-clock.ts";
import { type FakeIssuer, registration, startFakeIssuer } from "./fake-issuer.ts";
import {
  goodClaims,
  makeToken,
  NOW,
  OTHER_RESOURCE,
  OWN_JWK,
  own,
  RESOURCE,
  stranger,
} from "./token-recipe.ts";

// What is refused is shown over HTTP, in hostile-tokens/: there every refusal looks the same. Here: what the log is told.

const clock = createFakeClock();
let idp: FakeIssuer;
let acme: TrustedIssuer;
let jwtTyped: TrustedIssuer;
/** A registration that allows what must never be allowed. */
let careless: TrustedIssuer;
beforeAll(async () => {
  idp = await startFakeIssuer();
  idp.publish(OWN_JWK);
  acme = registration(idp, { rolesClaim: ["roles"] });
  jwtTyped = registration(idp, { issuer: `${idp.origin}/jwt`, tokenType: "JWT" });
  careless = registration(idp, { issuer: `${idp.origin}/careless`, algorithms: ["HS256", "none"] });
});
afterAll(() => idp.close());

const verifier = createTokenVerifier({
  clock,
  keySets: createKeySets({ clock, allowLoopbackHttp: true, allowPrivateAddresses: false }),
  cacheSize: 10,
});
const verify = (token: string) =>
  verifier.verify(token, { resource: RESOURCE, candidates: [acme, jwtTyped, careless] });

const made = (recipe: JwsRecipe) => () => makeToken(acme.issuer, recipe);
const claims = (members: object) => made({ claims: { ...members } });
const jwt =
  (members: object, without: readonly string[] = []) =>
  () =>
    makeToken(jwtTyped.issuer, { claims: { ...members }, without, header: { typ: "JWT" } });
const written = (extra: string) => () =>
  makeToken(acme.issuer, { rawPayload: jsonWith(goodClaims(acme.issuer), extra) });

/** Stands wherever a token can have a value of its maker's choice. */
const VALUE = "secret-value";

test.each<[string, () => string]>([
  ["not a compact JWS", () => "a.b"],
  ["a part is not base64url", () => `${makeToken(acme.issuer)}==`],
  ["header is not JSON", made({ rawHeader: `{${VALUE}` })],
  ["payload is not a JSON object", made({ rawPayload: `["${VALUE}"]` })],
  ["payload has a member twice", written(`"sub":"${VALUE}"`)],
  ["payload has a member named after the prototype", written('"__proto__":{}')],
  ["payload is nested too deeply", written(`"deep":${"[".repeat(40)}${"]".repeat(40)}`)],
  ["iss is not an issuer allowed here", claims({ iss: `https://${VALUE}.example` })],
  ["alg is not allowed for this issuer", made({ header: { alg: VALUE } })],
  ...["HS256", "none"].map((alg): [string, () => string] => [
    "alg is not allowed for this issuer",
    () => makeToken(careless.issuer, { header: { alg }, sign: hs256(own.publicKey) }),
  ]),
  ["crit names an extension", made({ header: { crit: [VALUE] } })],
  ["kid is not a string", made({ header: { kid: [VALUE] } })],
  ["kid is not a key of the issuer", made({ header: { kid: VALUE } })],
  ["typ is missing", made({ withoutHeader: ["typ"] })],
  ["typ is not a string", made({ header: { typ: [VALUE] } })],
  ["typ is not that of an access token", made({ header: { typ: VALUE } })],
  ["the claims are not those of an access token", jwt({ nonce: VALUE })],
  ["token_use is not access", jwt({ token_use: VALUE })],
  ["the claim typ is not that of an access token", jwt({ typ: VALUE })],
  ["nothing marks the token as an access token", jwt({}, ["scope", "client_id"])],
  ["exp is not a time", claims({ exp: VALUE })],
  ["iat is not a time", claims({ iat: VALUE })],
  ["nbf is not a time", claims({ nbf: VALUE })],
  ["exp has passed", claims({ iat: NOW - 400, exp: NOW - 30 })],
  ["iat is in the future", claims({ iat: NOW + 31 })],
  ["nbf is in the future", claims({ nbf: NOW + 31 })],
  ["exp is not after iat", claims({ iat: NOW + 20, exp: NOW + 20 })],
  ["the lifetime is longer than this issuer's may be", claims({ exp: NOW + 3_631 })],
  ["aud is not exactly this resource", claims({ aud: OTHER_RESOURCE })],
  ["sub is not an identifier", claims({ sub: [VALUE] })],
  ["client_id is not an identifier", claims({ client_id: [VALUE] })],
  ["jti is not an identifier", claims({ jti: [VALUE] })],
  ["cnf is not one thumbprint of a key", claims({ cnf: { jkt: VALUE } })],
  ["a scope claim is neither a text nor a list of texts", claims({ scope: { [VALUE]: 1 } })],
  ["the roles claim is neither a text nor a list of texts", claims({ roles: { [VALUE]: 1 } })],
  ["the tenant claim is not one identifier", claims({ tenant_id: [VALUE] })],
  ["the tenant claim names another tenant", claims({ tenant_id: VALUE })],
  ["the signature does not match", made({ sign: es256(stranger.privateKey) })],
])("%s: the cause names the rule, and neither the token nor a value of it", async (cause, hostile) => {
  const token = hostile();
  const refusal = await verify(token);
  expect(refusal).toEqual({ kind: "refusal", code: "token_invalid", cause });
  const told = JSON.stringify(refusal);
  expect(told).not.toContain(VALUE);
  for (const part of token.split(".").filter((one) => one.length > 8)) expect(told).not.toContain(part);
});

test("the good token that these differ from is accepted", async () => {
  expect(await verify(makeToken(acme.issuer))).toMatchObject({ kind: "verified" });
  expect(await verify(jwt({})())).toMatchObject({ kind: "verified" });
});
