import { inOtherAlphabet, jsonWith, withStrayBits } from "../../support/hand-made-jws.ts";
import { type HostileRow, TOKEN_INVALID, wrongClaims, wrongToken } from "./row.ts";
import type { Setting, TokenRecipe } from "./setting.ts";

const tenant = (name: string, value: unknown): HostileRow => wrongClaims("R4", name, { tenant_id: value });
/** Of an issuer whose claim is an array or object of exactly one, as Keycloak writes a person's organizations. */
const single = (name: string, value: unknown, good: unknown): HostileRow =>
  wrongToken(
    "R4",
    name,
    { from: "single", claims: { organization: value } },
    { from: "single", claims: { organization: good } },
  );
/** A payload written as text: `extra` in it, `without` left out. */
const written =
  (extra: string, ...without: string[]) =>
  (at: Setting): TokenRecipe => ({
    rawPayload: jsonWith(at.claims(), extra, without),
  });

/** On the shared URL, where the broker's claim names the tenant. */
const brokered = (name: string, recipe: TokenRecipe): HostileRow => ({
  rule: "R3",
  name,
  refused: TOKEN_INVALID,
  hostile: (at) => at.ask(at.token({ from: "broker", ...recipe }), { url: at.shared }),
  control: (at) => at.ask(at.token({ from: "broker" }), { url: at.shared }),
});

const time = (name: string, hostile: (now: number) => object, good?: (now: number) => object): HostileRow =>
  wrongToken(
    "R5",
    name,
    (at) => ({ claims: { ...hostile(at.now) } }),
    (at) => ({ claims: { ...good?.(at.now) } }),
  );
const typed = (name: string, typ: unknown): HostileRow => wrongToken("R5", name, { header: { typ } });
/** Of an issuer whose tokens have the type that all sorts of JWT have, or none. */
const JWT: TokenRecipe = { from: "jwt", header: { typ: "JWT" } };
const UNTYPED: TokenRecipe = { from: "untyped", withoutHeader: ["typ"] };
const foreign = (
  name: string,
  change: TokenRecipe,
  good: TokenRecipe = {},
  of: TokenRecipe = JWT,
): HostileRow => wrongToken("R5", name, { ...of, ...change }, { ...of, ...good });
const broken = (name: string, make: (good: () => string) => string): HostileRow => ({
  rule: "R5",
  name,
  refused: TOKEN_INVALID,
  hostile: (at) => at.ask(make(() => at.token())),
  control: (at) => at.ask(at.token()),
});
const identifier = (name: string, claims: object, good: object = {}): HostileRow =>
  wrongClaims("R5", name, claims, good);

/** R3, R4 and what of R5 concerns type, times, identifiers and form. */
export const claimRows: readonly HostileRow[] = [
  // Which tenant
  wrongClaims("R3", "another tenant", { tenant_id: "globex-org" }),
  wrongToken("R3", "no tenant", { without: ["tenant_id"] }),
  wrongClaims("R3", "the tenant's slug in place of its value", { tenant_id: "acme" }),
  wrongToken("R3", "the tenant's id in place of its value", (at) => ({
    claims: { tenant_id: at.idOf("acme") },
  })),
  wrongToken("R3", "the tenant under the claim of another profile", {
    claims: { org_id: "acme-org", tid: "acme-org" },
    without: ["tenant_id"],
  }),
  wrongToken(
    "R3",
    "the broker's token for another tenant",
    (at) => ({ from: "broker", claims: { aud: at.urlOf("acme"), org_id: "org-globex" } }),
    (at) => ({ from: "broker", claims: { aud: at.urlOf("acme") } }),
  ),
  {
    rule: "R3",
    name: "an issuer of one tenant without a claim, at another tenant",
    refused: TOKEN_INVALID,
    hostile: (at) =>
      at.ask(at.token({ from: "unclaimed", claims: { aud: at.urlOf("globex") } }), {
        url: at.urlOf("globex"),
      }),
    control: (at) => at.ask(at.token({ from: "unclaimed" })),
  },
  brokered("a value of the broker's that stands for nobody", { claims: { org_id: "org-initech" } }),
  brokered("a value of the broker's in another case", { claims: { org_id: "ORG-ACME" } }),
  brokered("the slug in place of the broker's value", { claims: { org_id: "acme" } }),
  brokered("no value of the broker's", { without: ["org_id"] }),
  brokered("a list of the broker's values", { claims: { org_id: ["org-acme"] } }),
  brokered("two of the broker's values", { claims: { org_id: ["org-acme", "org-globex"] } }),
  // Claims are data from outside
  tenant("a list of one tenant where a text is expected", ["acme-org"]),
  tenant("a list of two tenants", ["acme-org", "globex-org"]),
  tenant("an object", { "acme-org": {} }),
  tenant("null", null),
  tenant("true", true),
  tenant("a number", 7),
  tenant("an empty text", ""),
  tenant("another case", "ACME-ORG"),
  tenant("a space after it", "acme-org "),
  tenant("a space before it", " acme-org"),
  tenant("a line break after it", "acme-org\n"),
  tenant("NUL after it", "acme-org\u0000"),
  tenant("a look-alike letter", "\u0430cme-org"),
  tenant("a letter of another width", "acm\uff45-org"),
  tenant("a zero-width space", "acme-org\u200b"),
  tenant("a soft hyphen", "acme\u00ad-org"),
  tenant("a pattern", "acme%"),
  wrongToken("R4", "the claim's name in another case", {
    claims: { Tenant_ID: "acme-org" },
    without: ["tenant_id"],
  }),
  wrongToken("R4", "the claim in another claim", {
    claims: { claims: { tenant_id: "acme-org" } },
    without: ["tenant_id"],
  }),
  wrongToken(
    "R4",
    "the claim through the prototype",
    written('"__proto__":{"tenant_id":"acme-org"}', "tenant_id"),
    written('"proto":{"tenant_id":"x"}'),
  ),
  wrongToken(
    "R4",
    "two tenant claims, the last one right",
    (at) => ({
      rawPayload: jsonWith(at.claims(), '"tenant_id":"globex-org","tenant_id":"acme-org"', ["tenant_id"]),
    }),
    written('"tenant_ie":"globex-org"'),
  ),
  wrongToken(
    "R4",
    "two tenant claims, the first one right",
    written('"tenant_id":"globex-org"'),
    written('"tenant_ie":"globex-org"'),
  ),
  wrongToken("R4", "two subjects, one escaped", written('"s\\u0075b":"root"'), written('"s\\u0075c":"root"')),
  wrongToken(
    "R4",
    "two members further down",
    written('"act":{"sub":"a","sub":"b"}'),
    written('"act":{"sub":"a"}'),
  ),
  wrongToken(
    "R4",
    "two algorithms",
    { rawHeader: '{"alg":"none","typ":"at+jwt","kid":"k1","alg":"ES256"}' },
    { rawHeader: '{"alg":"ES256","typ":"at+jwt","kid":"k1"}' },
  ),
  wrongToken(
    "R4",
    "deep nesting",
    written(`"deep":${"[".repeat(40)}${"]".repeat(40)}`),
    written(`"deep":${"[".repeat(20)}${"]".repeat(20)}`),
  ),
  single("two organizations in a list", ["acme-org", "globex-org"], ["acme-org"]),
  single("the same organization twice", ["acme-org", "acme-org"], ["acme-org"]),
  single("no organization", [], ["acme-org"]),
  single("a list in a list", [["acme-org"]], ["acme-org"]),
  single("two organizations in an object", { "acme-org": {}, "globex-org": {} }, { "acme-org": {} }),
  single("an object without organizations", {}, { "acme-org": { id: "1" } }),
  single("the organization as a member's value", { name: "acme-org" }, "acme-org"),
  single("another organization", ["globex-org"], "acme-org"),
  // Which kind of token
  typed("the type of any JWT", "JWT"),
  typed("the type of a DPoP proof", "dpop+jwt"),
  typed("the type of an ID-JAG", "oauth-id-jag+jwt"),
  typed("the type of a logout token", "logout+jwt"),
  typed("the type with a space", "at+jwt "),
  typed("the type as a list", ["at+jwt"]),
  typed("the word of a registration that expects no type", "absent"),
  wrongToken("R5", "no type", { withoutHeader: ["typ"] }, { header: { typ: "application/AT+JWT" } }),
  foreign("an ID token by its nonce", { claims: { nonce: "n" } }),
  foreign("an ID token by the hash of an access token", { claims: { at_hash: "h" } }),
  foreign("a logout token by its events", { claims: { events: {} } }),
  foreign("a DPoP proof by its method and URL", { claims: { htm: "POST", htu: "x" } }),
  foreign("an ID token of Cognito", { claims: { token_use: "id" } }, { claims: { token_use: "access" } }),
  foreign("a refresh token of Keycloak", { claims: { typ: "Refresh" } }, { claims: { typ: "Bearer" } }),
  foreign("nothing that marks an access token", { without: ["scope", "client_id"] }, { without: ["scope"] }),
  foreign(
    "nothing but the client of an ID token",
    { without: ["scope", "client_id"], claims: { azp: "c1" } },
    { claims: { azp: "c1" } },
  ),
  foreign("a type where none is expected", { header: { typ: "JWT" }, withoutHeader: [] }, {}, UNTYPED),
  foreign("an ID token without a type", { claims: { nonce: "n" } }, {}, UNTYPED),
  // When
  time(
    "an issuer's clock 31 s ahead",
    (now) => ({ iat: now + 31, exp: now + 331 }),
    (now) => ({ iat: now + 29, exp: now + 329 }),
  ),
  time(
    "an issuer's clock 31 s behind",
    (now) => ({ iat: now - 331, exp: now - 31 }),
    (now) => ({ iat: now - 329, exp: now - 29 }),
  ),
  time(
    "expired to the second",
    (now) => ({ iat: now - 400, exp: now - 30 }),
    (now) => ({ iat: now - 400, exp: now - 29.999 }),
  ),
  time("expired for long", (now) => ({ iat: 1_000_000_000, exp: 1_000_003_600 + 0 * now })),
  time(
    "issued a second too far ahead",
    (now) => ({ iat: now + 30.5 }),
    (now) => ({ iat: now + 30 }),
  ),
  time(
    "not yet valid",
    (now) => ({ nbf: now + 31 }),
    (now) => ({ nbf: now + 30 }),
  ),
  wrongToken("R5", "no expiry", { without: ["exp"] }),
  wrongToken("R5", "no time of issue", { without: ["iat"] }),
  time("an expiry as text", (now) => ({ exp: String(now + 300) })),
  time("an expiry as a list", (now) => ({ exp: [now + 300] })),
  time("an expiry of null", () => ({ exp: null })),
  time("an expiry in milliseconds", (now) => ({ exp: (now + 300) * 1000 })),
  wrongToken("R5", "an expiry without end", written('"exp":1e999', "exp"), (at) => ({
    rawPayload: jsonWith(at.claims(), `"exp":${at.now + 300}`, ["exp"]),
  })),
  time(
    "an expiry before the time of issue",
    (now) => ({ iat: now + 20, exp: now + 10 }),
    (now) => ({ iat: now + 20, exp: now + 30 }),
  ),
  time("a time of issue as text", (now) => ({ iat: String(now) })),
  time("a negative time of issue", () => ({ iat: -1 })),
  time("a beginning as text", (now) => ({ nbf: String(now) })),
  time(
    "a life over an hour",
    (now) => ({ exp: now + 3_631 }),
    (now) => ({ exp: now + 3_600 }),
  ),
  wrongToken(
    "R5",
    "a life longer than this issuer's may be",
    (at) => ({ from: "short", claims: { exp: at.now + 91 } }),
    (at) => ({ from: "short", claims: { exp: at.now + 60 } }),
  ),
  // Who
  wrongToken("R5", "no subject", { without: ["sub"] }),
  identifier("an empty subject", { sub: "" }),
  identifier("a number as subject", { sub: 7 }),
  identifier("a list as subject", { sub: ["ada"] }),
  identifier("a subject with NUL", { sub: "ada\u0000" }, { sub: "ad\u00e1" }),
  identifier("a subject with a line break", { sub: "ada\nbob" }),
  identifier("a subject over 255 characters", { sub: "a".repeat(256) }, { sub: "a".repeat(255) }),
  wrongToken(
    "R5",
    "a subject with half a surrogate",
    written('"sub":"a\\ud800"', "sub"),
    written('"sub":"a\\ud83d\\ude00"', "sub"),
  ),
  identifier("an object as client", { client_id: {} }),
  identifier("a number as token id", { jti: 1 }),
  identifier("scopes as an object", { scope: { admin: true } }, { scope: ["tickets:read"] }),
  identifier(
    "scopes with a number among them",
    { scope: ["tickets:read", 7] },
    { scope: ["tickets:read", "7"] },
  ),
  wrongToken(
    "R5",
    "roles as an object",
    { from: "roles", claims: { realm_access: { roles: { lead: true } } } },
    { from: "roles", claims: { realm_access: { roles: ["lead"] } } },
  ),
  // In which form
  wrongToken("R5", "a payload that is a list", { rawPayload: "[]" }),
  wrongToken("R5", "a header that is no JSON", { rawHeader: "{alg:ES256}" }),
  wrongToken(
    "R5",
    "a byte-order mark",
    (at) => ({ rawPayload: `\ufeff${JSON.stringify(at.claims())}` }),
    (at) => ({ rawPayload: ` ${JSON.stringify(at.claims())}` }),
  ),
  broken("two parts", (good) => good().split(".").slice(0, 2).join(".")),
  broken("four parts", (good) => `${good()}.x`),
  broken("an encrypted token's five parts", () => "e30.e30.e30.e30.e30"),
  broken("nothing between the dots", () => ".."),
  broken("nothing between four dots", () => "...."),
  broken("one word", () => "token"),
  broken("padding", (good) => `${good()}==`),
  broken("the other alphabet of base64", inOtherAlphabet),
  broken("stray bits in the last letter", (good) => withStrayBits(good())),
];
