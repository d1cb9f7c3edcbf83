import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isRefusal } from "../../src/core/refusal.ts";
import { createKeySets } from "../../src/identity/key-sets.ts";
import { createTokenVerifier } from "../../src/identity/token-verifier.ts";
import type { TrustedIssuer } from "../../src/tenancy/tenant-snapshot.ts";
import { createFakeClock } from "./fake-clock.ts";
import { type FakeIssuer, registration, startFakeIssuer } from "./fake-issuer.ts";

const RESOURCE = "https://mcp.example.com/t/acme/mcp";
const OTHER_RESOURCE = "https://mcp.example.com/t/globex/mcp";
const SHARED = "https://mcp.example.com/mcp";

const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const weakRsa = generateKeyPairSync("rsa", { modulusLength: 1024 });
const jwkOf = (key: KeyObject, kid: string, alg: string) => ({
  ...key.export({ format: "jwk" }),
  kid,
  alg,
  use: "sig",
});

const clock = createFakeClock();
const NOW = Math.floor(clock.now() / 1000);

let idp: FakeIssuer;
let otherIdp: FakeIssuer;
let acme: TrustedIssuer;
let jwtTyped: TrustedIssuer;
let rsaIssuer: TrustedIssuer;
let weakIssuer: TrustedIssuer;
let globex: TrustedIssuer;
let broker: TrustedIssuer;

beforeAll(async () => {
  [idp, otherIdp] = await Promise.all([startFakeIssuer(), startFakeIssuer()]);
  idp.publish(
    jwkOf(own.publicKey, "k1", "ES256"),
    jwkOf(rsa.publicKey, "rsa", "RS256"),
    jwkOf(weakRsa.publicKey, "weak", "RS256"),
  );
  otherIdp.publish(jwkOf(stranger.publicKey, "k2", "ES256"));
  acme = registration(idp);
  const variant = (name: string, changes: Partial<TrustedIssuer>) =>
    registration(idp, { issuer: `${idp.origin}/${name}`, ...changes });
  jwtTyped = variant("jwt", { tokenType: "JWT" });
  rsaIssuer = variant("rsa", { algorithms: ["RS256"] });
  // A registration that allows what must never be allowed.
  weakIssuer = variant("weak", { algorithms: ["RS256", "HS256", "none"] });
  globex = registration(otherIdp, { tenantValue: "tnt_globex" });
  broker = variant("broker", { broker: true });
});
afterAll(() => Promise.all([idp.close(), otherIdp.close()]));

type Claims = Record<string, unknown>;
interface Recipe {
  readonly claims?: Claims;
  readonly without?: readonly string[];
  readonly header?: Claims;
  readonly withoutHeader?: readonly string[];
  readonly key?: KeyObject;
  /** JSON texts in place of those made from the members above. */
  readonly rawHeader?: string;
  readonly rawPayload?: string;
  readonly sign?: (input: string) => string;
}

const base = (): Claims => ({
  iss: acme.issuer,
  sub: "ada",
  aud: RESOURCE,
  exp: NOW + 300,
  iat: NOW,
  jti: "j1",
  client_id: "c1",
  scope: "tickets:read tickets:write",
  tenant_id: "tnt_acme",
});

const encode = (text: string) => Buffer.from(text).toString("base64url");
const es256 = (key: KeyObject) => (input: string) =>
  sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" }).toString("base64url");
const rs256 = (key: KeyObject) => (input: string) =>
  sign("sha256", Buffer.from(input), key).toString("base64url");

function omit(from: Claims, names: readonly string[] = []): Claims {
  return Object.fromEntries(Object.entries(from).filter(([name]) => !names.includes(name)));
}

function make(recipe: Recipe = {}): string {
  const header = omit({ alg: "ES256", typ: "at+jwt", kid: "k1", ...recipe.header }, recipe.withoutHeader);
  const payload = omit({ ...base(), ...recipe.claims }, recipe.without);
  const input = `${encode(recipe.rawHeader ?? JSON.stringify(header))}.${encode(recipe.rawPayload ?? JSON.stringify(payload))}`;
  return `${input}.${(recipe.sign ?? es256(recipe.key ?? own.privateKey))(input)}`;
}

/** The payload as text with `extra` members put in as they are written. */
const rawPayload = (extra: string, without: readonly string[] = []) =>
  `${JSON.stringify(omit(base(), without)).slice(0, -1)},${extra}}`;

const keySets = createKeySets({ clock, allowLoopbackHttp: true, allowPrivateAddresses: false });
const verifier = createTokenVerifier({ clock, keySets, cacheSize: 1000 });
const candidates = () => [acme, jwtTyped, rsaIssuer, weakIssuer, broker];
const verify = (token: string) => verifier.verify(token, { resource: RESOURCE, candidates: candidates() });

async function causeOf(token: string): Promise<string> {
  const result = await verify(token);
  if (!isRefusal(result)) throw new Error("the hostile token was accepted");
  expect(result.code).toBe("token_invalid");
  for (const part of token.split(".").filter((one) => one.length > 8))
    expect(JSON.stringify(result)).not.toContain(part);
  return String(result.cause);
}

/** Name, hostile token, control that differs as little as may be and is accepted, and the rule that must have caught it. */
const HOSTILE: [string, () => string, () => string, string][] = [
  // Audience
  ["aud of another tenant", () => make({ claims: { aud: OTHER_RESOURCE } }), make, "aud"],
  ["aud of the origin", () => make({ claims: { aud: "https://mcp.example.com" } }), make, "aud"],
  ["aud with a trailing slash", () => make({ claims: { aud: `${RESOURCE}/` } }), make, "aud"],
  ["aud with a longer path", () => make({ claims: { aud: `${RESOURCE}/x` } }), make, "aud"],
  ["aud as a prefix", () => make({ claims: { aud: RESOURCE.slice(0, -1) } }), make, "aud"],
  ["aud in another case", () => make({ claims: { aud: RESOURCE.toUpperCase() } }), make, "aud"],
  [
    "aud of two tenants",
    () => make({ claims: { aud: [RESOURCE, OTHER_RESOURCE] } }),
    () => make({ claims: { aud: [RESOURCE] } }),
    "aud",
  ],
  [
    "aud of the same twice",
    () => make({ claims: { aud: [RESOURCE, RESOURCE] } }),
    () => make({ claims: { aud: [RESOURCE] } }),
    "aud",
  ],
  ["an empty aud", () => make({ claims: { aud: [] } }), () => make({ claims: { aud: [RESOURCE] } }), "aud"],
  [
    "a nested aud",
    () => make({ claims: { aud: [[RESOURCE]] } }),
    () => make({ claims: { aud: [RESOURCE] } }),
    "aud",
  ],
  ["aud as an object", () => make({ claims: { aud: { 0: RESOURCE, length: 1 } } }), make, "aud"],
  ["no aud", () => make({ without: ["aud"] }), make, "aud"],
  // Issuer
  ["an unknown iss", () => make({ claims: { iss: "https://evil.example" } }), make, "iss"],
  ["iss with a trailing slash", () => make({ claims: { iss: `${idp.origin}/` } }), make, "iss"],
  ["iss as an array", () => make({ claims: { iss: [idp.origin] } }), make, "iss"],
  ["no iss", () => make({ without: ["iss"] }), make, "iss"],
  [
    "the iss of another tenant's own issuer",
    () => make({ claims: { iss: otherIdp.origin }, key: stranger.privateKey, header: { kid: "k2" } }),
    make,
    "iss",
  ],
  // Signature and algorithm
  ["a stranger's key under our kid", () => make({ key: stranger.privateKey }), make, "signature"],
  [
    "another issuer's key under its own kid",
    () => make({ key: stranger.privateKey, header: { kid: "k2" } }),
    make,
    "kid",
  ],
  ["alg none", () => make({ header: { alg: "none" }, sign: () => "" }), make, "base64url"],
  ["alg none with a signature", () => make({ header: { alg: "none" } }), make, "alg"],
  [
    "alg None where the registration allows none",
    () => make({ claims: { iss: weakIssuer.issuer }, header: { alg: "none" } }),
    () =>
      make({
        claims: { iss: rsaIssuer.issuer },
        header: { alg: "RS256", kid: "rsa" },
        sign: rs256(rsa.privateKey),
      }),
    "alg",
  ],
  [
    "HS256 with the public key as secret",
    () =>
      make({
        header: { alg: "HS256" },
        sign: (input) =>
          createHmac("sha256", own.publicKey.export({ type: "spki", format: "pem" }))
            .update(input)
            .digest("base64url"),
      }),
    make,
    "alg",
  ],
  [
    "HS256 where the registration allows it",
    () =>
      make({
        claims: { iss: weakIssuer.issuer },
        header: { alg: "HS256", kid: "rsa" },
        sign: (input) =>
          createHmac("sha256", rsa.publicKey.export({ type: "spki", format: "pem" }))
            .update(input)
            .digest("base64url"),
      }),
    make,
    "alg",
  ],
  [
    "RS256 that this issuer does not use",
    () => make({ header: { alg: "RS256", kid: "rsa" }, sign: rs256(rsa.privateKey) }),
    () =>
      make({
        claims: { iss: rsaIssuer.issuer },
        header: { alg: "RS256", kid: "rsa" },
        sign: rs256(rsa.privateKey),
      }),
    "alg",
  ],
  [
    "a 1024-bit RSA key",
    () =>
      make({
        claims: { iss: weakIssuer.issuer },
        header: { alg: "RS256", kid: "weak" },
        sign: rs256(weakRsa.privateKey),
      }),
    () =>
      make({
        claims: { iss: weakIssuer.issuer },
        header: { alg: "RS256", kid: "rsa" },
        sign: rs256(rsa.privateKey),
      }),
    "signature",
  ],
  ["alg in lower case", () => make({ header: { alg: "es256" } }), make, "alg"],
  ["alg as an array", () => make({ header: { alg: ["ES256"] } }), make, "alg"],
  ["no alg", () => make({ withoutHeader: ["alg"] }), make, "alg"],
  [
    "a signature of zeros",
    () => make({ sign: () => Buffer.alloc(64).toString("base64url") }),
    make,
    "signature",
  ],
  [
    "a DER signature",
    () => make({ sign: (input) => sign("sha256", Buffer.from(input), own.privateKey).toString("base64url") }),
    make,
    "signature",
  ],
  [
    "a changed payload",
    () => {
      const [h, , s] = make().split(".");
      return [h, encode(JSON.stringify({ ...base(), sub: "root" })), s].join(".");
    },
    make,
    "signature",
  ],
  [
    "its own key in the header",
    () => make({ key: stranger.privateKey, header: { jwk: stranger.publicKey.export({ format: "jwk" }) } }),
    () => make({ header: { jwk: stranger.publicKey.export({ format: "jwk" }) } }),
    "signature",
  ],
  [
    "an address of keys in the header",
    () => make({ key: stranger.privateKey, header: { jku: `${otherIdp.origin}/jwks`, kid: "k2" } }),
    () => make({ header: { jku: `${otherIdp.origin}/jwks` } }),
    "kid",
  ],
  ["kid as a path", () => make({ key: stranger.privateKey, header: { kid: "../../dev/null" } }), make, "kid"],
  ["kid as an object", () => make({ header: { kid: { $ne: "" } } }), make, "kid"],
  ["kid of the prototype", () => make({ header: { kid: "__proto__" } }), make, "kid"],
  [
    "no kid where several keys are published but none made it",
    () => make({ withoutHeader: ["kid"], key: stranger.privateKey }),
    () => make({ withoutHeader: ["kid"] }),
    "signature",
  ],
  [
    "crit",
    () => make({ header: { crit: ["b64"], b64: true } }),
    () => make({ header: { b64: true } }),
    "crit",
  ],
  ["an empty crit", () => make({ header: { crit: [] } }), make, "crit"],
  [
    "crit of an unknown extension",
    () => make({ header: { crit: ["exp2"], exp2: 1 } }),
    () => make({ header: { exp2: 1 } }),
    "crit",
  ],
  // Type
  [
    "typ JWT",
    () => make({ header: { typ: "JWT" } }),
    () => make({ header: { typ: "application/AT+JWT" } }),
    "typ",
  ],
  ["no typ", () => make({ withoutHeader: ["typ"] }), make, "typ"],
  ["typ of a DPoP proof", () => make({ header: { typ: "dpop+jwt" } }), make, "typ"],
  ["typ of an ID-JAG", () => make({ header: { typ: "oauth-id-jag+jwt" } }), make, "typ"],
  ["typ of a logout token", () => make({ header: { typ: "logout+jwt" } }), make, "typ"],
  ["typ with a space", () => make({ header: { typ: "at+jwt " } }), make, "typ"],
  ["typ as an array", () => make({ header: { typ: ["at+jwt"] } }), make, "typ"],
  [
    "an ID token where typ JWT is allowed",
    () => make({ claims: { iss: jwtTyped.issuer, nonce: "n" }, header: { typ: "JWT" } }),
    () => make({ claims: { iss: jwtTyped.issuer }, header: { typ: "JWT" } }),
    "claims",
  ],
  [
    "a logout token where typ JWT is allowed",
    () => make({ claims: { iss: jwtTyped.issuer, events: {} }, header: { typ: "JWT" } }),
    () => make({ claims: { iss: jwtTyped.issuer }, header: { typ: "JWT" } }),
    "claims",
  ],
  [
    "a Cognito ID token",
    () => make({ claims: { iss: jwtTyped.issuer, token_use: "id" }, header: { typ: "JWT" } }),
    () => make({ claims: { iss: jwtTyped.issuer, token_use: "access" }, header: { typ: "JWT" } }),
    "token_use",
  ],
  [
    "typ JWT with nothing of an access token",
    () => make({ claims: { iss: jwtTyped.issuer }, without: ["scope", "client_id"], header: { typ: "JWT" } }),
    () => make({ claims: { iss: jwtTyped.issuer }, without: ["scope"], header: { typ: "JWT" } }),
    "access token",
  ],
  // Times
  [
    "expired",
    () => make({ claims: { iat: NOW - 400, exp: NOW - 30 } }),
    () => make({ claims: { iat: NOW - 400, exp: NOW - 29 } }),
    "exp",
  ],
  ["no exp", () => make({ without: ["exp"] }), make, "exp"],
  ["exp as a string", () => make({ claims: { exp: String(NOW + 300) } }), make, "exp"],
  ["exp as an array", () => make({ claims: { exp: [NOW + 300] } }), make, "exp"],
  [
    "exp without end",
    () => make({ rawPayload: rawPayload('"exp":1e999', ["exp"]) }),
    () => make({ rawPayload: rawPayload(`"exp":${NOW + 300}`, ["exp"]) }),
    "exp",
  ],
  ["exp null", () => make({ claims: { exp: null } }), make, "exp"],
  ["exp in milliseconds", () => make({ claims: { exp: (NOW + 300) * 1000 } }), make, "lifetime"],
  [
    "a lifetime over an hour",
    () => make({ claims: { exp: NOW + 3631 } }),
    () => make({ claims: { exp: NOW + 3600 } }),
    "lifetime",
  ],
  [
    "exp before iat",
    () => make({ claims: { iat: NOW + 20, exp: NOW + 10 } }),
    () => make({ claims: { iat: NOW + 20, exp: NOW + 30 } }),
    "exp",
  ],
  ["no iat", () => make({ without: ["iat"] }), make, "iat"],
  ["iat as a string", () => make({ claims: { iat: String(NOW) } }), make, "iat"],
  [
    "iat in the future",
    () => make({ claims: { iat: NOW + 31 } }),
    () => make({ claims: { iat: NOW + 30 } }),
    "iat",
  ],
  ["iat negative", () => make({ claims: { iat: -1 } }), make, "iat"],
  [
    "nbf in the future",
    () => make({ claims: { nbf: NOW + 31 } }),
    () => make({ claims: { nbf: NOW + 30 } }),
    "nbf",
  ],
  ["nbf as a string", () => make({ claims: { nbf: String(NOW) } }), make, "nbf"],
  // Subject and other identifiers
  ["no sub", () => make({ without: ["sub"] }), make, "sub"],
  ["an empty sub", () => make({ claims: { sub: "" } }), make, "sub"],
  ["sub as a number", () => make({ claims: { sub: 7 } }), make, "sub"],
  ["sub as an array", () => make({ claims: { sub: ["ada"] } }), make, "sub"],
  [
    "sub with NUL",
    () => make({ claims: { sub: "ada\u0000" } }),
    () => make({ claims: { sub: "ad\u00e1" } }),
    "sub",
  ],
  [
    "sub with half a surrogate",
    () => make({ rawPayload: rawPayload('"sub":"a\\ud800"', ["sub"]) }),
    () => make({ rawPayload: rawPayload('"sub":"a\\ud83d\\ude00"', ["sub"]) }),
    "sub",
  ],
  [
    "sub over 255 characters",
    () => make({ claims: { sub: "a".repeat(256) } }),
    () => make({ claims: { sub: "a".repeat(255) } }),
    "sub",
  ],
  ["client_id as an object", () => make({ claims: { client_id: {} } }), make, "client_id"],
  ["jti as a number", () => make({ claims: { jti: 1 } }), make, "jti"],
  [
    "scope as an array",
    () => make({ claims: { scope: ["admin"] } }),
    () => make({ without: ["scope"] }),
    "scope",
  ],
  ["bound to a key", () => make({ claims: { cnf: { jkt: "x" } } }), make, "cnf"],
  ["an empty cnf", () => make({ claims: { cnf: null } }), make, "cnf"],
  // Tenant
  ["the claim of another tenant", () => make({ claims: { tenant_id: "tnt_globex" } }), make, "tenant claim"],
  ["no tenant claim", () => make({ without: ["tenant_id"] }), make, "tenant claim"],
  ["an array of one tenant", () => make({ claims: { tenant_id: ["tnt_acme"] } }), make, "tenant claim"],
  [
    "an array of two tenants",
    () => make({ claims: { tenant_id: ["tnt_acme", "tnt_globex"] } }),
    make,
    "tenant claim",
  ],
  ["an object as tenant", () => make({ claims: { tenant_id: { tnt_acme: {} } } }), make, "tenant claim"],
  [
    "the claim in another case",
    () => make({ claims: { Tenant_ID: "tnt_acme" }, without: ["tenant_id"] }),
    make,
    "tenant claim",
  ],
  ["the tenant in another case", () => make({ claims: { tenant_id: "TNT_ACME" } }), make, "tenant claim"],
  [
    "the tenant with a space after it",
    () => make({ claims: { tenant_id: "tnt_acme " } }),
    make,
    "tenant claim",
  ],
  [
    "the tenant with a look-alike letter",
    () => make({ claims: { tenant_id: "tnt_\u0430cme" } }),
    make,
    "tenant claim",
  ],
  [
    "the tenant with a zero-width space",
    () => make({ claims: { tenant_id: "tnt_acme\u200b" } }),
    make,
    "tenant claim",
  ],
  ["an empty tenant", () => make({ claims: { tenant_id: "" } }), make, "tenant claim"],
  [
    "the tenant through the prototype",
    () => make({ rawPayload: rawPayload('"__proto__":{"tenant_id":"tnt_acme"}', ["tenant_id"]) }),
    () => make({ rawPayload: rawPayload('"proto":{"tenant_id":"x"}') }),
    "prototype",
  ],
  [
    "a broker's token for another tenant",
    () => make({ claims: { iss: broker.issuer, tenant_id: "tnt_globex" } }),
    () => make({ claims: { iss: broker.issuer } }),
    "tenant claim",
  ],
  // Form
  [
    "two tenant claims",
    () => make({ rawPayload: rawPayload('"tenant_id":"tnt_acme"') }),
    () => make({ rawPayload: rawPayload('"tenant":"tnt_acme"') }),
    "twice",
  ],
  [
    "two subs, one escaped",
    () => make({ rawPayload: rawPayload('"s\\u0075b":"root"') }),
    () => make({ rawPayload: rawPayload('"s\\u0075x":"root"') }),
    "twice",
  ],
  [
    "two algs",
    () => make({ rawHeader: '{"alg":"none","typ":"at+jwt","kid":"k1","alg":"ES256"}' }),
    () => make({ rawHeader: '{"alg":"ES256","typ":"at+jwt","kid":"k1"}' }),
    "twice",
  ],
  [
    "two members further down",
    () => make({ rawPayload: rawPayload('"act":{"sub":"a","sub":"b"}') }),
    () => make({ rawPayload: rawPayload('"act":{"sub":"a"}') }),
    "twice",
  ],
  ["a payload that is a list", () => make({ rawPayload: "[]" }), make, "object"],
  ["a header that is not JSON", () => make({ rawHeader: "{alg:ES256}" }), make, "JSON"],
  ["four parts", () => `${make()}.x`, make, "compact"],
  ["two parts", () => make().split(".").slice(0, 2).join("."), make, "compact"],
  ["five empty parts", () => "....", make, "compact"],
  ["padding", () => `${make()}==`, make, "base64url"],
  [
    "the other base64 alphabet",
    () => {
      let token = make();
      while (!/[-_]/.test(token.split(".")[2] ?? "")) token = make();
      const [h, p, s] = token.split(".");
      return [h, p, s?.replaceAll("-", "+").replaceAll("_", "/")].join(".");
    },
    make,
    "base64url",
  ],
  [
    "stray bits in the last letter",
    () => {
      const token = make();
      const last = token.at(-1) ?? "";
      const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
      return token.slice(0, -1) + alphabet[alphabet.indexOf(last) + 1];
    },
    make,
    "base64url",
  ],
];

test("the table holds at least forty hostile tokens", () => {
  expect(HOSTILE.length).toBeGreaterThanOrEqual(40);
});

describe("hostile tokens", () => {
  test.each(HOSTILE)("refused: %s", async (_name, hostile, control, rule) => {
    expect(await causeOf(hostile())).toContain(rule);
    expect(await verify(control())).toMatchObject({ kind: "verified" });
  });
});

test("what a valid token proves", async () => {
  expect(await verify(make())).toEqual({
    kind: "verified",
    issuer: acme,
    subject: "ada",
    clientId: "c1",
    permissions: new Set(["tickets:read", "tickets:write"]),
    expiresAt: (NOW + 300) * 1000,
    tokenId: "j1",
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
    key: stranger.privateKey,
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
  const brokered = (claims: Claims = {}) => make({ claims: { iss: broker.issuer, aud: SHARED, ...claims } });

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
  ])("but not for %s", async (_name, attempt) => {
    const { check } = setUp();
    const token = make();
    expect(await check(token)).toMatchObject({ kind: "verified" });
    expect(await attempt(check, token)).toMatchObject({ code: "token_invalid" });
    expect(check(token)).toMatchObject({ kind: "verified" });
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

  test("until the registration is forgotten, also while a verification is under way", async () => {
    const { check, remembering } = setUp();
    const token = make();
    await check(token);
    remembering.forget(globex.id);
    expect(check(token)).toMatchObject({ kind: "verified" });
    remembering.forget(acme.id);
    const before = idp.requests();
    const pending = check(token);
    expect(pending).toBeInstanceOf(Promise);
    remembering.forget(acme.id);
    await pending;
    expect(check(token)).toBeInstanceOf(Promise);
    expect(idp.requests()).toBeGreaterThan(before);
  });

  test("a forged token with the claims of a remembered one is refused", async () => {
    const { check } = setUp();
    expect(await check(make())).toMatchObject({ kind: "verified" });
    expect(await check(make({ key: stranger.privateKey }))).toMatchObject({ code: "token_invalid" });
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
