import { decodeJwt, decodeProtectedHeader } from "jose";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import { createKeySets } from "../../../src/identity/key-sets.ts";
import { createTokenVerifier } from "../../../src/identity/token-verifier.ts";
import { locationOf, openBrowser } from "../../support/oauth-browser.ts";
import {
  ACME,
  ada,
  authorize,
  begin,
  bob,
  exchange,
  GLOBEX,
  globexAda,
  json,
  nobody,
  pkce,
  REDIRECT,
  register,
  signIn,
  trustedOf,
} from "./running-authorization-server.ts";
import { useAuthorizationServer } from "./use-authorization-server.ts";

const server = useAuthorizationServer();

const keySets = createKeySets({ clock: systemClock, allowLoopbackHttp: true, allowPrivateAddresses: false });
const verifier = createTokenVerifier({ clock: systemClock, keySets, cacheSize: 100 });

test("a code gives a token that the verifier accepts for the tenant, and for nothing else", async () => {
  const { acme, token: globex } = server().issuers;
  const { resource } = acme;
  const { clientId, tokens } = await signIn(acme, ada, {
    resource,
    scope: "tickets:read tickets:write tickets:delete",
  });
  const token = String(tokens.access_token);
  expect(tokens).toMatchObject({
    token_type: "Bearer",
    expires_in: 300,
    scope: "tickets:read tickets:write",
  });
  expect(decodeProtectedHeader(token)).toEqual({ alg: "ES256", typ: "at+jwt", kid: acme.signingKey.kid });
  const { iat = 0, exp, jti } = decodeJwt(token);
  expect({ lifetime: (exp ?? 0) - iat, jti }).toEqual({ lifetime: 300, jti: expect.any(String) });
  expect(decodeJwt(token)).toMatchObject({
    iss: acme.issuer,
    sub: "ada",
    aud: resource,
    client_id: clientId,
    tenant_id: ACME,
  });

  const trusted = trustedOf(acme, ACME);
  expect(await verifier.verify(token, { resource, candidates: [trusted] })).toMatchObject({
    kind: "verified",
    subject: "ada",
    clientId,
    tenantClaim: ACME,
    permissions: new Set(["tickets:read", "tickets:write"]),
  });
  for (const other of [`${server().baseUrl}/mcp`, globex.resource]) {
    expect(await verifier.verify(token, { resource: other, candidates: [trusted] })).toMatchObject({
      code: "token_invalid",
    });
  }
  const posing = { ...trustedOf(globex, GLOBEX), issuer: acme.issuer };
  expect(
    await verifier.verify(token, { resource, candidates: [{ ...posing, tenantValue: ACME }] }),
  ).toMatchObject({ code: "token_invalid" });
});

test("the answer names the issuer and repeats the state", async () => {
  const clientId = String((await register(server().issuers.acme)).client_id);
  const { callback } = await authorize(server().issuers.acme, clientId, ada);
  expect(callback.origin + callback.pathname).toBe(REDIRECT);
  expect(callback.searchParams.get("iss")).toBe(server().issuers.acme.issuer);
  expect(callback.searchParams.get("state")).toBe("s1");
});

test("without a resource and a scope the token is for the tenant and carries what the user may do", async () => {
  const { tokens } = await signIn(server().issuers.acme, bob);
  expect(decodeJwt(String(tokens.access_token))).toMatchObject({
    aud: server().issuers.acme.resource,
    scope: "tickets:read",
    tenant_id: ACME,
  });
});

test("openid is no way to an opaque token", async () => {
  const { acme } = server().issuers;
  const { tokens } = await signIn(acme, ada, { scope: "openid tickets:read" });
  expect(decodeJwt(String(tokens.access_token))).toMatchObject({ aud: acme.resource, scope: "tickets:read" });
  expect(decodeJwt(String(tokens.id_token))).toMatchObject({ sub: "ada" });
  const trusted = { ...trustedOf(acme, ACME), tokenType: "JWT" };
  const result = await verifier.verify(String(tokens.id_token), {
    resource: acme.resource,
    candidates: [trusted],
  });
  expect(result).toMatchObject({ code: "token_invalid" });
});

test("every authorization asks anew who it is for", async () => {
  const clientId = String((await register(server().issuers.acme)).client_id);
  const open = openBrowser();
  for (const user of [ada, bob, ada]) {
    const given = await authorize(server().issuers.acme, clientId, user, { open });
    const tokens = await json(await exchange(server().issuers.acme, clientId, given));
    expect(decodeJwt(String(tokens.access_token)).sub).toBe(user.subject);
  }
});

test("an issuer named like a path of its own works as any other", async () => {
  const { token: issuer } = server().issuers;
  const { tokens } = await signIn(issuer, globexAda, { scope: "admin" });
  expect(decodeJwt(String(tokens.access_token))).toMatchObject({
    iss: issuer.issuer,
    aud: issuer.resource,
    scope: "admin",
  });
});

test("the broker's token is for the tenant of the chosen user", async () => {
  const { shared } = server().issuers;
  for (const [user, tenant] of [
    [ada, ACME],
    [globexAda, GLOBEX],
  ] as const) {
    const { tokens } = await signIn(shared, user, { resource: shared.resource });
    const result = await verifier.verify(String(tokens.access_token), {
      resource: shared.resource,
      candidates: [trustedOf(shared, null)],
      tenantOf: "claim",
    });
    expect(result).toMatchObject({ kind: "verified", subject: "ada", tenantClaim: tenant });
  }
});

test("a client that asks to be asked for consent is served: choosing a user is the consent", async () => {
  const { tokens } = await signIn(server().issuers.acme, ada, {
    scope: "tickets:read offline_access",
    prompt: "consent",
  });
  expect(tokens).toMatchObject({
    refresh_token: expect.any(String),
    scope: expect.stringContaining("tickets:read"),
  });
});

describe("refused", () => {
  test.each([
    ["another tenant's resource", () => ({ resource: server().issuers.token.resource }), "invalid_target"],
    ["the shared resource", () => ({ resource: `${server().baseUrl}/mcp` }), "invalid_target"],
    [
      "a resource with a trailing slash",
      () => ({ resource: `${server().issuers.acme.resource}/` }),
      "invalid_target",
    ],
    ["no PKCE", () => ({ code_challenge: undefined, code_challenge_method: undefined }), "invalid_request"],
    ["plain PKCE", () => ({ code_challenge_method: "plain" }), "invalid_request"],
    ["an implicit token", () => ({ response_type: "token" }), "unsupported_response_type"],
  ] as const)("%s", async (_name, params, error) => {
    const { started } = await begin(server().issuers.acme, params());
    const answer = locationOf(started);
    const answered = new URLSearchParams(answer.search || answer.hash.slice(1));
    expect(answered.get("error")).toBe(error);
    expect(answered.get("iss")).toBe(server().issuers.acme.issuer);
  });

  test("a wrong verifier, a code used twice and another client's code", async () => {
    const { acme, token: globex } = server().issuers;
    const clientId = String((await register(acme)).client_id);
    const otherClient = String((await register(acme)).client_id);
    const once = await authorize(acme, clientId, ada);
    const wrong = { ...once, verifierText: pkce().verifierText };
    expect(await json(await exchange(acme, clientId, wrong))).toMatchObject({ error: "invalid_grant" });
    expect(await json(await exchange(acme, otherClient, once))).toMatchObject({ error: "invalid_grant" });
    expect(await json(await exchange(globex, clientId, once))).toMatchObject({ error: "invalid_client" });
    expect((await exchange(acme, clientId, once)).status).toBe(200);
    expect(await json(await exchange(acme, clientId, once))).toMatchObject({ error: "invalid_grant" });
  });

  test("a code used many times at once, but for one", async () => {
    const { acme } = server().issuers;
    const clientId = String((await register(acme)).client_id);
    const once = await authorize(acme, clientId, ada);
    const answers = await Promise.all(Array.from({ length: 6 }, () => exchange(acme, clientId, once)));
    expect(answers.filter((answer) => answer.status === 200).length).toBeLessThanOrEqual(1);
    expect(answers.every((answer) => answer.status === 200 || answer.status === 400)).toBe(true);
  });

  test("a user who may do nothing of what is asked", async () => {
    const clientId = String((await register(server().issuers.acme)).client_id);
    const { callback } = await authorize(server().issuers.acme, clientId, nobody, {
      params: { scope: "tickets:read" },
    });
    expect(callback.searchParams.get("error")).toBe("access_denied");
  });

  test("a redirect address that was not registered is not redirected to", async () => {
    const { started } = await begin(server().issuers.acme, { redirect_uri: "https://evil.example/" });
    expect(started.status).toBe(400);
    expect(started.headers.get("location")).toBeNull();
  });
});
