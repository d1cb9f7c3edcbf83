import { encode, es256, es256Der, hs256, jwkOf, rs256 } from "../../support/hand-made-jws.ts";
import type { IssuerName } from "./registrations.ts";
import { type HostileRow, KEYS_UNAVAILABLE, TOKEN_INVALID, wrongToken } from "./row.ts";
import type { Setting, TokenRecipe } from "./setting.ts";

const audience = (name: string, of: (at: Setting) => unknown, good?: (at: Setting) => unknown): HostileRow =>
  wrongToken(
    "duty 5",
    name,
    (at) => ({ claims: { aud: of(at) } }),
    (at) => (good === undefined ? {} : { claims: { aud: good(at) } }),
  );
const listed = (at: Setting): unknown => [at.urlOf("acme")];

const API = "api://acme";
const USER_INFO = "https://idp.example/userinfo";
/** Of an issuer whose registration expects an audience of its own, and allows one beside it. */
const ownAudience = (name: string, aud: (at: Setting) => unknown, good: unknown): HostileRow =>
  wrongToken("duty 5", name, (at) => ({ from: "audience", claims: { aud: aud(at) } }), {
    from: "audience",
    claims: { aud: good },
  });

const issuer = (name: string, of: (at: Setting) => unknown): HostileRow =>
  wrongToken("R2", name, (at) => ({ claims: { iss: of(at) } }));

const unreadable = (name: string, from: IssuerName): HostileRow => ({
  rule: "R6",
  name,
  refused: KEYS_UNAVAILABLE,
  hostile: (at) => at.ask(at.token({ from })),
  control: (at) => at.ask(at.token({ from: "readable" })),
});

const signed = (
  rule: string,
  name: string,
  hostile: (at: Setting) => TokenRecipe,
  control: (at: Setting) => TokenRecipe = () => ({}),
) => wrongToken(rule, name, hostile, control);
const RSA = (at: Setting): TokenRecipe => ({
  from: "rsa",
  header: { alg: "RS256", kid: "rsa" },
  sign: rs256(at.rsa.privateKey),
});

/** Duty 5, R2, R6 and what of R5 concerns the signature. */
export const audienceAndIssuerRows: readonly HostileRow[] = [
  // For whom
  audience("another tenant", (at) => at.urlOf("globex")),
  audience("the shared resource", (at) => at.shared),
  audience("the origin", (at) => at.origin),
  audience("a trailing slash", (at) => `${at.urlOf("acme")}/`),
  audience("a longer path", (at) => `${at.urlOf("acme")}/x`),
  audience("a prefix", (at) => at.urlOf("acme").slice(0, -1)),
  audience("a query", (at) => `${at.urlOf("acme")}?a=b`),
  audience("another case", (at) => at.urlOf("acme").toUpperCase()),
  audience("a space after it", (at) => `${at.urlOf("acme")} `),
  audience(
    "the address of the metadata",
    (at) => `${at.origin}/.well-known/oauth-protected-resource/t/acme/mcp`,
  ),
  audience("the client", () => "c1"),
  audience("two tenants", (at) => [at.urlOf("acme"), at.urlOf("globex")], listed),
  audience("this one and the shared one", (at) => [at.urlOf("acme"), at.shared], listed),
  audience("this one twice", (at) => [at.urlOf("acme"), at.urlOf("acme")], listed),
  audience("this one and a stranger", (at) => [at.urlOf("acme"), USER_INFO], listed),
  audience("this one and no text", (at) => [at.urlOf("acme"), null], listed),
  audience("an empty list", () => [], listed),
  audience("a list in a list", (at) => [[at.urlOf("acme")]], listed),
  audience("an object", (at) => ({ 0: at.urlOf("acme"), length: 1 })),
  wrongToken("duty 5", "no audience", { without: ["aud"] }),
  ownAudience("the resource where another audience is registered", (at) => at.urlOf("acme"), API),
  ownAudience("only what may stand beside the audience", () => [USER_INFO], [API]),
  ownAudience("what may stand beside it, twice", () => [API, USER_INFO, USER_INFO], [USER_INFO, API]),
  ownAudience("something else beside it", () => [API, "https://idp.example/other"], [API, USER_INFO]),
  ownAudience("another tenant beside it", (at) => [API, at.urlOf("globex")], [API, USER_INFO]),
  {
    rule: "duty 5",
    name: "a tenant's resource on the shared URL",
    refused: TOKEN_INVALID,
    hostile: (at) =>
      at.ask(at.token({ from: "broker", claims: { aud: at.urlOf("acme") } }), { url: at.shared }),
    control: (at) => at.ask(at.token({ from: "broker" }), { url: at.shared }),
  },
  // By whom
  issuer("an issuer that nobody registered", () => "https://evil.example"),
  issuer("another tenant's issuer", (at) => at.issuer("globex")),
  issuer("a trailing slash", (at) => `${at.issuer("acme")}/`),
  issuer("another case", (at) => at.issuer("acme").toUpperCase()),
  issuer("the origin alone", (at) => new URL(at.issuer("acme")).origin),
  issuer("a list", (at) => [at.issuer("acme")]),
  issuer("null", () => null),
  wrongToken("R2", "no issuer", { without: ["iss"] }),
  signed(
    "R2",
    "the key of another issuer of the same tenant",
    (at) => ({
      header: { kid: "k2" },
      sign: es256(at.keys.second.privateKey),
    }),
    () => ({ from: "second" }),
  ),
  signed("R2", "the key of the broker", (at) => ({
    header: { kid: "k9" },
    sign: es256(at.keys.broker.privateKey),
  })),
  signed("R2", "the key of another tenant's issuer", (at) => ({
    header: { kid: "k3" },
    sign: es256(at.keys.third.privateKey),
  })),
  signed("R2", "another issuer's key under a kid of this one", (at) => ({
    sign: es256(at.keys.second.privateKey),
  })),
  signed(
    "R2",
    "its own key in the header",
    (at) => ({ header: { jwk: jwkOf(at.client.publicKey) }, sign: es256(at.client.privateKey) }),
    (at) => ({ header: { jwk: jwkOf(at.client.publicKey) } }),
  ),
  signed(
    "R2",
    "an address of keys in the header",
    (at) => ({
      header: { jku: `${new URL(at.issuer("second")).origin}/jwks`, kid: "k2" },
      sign: es256(at.keys.second.privateKey),
    }),
    (at) => ({ header: { jku: `${new URL(at.issuer("second")).origin}/jwks` } }),
  ),
  signed(
    "R2",
    "a certificate in the header",
    (at) => ({ header: { x5c: ["MIIB"], kid: "x" }, sign: es256(at.client.privateKey) }),
    () => ({ header: { x5c: ["MIIB"] } }),
  ),
  {
    rule: "R2",
    name: "a tenant's own issuer on the shared URL",
    refused: TOKEN_INVALID,
    hostile: (at) => at.ask(at.token({ claims: { aud: at.shared, org_id: "org-acme" } }), { url: at.shared }),
    control: (at) =>
      at.ask(at.token({ from: "broker", claims: { tenant_id: "acme-org" } }), { url: at.shared }),
  },
  // Which key
  wrongToken("R5", "a kid that is not published", { header: { kid: "k0" } }),
  wrongToken("R5", "a kid that is a path", { header: { kid: "../../dev/null" } }),
  wrongToken("R5", "a kid that is an object", { header: { kid: { $ne: "" } } }),
  wrongToken("R5", "a kid of the prototype", { header: { kid: "__proto__" } }),
  signed("R5", "a key published for encryption", (at) => ({
    header: { kid: "encryption" },
    sign: es256(at.leaked.privateKey),
  })),
  signed("R5", "a key published with its private part", (at) => ({
    header: { kid: "leaked" },
    sign: es256(at.leaked.privateKey),
  })),
  signed(
    "R5",
    "no kid, and none of the keys",
    (at) => ({ from: "second", withoutHeader: ["kid"], sign: es256(at.client.privateKey) }),
    () => ({ from: "second", withoutHeader: ["kid"] }),
  ),
  signed(
    "R5",
    "no kid where several keys could be meant",
    () => ({ withoutHeader: ["kid"] }),
    () => ({ from: "second", withoutHeader: ["kid"] }),
  ),
  // Which algorithm
  wrongToken("R5", "alg none without a signature", { header: { alg: "none" }, sign: () => "" }),
  wrongToken("R5", "alg none with a signature", { header: { alg: "none" } }),
  signed(
    "R5",
    "alg none where the registration allows it",
    () => ({ from: "careless", header: { alg: "none" } }),
    (at) => ({ ...RSA(at), from: "careless" }),
  ),
  signed("R5", "HS256 with the public key as secret", (at) => ({
    header: { alg: "HS256" },
    sign: hs256(at.keys.first.publicKey),
  })),
  signed(
    "R5",
    "HS256 where the registration allows it",
    (at) => ({ from: "careless", header: { alg: "HS256", kid: "rsa" }, sign: hs256(at.rsa.publicKey) }),
    (at) => ({ ...RSA(at), from: "careless" }),
  ),
  signed(
    "R5",
    "HS256 with a symmetric key that was published",
    (at) => ({ from: "careless", header: { alg: "HS256", kid: "oct" }, sign: at.symmetric }),
    (at) => ({ ...RSA(at), from: "careless" }),
  ),
  signed("R5", "an algorithm that this issuer does not use", (at) => ({ ...RSA(at), from: "acme" }), RSA),
  signed("R5", "the issuer's other algorithm", () => ({ from: "rsa" }), RSA),
  signed(
    "R5",
    "an RSA key of 1024 bits",
    (at) => ({ ...RSA(at), header: { alg: "RS256", kid: "weak" }, sign: rs256(at.weakRsa.privateKey) }),
    RSA,
  ),
  wrongToken("R5", "alg in lower case", { header: { alg: "es256" } }),
  wrongToken("R5", "alg as a list", { header: { alg: ["ES256"] } }),
  wrongToken("R5", "no alg", { withoutHeader: ["alg"] }),
  wrongToken("R5", "crit", { header: { crit: ["b64"], b64: true } }, { header: { b64: true } }),
  wrongToken("R5", "an empty crit", { header: { crit: [] } }),
  signed("R5", "a signature in DER", (at) => ({ sign: es256Der(at.keys.first.privateKey) })),
  wrongToken("R5", "a signature of zeros", { sign: () => Buffer.alloc(64).toString("base64url") }),
  {
    rule: "R5",
    name: "claims that were changed after signing",
    refused: TOKEN_INVALID,
    hostile: (at) => {
      const [header, , signature] = at.token().split(".");
      return at.ask([header, encode(JSON.stringify({ ...at.claims(), sub: "root" })), signature].join("."));
    },
    control: (at) => at.ask(at.token({ claims: { sub: "root" } })),
  },
  // Keys that cannot be read: neither the token's fault nor the server's
  unreadable("keys that never come", "slow"),
  unreadable("keys over 256 KB", "huge"),
  unreadable("keys without end", "endless"),
  unreadable("keys behind a redirect", "redirecting"),
  unreadable("keys behind an error", "failing"),
  unreadable("keys that are a web page", "text"),
  unreadable("keys that are a list", "list"),
  unreadable("keys whose connection is cut", "closing"),
  unreadable("keys by http from elsewhere", "foreign"),
  wrongToken(
    "R6",
    "keys that cannot be read, and a claim that is wrong: no network traffic",
    { from: "failing", claims: { tenant_id: "x" } },
    { from: "readable" },
  ),
];
