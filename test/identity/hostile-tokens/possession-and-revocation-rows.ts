import { es256, thumbprintOf } from "../../support/hand-made-jws.ts";
import { send } from "../../support/mcp-request.ts";
import { opaque } from "./introspection-endpoint.ts";
import type { TenantSlug } from "./registrations.ts";
import {
  type HostileRow,
  INTROSPECTION_UNAVAILABLE,
  MALFORMED,
  PROOF_INVALID,
  TOKEN_INVALID,
  wrongToken,
} from "./row.ts";
import type { Request, Setting, TokenRecipe } from "./setting.ts";

type Proving = NonNullable<Parameters<Setting["prove"]>[1]>;

/** A bound token at the tenant that allows them, with a wrong proof. */
const wrongProof = (
  name: string,
  change: (at: Setting) => Proving,
  good: (at: Setting) => Proving = () => ({}),
): HostileRow => ({
  rule: "R10",
  name,
  refused: PROOF_INVALID,
  hostile: (at) => at.prove(at.boundToken(), change(at)),
  control: (at) => at.prove(at.boundToken(), good(at)),
});

/** A token whose `cnf` is wrong, with a good proof. */
const wrongBinding = (name: string, cnf: (jkt: string) => unknown): HostileRow => ({
  rule: "R10",
  name,
  refused: TOKEN_INVALID,
  hostile: (at) => at.prove(at.boundToken({ claims: { cnf: cnf(thumbprintOf(at.client.publicKey)) } })),
  control: (at) => at.prove(at.boundToken()),
});

const withHeaders = (request: Request, headers: Record<string, string | string[] | undefined>): Request => ({
  ...request,
  headers: Object.fromEntries(
    Object.entries({ ...request.headers, ...headers }).filter(
      (entry): entry is [string, string | string[]] => entry[1] !== undefined,
    ),
  ),
});

/** A bound token of another tenant's issuer. */
const boundTo = (at: Setting, from: "acme" | "strict"): string =>
  at.token({ from, claims: { cnf: { jkt: thumbprintOf(at.client.publicKey) } } });

const opaqueToken = (
  name: string,
  change: (at: Setting) => object,
  without: readonly string[] = [],
): HostileRow => ({
  rule: "R9",
  name,
  refused: TOKEN_INVALID,
  hostile: (at) => {
    const answer: Record<string, unknown> = { active: true, ...at.claims("asked"), ...change(at) };
    for (const member of without) delete answer[member];
    return at.ask(opaque(answer), { url: at.urlOf("asking") });
  },
  control: (at) => at.ask(opaque({ active: true, ...at.claims("asked") }), { url: at.urlOf("asking") }),
});
const boundOpaque = (at: Setting): string =>
  opaque({
    active: true,
    ...at.claims("asked"),
    cnf: { jkt: thumbprintOf(at.client.publicKey) },
  });
const unanswered = (name: string, answer: string): HostileRow => ({
  rule: "R9",
  name,
  refused: INTROSPECTION_UNAVAILABLE,
  hostile: (at) => at.ask(opaque(answer), { url: at.urlOf("asking") }),
  control: (at) => at.ask(opaque({ active: true, ...at.claims("asked") }), { url: at.urlOf("asking") }),
});

const key = (
  name: string,
  hostile: (at: Setting) => { key: string; tenant?: TenantSlug; shared?: boolean },
  control: (at: Setting) => { key: string; tenant?: TenantSlug; shared?: boolean } = (at) => ({
    key: at.apiKeys.good,
  }),
): HostileRow => {
  const asked = (at: Setting, of: { key: string; tenant?: TenantSlug; shared?: boolean }): Request =>
    at.ask(of.key, { url: of.shared === true ? at.shared : at.urlOf(of.tenant ?? "acme") });
  return {
    rule: "R11",
    name,
    refused: TOKEN_INVALID,
    hostile: (at) => asked(at, hostile(at)),
    control: (at) => asked(at, control(at)),
  };
};

/** A token that was verified and so is remembered. */
async function remembered(at: Setting, recipe: TokenRecipe = {}): Promise<string> {
  const token = at.token(recipe);
  const { status } = await send(at.ask(token).url, at.ask(token));
  if (status !== 200) throw new TypeError(`The good token was answered with ${status}.`);
  return token;
}

/** R8 to R12. */
export const possessionAndRevocationRows: readonly HostileRow[] = [
  // Revoked
  wrongToken(
    "R8",
    "a token that was revoked",
    { claims: { jti: "revoked-token" } },
    { from: "second", claims: { jti: "revoked-token" } },
  ),
  wrongToken(
    "R8",
    "a subject that was revoked, issued to before",
    (at) => ({ claims: { sub: "mallory", iat: at.now - 61 } }),
    (at) => ({ claims: { sub: "mallory", iat: at.now - 59 } }),
  ),
  wrongToken(
    "R8",
    "a subject that was revoked, issued to in that second",
    (at) => ({ claims: { sub: "mallory", iat: at.now - 60 } }),
    (at) => ({ from: "second", claims: { sub: "mallory", iat: at.now - 60 } }),
  ),
  wrongToken(
    "R8",
    "a signing key that was revoked",
    (at) => ({ header: { kid: "revoked" }, sign: es256(at.keys.revoked.privateKey) }),
    (at) => ({ from: "unclaimed", header: { kid: "revoked" }, sign: es256(at.keys.revoked.privateKey) }),
  ),
  wrongToken(
    "R8",
    "a signing key that was revoked and is not named",
    { from: "revoked", withoutHeader: ["kid"] },
    { from: "second", withoutHeader: ["kid"] },
  ),
  {
    rule: "R8",
    name: "a tenant that revoked everything, issued for before",
    refused: TOKEN_INVALID,
    hostile: (at) =>
      at.ask(at.token({ from: "renewed", claims: { iat: at.now - 60 } }), { url: at.urlOf("renewed") }),
    control: (at) =>
      at.ask(at.token({ from: "renewed", claims: { iat: at.now - 59 } }), { url: at.urlOf("renewed") }),
  },
  key(
    "an API key from before its tenant revoked everything",
    (at) => ({ key: at.apiKeys.old, tenant: "renewed" }),
    (at) => ({ key: at.apiKeys.fresh, tenant: "renewed" }),
  ),
  // Remembered
  {
    rule: "R12",
    name: "a remembered token at another tenant",
    refused: TOKEN_INVALID,
    hostile: async (at) => at.ask(await remembered(at), { url: at.urlOf("globex") }),
    control: async (at) => at.ask(await remembered(at)),
  },
  {
    rule: "R12",
    name: "a remembered token on the shared URL",
    refused: TOKEN_INVALID,
    hostile: async (at) => at.ask(await remembered(at), { url: at.shared }),
    control: async (at) => at.ask(await remembered(at)),
  },
  {
    rule: "R12",
    name: "a remembered token of the broker for a tenant's URL, on the shared one",
    refused: TOKEN_INVALID,
    hostile: async (at) =>
      at.ask(await remembered(at, { from: "broker", claims: { aud: at.urlOf("acme") } }), { url: at.shared }),
    control: async (at) =>
      at.ask(await remembered(at, { from: "broker", claims: { aud: at.urlOf("acme") } })),
  },
  {
    rule: "R12",
    name: "the claims of a remembered token under another signature",
    refused: TOKEN_INVALID,
    hostile: async (at) => {
      const [header, payload] = (await remembered(at)).split(".");
      const input = `${header}.${payload}`;
      return at.ask(`${input}.${es256(at.client.privateKey)(input)}`);
    },
    control: async (at) => at.ask(await remembered(at)),
  },
  {
    rule: "R12",
    name: "a remembered token with another letter at its end",
    refused: TOKEN_INVALID,
    hostile: async (at) => {
      const token = await remembered(at);
      return at.ask(token.slice(0, -1) + (token.endsWith("A") ? "Q" : "A"));
    },
    control: async (at) => at.ask(await remembered(at)),
  },
  // Asked about
  opaqueToken("an opaque token that is not active", () => ({ active: false })),
  opaqueToken("active as text", () => ({ active: "true" })),
  opaqueToken("active as a number", () => ({ active: 1 })),
  opaqueToken("nothing about active", () => ({}), ["active"]),
  opaqueToken("an opaque token of another issuer", (at) => ({ iss: at.issuer("acme") })),
  opaqueToken("an opaque token for another resource", (at) => ({ aud: at.urlOf("acme") })),
  opaqueToken("an opaque token for two resources", (at) => ({ aud: [at.urlOf("asking"), at.urlOf("acme")] })),
  opaqueToken("an opaque token for nobody in particular", () => ({}), ["aud"]),
  opaqueToken("an opaque token of another tenant", () => ({ tenant_id: "acme-org" })),
  opaqueToken("an opaque token that has expired", (at) => ({ iat: at.now - 400, exp: at.now - 30 })),
  opaqueToken("an opaque token without expiry", () => ({}), ["exp"]),
  opaqueToken("an opaque token without subject", () => ({}), ["sub"]),
  opaqueToken("an opaque token that is a refresh token", () => ({ token_type: "refresh_token" })),
  opaqueToken("an opaque token bound to a certificate", () => ({ cnf: { "x5t#S256": "x" } })),
  {
    rule: "R9",
    name: "an opaque token bound to a key, as Bearer",
    refused: TOKEN_INVALID,
    hostile: (at) => at.ask(boundOpaque(at), { url: at.urlOf("asking") }),
    control: (at) => at.prove(boundOpaque(at), { url: at.urlOf("asking") }),
  },
  unanswered("an endpoint that fails", "fail"),
  unanswered("an answer that is no JSON", "<html>"),
  unanswered("an answer with a member twice", '{"active":false,"active":true}'),
  {
    rule: "R9",
    name: "an opaque token at a tenant whose issuers are not asked",
    refused: TOKEN_INVALID,
    hostile: (at) =>
      at.ask(opaque({ active: true, ...at.claims("asked"), aud: at.urlOf("acme"), tenant_id: "acme-org" })),
    control: (at) => at.ask(opaque({ active: true, ...at.claims("asked") }), { url: at.urlOf("asking") }),
  },
  // Proved
  {
    rule: "R10",
    name: "a bound token as Bearer",
    refused: TOKEN_INVALID,
    hostile: (at) => at.ask(at.boundToken(), { url: at.urlOf("bound") }),
    control: (at) => at.ask(at.token({ from: "bound" }), { url: at.urlOf("bound") }),
  },
  {
    rule: "R10",
    name: "a bound token as Bearer with a good proof",
    refused: TOKEN_INVALID,
    hostile: (at) => {
      const token = at.boundToken();
      return withHeaders(at.prove(token), { authorization: `Bearer ${token}` });
    },
    control: (at) => at.prove(at.boundToken()),
  },
  {
    rule: "R10",
    name: "a token that is not bound, as DPoP",
    refused: TOKEN_INVALID,
    hostile: (at) => at.prove(at.token({ from: "bound" })),
    control: (at) => at.prove(at.boundToken()),
  },
  {
    rule: "R10",
    name: "a bound token with a good proof where DPoP is off",
    refused: TOKEN_INVALID,
    hostile: (at) => at.prove(boundTo(at, "acme"), { url: at.urlOf("acme") }),
    control: (at) => at.prove(at.boundToken()),
  },
  {
    rule: "R10",
    name: "a bound token as Bearer where DPoP is off",
    refused: TOKEN_INVALID,
    hostile: (at) => at.ask(boundTo(at, "acme")),
    control: (at) => at.ask(at.token()),
  },
  {
    rule: "R10",
    name: "a token that is not bound, as DPoP where that is off",
    refused: TOKEN_INVALID,
    hostile: (at) => at.prove(at.token(), { url: at.urlOf("acme") }),
    control: (at) => at.ask(at.token()),
  },
  {
    rule: "R10",
    name: "a token that is not bound where only those are taken",
    refused: TOKEN_INVALID,
    hostile: (at) => at.ask(at.token({ from: "strict" }), { url: at.urlOf("strict") }),
    control: (at) => at.prove(boundTo(at, "strict"), { url: at.urlOf("strict") }),
  },
  wrongBinding("an unknown member beside the key", (jkt) => ({ jkt, "x5t#S256": "x" })),
  wrongBinding("a certificate instead of the key", () => ({ "x5t#S256": "x" })),
  wrongBinding("an empty binding", () => ({})),
  wrongBinding("a binding of null", () => null),
  wrongBinding("a binding as text", (jkt) => jkt),
  wrongBinding("a thumbprint as a list", (jkt) => ({ jkt: [jkt] })),
  wrongBinding("a thumbprint with padding", (jkt) => ({ jkt: `${jkt}=` })),
  {
    rule: "R10",
    name: "no proof",
    refused: PROOF_INVALID,
    hostile: (at) => withHeaders(at.prove(at.boundToken()), { dpop: undefined }),
    control: (at) => at.prove(at.boundToken()),
  },
  {
    rule: "R10",
    name: "two proofs",
    refused: PROOF_INVALID,
    hostile: (at) => {
      const token = at.boundToken();
      const request = at.prove(token);
      return withHeaders(request, {
        dpop: [String(request.headers.dpop), String(at.prove(token).headers.dpop)],
      });
    },
    control: (at) => {
      const request = at.prove(at.boundToken());
      return withHeaders(request, { dpop: [String(request.headers.dpop)] });
    },
  },
  {
    rule: "R10",
    name: "two Authorization headers, one of each scheme",
    refused: MALFORMED,
    hostile: (at) => {
      const token = at.boundToken();
      return withHeaders(at.prove(token), { authorization: [`DPoP ${token}`, `Bearer ${token}`] });
    },
    control: (at) => at.prove(at.boundToken()),
  },
  {
    rule: "R10",
    name: "a proof that was used",
    refused: PROOF_INVALID,
    hostile: async (at) => {
      const request = at.prove(at.boundToken());
      const { status } = await send(request.url, request);
      if (status !== 200) throw new TypeError(`The first use was answered with ${status}.`);
      return request;
    },
    control: (at) => at.prove(at.boundToken()),
  },
  wrongProof("a proof by another key", (at) => ({ by: at.otherClient })),
  wrongProof("a proof for another tenant's URL", (at) => ({ htu: at.urlOf("acme") })),
  wrongProof("a proof for the URL by another name", (at) => ({
    htu: at.urlOf("bound").replace("127.0.0.1", "localhost"),
  })),
  wrongProof("a proof for another method", () => ({ recipe: { claims: { htm: "GET" } } })),
  wrongProof("a proof for another token", () => ({ recipe: { claims: { ath: "A".repeat(43) } } })),
  wrongProof(
    "a proof that is too old",
    (at) => ({ recipe: { claims: { iat: at.now - 61 } } }),
    (at) => ({ recipe: { claims: { iat: at.now - 60 } } }),
  ),
  wrongProof(
    "a proof of the future",
    (at) => ({ recipe: { claims: { iat: at.now + 31 } } }),
    (at) => ({ recipe: { claims: { iat: at.now + 30 } } }),
  ),
  wrongProof("a proof without an id", () => ({ recipe: { without: ["jti"] } })),
  wrongProof("a proof of another type", () => ({ recipe: { header: { typ: "JWT" } } })),
  {
    rule: "R10",
    name: "an access token as its own proof",
    refused: PROOF_INVALID,
    hostile: (at) => {
      const token = at.boundToken();
      return withHeaders(at.prove(token), { dpop: token });
    },
    control: (at) => at.prove(at.boundToken()),
  },
  {
    rule: "R10",
    name: "a proof as the access token",
    refused: TOKEN_INVALID,
    // With all claims of a bound token, signed by its issuer: nothing is wrong but what it is.
    hostile: (at) => {
      const claims = { ...at.claims("bound"), cnf: { jkt: thumbprintOf(at.client.publicKey) } };
      const recipe = { claims, header: { kid: "k1" }, sign: es256(at.keys.first.privateKey) };
      return at.prove(String(at.prove(at.boundToken(), { recipe }).headers.dpop));
    },
    control: (at) => at.prove(at.boundToken()),
  },
  // Keys for machines
  key("an API key that has expired", (at) => ({ key: at.apiKeys.expired })),
  key(
    "an API key of another tenant",
    (at) => ({ key: at.apiKeys.ofStrict }),
    (at) => ({ key: at.apiKeys.ofStrict, tenant: "strict" }),
  ),
  key("an API key of a tenant that has turned them off", (at) => ({
    key: at.apiKeys.switchedOff,
    tenant: "globex",
  })),
  key(
    "an API key of a tenant that has turned them off, on the shared URL",
    (at) => ({ key: at.apiKeys.switchedOff, shared: true }),
    (at) => ({ key: at.apiKeys.good, shared: true }),
  ),
  key("an API key with the secret of another", (at) => ({
    key: at.apiKeys.good.slice(0, 30) + at.apiKeys.fresh.slice(30),
  })),
  key("an API key with another letter at its end", (at) => ({
    key: at.apiKeys.good.slice(0, -1) + (at.apiKeys.good.endsWith("A") ? "Q" : "A"),
  })),
  key("an API key without its secret", (at) => ({ key: at.apiKeys.good.slice(0, 29) })),
  key("an API key with more after it", (at) => ({ key: `${at.apiKeys.good}A` })),
  key("an API key in upper case", (at) => ({ key: at.apiKeys.good.toUpperCase() })),
  key("an API key with its prefix in upper case", (at) => ({ key: at.apiKeys.good.replace("bk_", "BK_") })),
  {
    rule: "R11",
    name: "an API key under the scheme DPoP",
    refused: TOKEN_INVALID,
    hostile: (at) => at.ask(at.apiKeys.good, { headers: { authorization: `DPoP ${at.apiKeys.good}` } }),
    control: (at) => at.ask(at.apiKeys.good),
  },
];
