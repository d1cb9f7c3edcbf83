import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { TenantId } from "../../src/core/ids.ts";
import { isRefusal } from "../../src/core/refusal.ts";
import { createGuardedFetch } from "../../src/identity/guarded-fetch.ts";
import { createIntrospector } from "../../src/identity/introspection.ts";
import type { Introspector, VerifiedToken } from "../../src/identity/verified-token.ts";
import type { TrustedIssuer } from "../../src/tenancy/tenant-snapshot.ts";
import { createFakeClock, type FakeClock } from "./fake-clock.ts";
import { type FakeIssuer, registration, startFakeIssuer } from "./fake-issuer.ts";
import { INTROSPECTION_CLIENT, type OpaqueIssuer, startOpaqueIssuer } from "./opaque-issuer.ts";

const RESOURCE = "https://mcp.example.com/t/acme/mcp";
const ACME = "tnt_00000000000000000000000acm" as TenantId;
const GLOBEX = "tnt_0000000000000000000000glbx" as TenantId;
const TOKEN = "opaque-Token_1234567890";

let clock: FakeClock;

function introspector(timeoutMs = 3000): Introspector {
  return createIntrospector({
    clock,
    fetch: createGuardedFetch({ allowLoopbackHttp: true, allowPrivateAddresses: false, timeoutMs }),
    openSecret: ({ introspection }) =>
      introspection?.sealedSecret === "unreadable" ? null : INTROSPECTION_CLIENT.secret,
  });
}

const purpose = (
  trusted: TrustedIssuer,
  changes: Partial<Parameters<Introspector["introspect"]>[1]> = {},
) => ({
  registration: trusted,
  tenantId: ACME,
  audience: RESOURCE,
  tenantOf: "issuer" as const,
  address: "192.0.2.1",
  nowMs: clock.now(),
  ...changes,
});

describe("with a real authorization server", () => {
  let idp: OpaqueIssuer;
  let trusted: TrustedIssuer;

  beforeAll(async () => {
    idp = await startOpaqueIssuer();
    const base = await startFakeIssuer();
    await base.close();
    trusted = registration(base, {
      issuer: idp.issuer,
      jwksUri: null,
      introspection: {
        endpoint: idp.introspectionEndpoint,
        clientId: INTROSPECTION_CLIENT.clientId,
        sealedSecret: "sealed",
      },
    });
  });
  afterAll(() => idp.close());
  beforeEach(() => {
    clock = createFakeClock(Date.now());
  });

  const claims = { sub: "robot", tenant_id: "tnt_acme" };

  test("an opaque token is accepted with what its issuer says about it", async () => {
    const token = await idp.issue(claims, RESOURCE);
    expect(token).not.toContain(".");
    const verified = await introspector().introspect(token, purpose(trusted));
    expect(verified).toMatchObject({
      kind: "verified",
      subject: "robot",
      clientId: "machine",
      permissions: new Set(["tickets:read"]),
      tenantClaim: "tnt_acme",
      signingKeyId: null,
      boundTo: null,
    });
    expect(JSON.stringify(verified)).not.toContain(token);
    expect((verified as VerifiedToken).issuedAt).toBeGreaterThan(Date.now() - 60_000);
  });

  test("an answer counts for 30 seconds, and a token revoked at its issuer no longer than that", async () => {
    const asker = introspector();
    const token = await idp.issue(claims, RESOURCE);
    const before = idp.questions();
    const first = await asker.introspect(token, purpose(trusted));
    await idp.revoke(token);
    clock.advance(29_999);
    expect(asker.introspect(token, purpose(trusted))).toBe(first);
    expect(idp.questions()).toBe(before + 1);
    clock.advance(1);
    expect(await asker.introspect(token, purpose(trusted))).toMatchObject({ code: "token_invalid" });
    expect(idp.questions()).toBe(before + 2);
  });

  test("a token of another resource, another tenant, or nobody is refused", async () => {
    const elsewhere = await idp.issue(claims, "https://mcp.example.com/t/globex/mcp");
    const globex = await idp.issue({ ...claims, tenant_id: "tnt_globex" }, RESOURCE);
    const nobody = await idp.issue({ tenant_id: "tnt_acme" }, RESOURCE);
    for (const token of [elsewhere, globex, nobody, "invented"]) {
      expect(await introspector().introspect(token, purpose(trusted))).toMatchObject({
        code: "token_invalid",
      });
    }
  });

  test("what the issuer said for one tenant counts for no other, nor for another resource", async () => {
    const asker = introspector();
    const token = await idp.issue(claims, RESOURCE);
    await asker.introspect(token, purpose(trusted));
    const before = idp.questions();
    await asker.introspect(token, purpose(trusted, { tenantId: GLOBEX }));
    expect(idp.questions()).toBe(before + 1);
    expect(
      await asker.introspect(token, purpose(trusted, { audience: "https://mcp.example.com/mcp" })),
    ).toMatchObject({
      code: "token_invalid",
    });
    expect(await asker.introspect(token, purpose({ ...trusted, tenantValue: "tnt_other" }))).toMatchObject({
      code: "token_invalid",
    });
  });

  test("a client secret that the issuer does not take makes introspection unavailable, not the token invalid", async () => {
    const token = await idp.issue(claims, RESOURCE);
    const introspection = {
      endpoint: idp.introspectionEndpoint,
      clientId: "somebody",
      sealedSecret: "sealed",
    };
    const refusal = await introspector().introspect(token, purpose({ ...trusted, introspection }));
    expect(refusal).toMatchObject({
      code: "introspection_unavailable",
      cause: expect.stringContaining("401"),
    });
  });
});

describe("with hostile answers", () => {
  let endpoint: FakeIssuer;
  let trusted: TrustedIssuer;

  beforeEach(async () => {
    clock = createFakeClock();
    endpoint = await startFakeIssuer();
    trusted = opaque(endpoint);
    return () => endpoint.close();
  });

  const now = () => Math.floor(clock.now() / 1000);
  const good = () => ({
    active: true,
    sub: "ada",
    aud: RESOURCE,
    exp: now() + 300,
    iat: now(),
    tenant_id: "tnt_acme",
    scope: "tickets:read",
    client_id: "c1",
    token_type: "Bearer",
  });
  function opaque(issuer: FakeIssuer, changes: Partial<TrustedIssuer> = {}): TrustedIssuer {
    return registration(issuer, {
      jwksUri: null,
      introspection: {
        endpoint: `${issuer.origin}/introspect`,
        clientId: "bulkhead",
        sealedSecret: "sealed",
      },
      ...changes,
    });
  }
  const answer = (body: unknown) => {
    endpoint.answer = (_req, res) => res.end(typeof body === "string" ? body : JSON.stringify(body));
  };
  const ask = () => introspector().introspect(TOKEN, purpose(trusted));

  test.each([
    ["as it should be", {}],
    ["without iat", { iat: undefined }],
    ["with the issuer's name", { iss: "$issuer" }],
    ["with the audience in a list", { aud: [RESOURCE] }],
    ["without token_type", { token_type: undefined }],
    ["token_type in another case", { token_type: "bearer" }],
    ["as Keycloak answers", { typ: "Bearer" }],
  ])("accepted: %s", async (_name, changes) => {
    const body: Record<string, unknown> = { ...good(), ...changes };
    if (body.iss === "$issuer") body.iss = trusted.issuer;
    answer(body);
    expect(await ask()).toMatchObject({ kind: "verified", subject: "ada" });
  });

  test.each([
    ["not active", { active: false }],
    ["active as a text", { active: "true" }],
    ["active as a number", { active: 1 }],
    ["active missing", { active: undefined }],
    ["no audience", { aud: undefined }],
    ["another audience", { aud: "https://mcp.example.com/t/globex/mcp" }],
    ["two audiences", { aud: [RESOURCE, "https://mcp.example.com/t/globex/mcp"] }],
    ["the same audience twice", { aud: [RESOURCE, RESOURCE] }],
    ["audience with a slash", { aud: `${RESOURCE}/` }],
    ["another issuer", { iss: "https://elsewhere.example" }],
    ["issuer null", { iss: null }],
    ["another tenant", { tenant_id: "tnt_globex" }],
    ["no tenant", { tenant_id: undefined }],
    ["a list of tenants", { tenant_id: ["tnt_acme"] }],
    ["expired", { exp: 1_799_999_900 }],
    ["no exp", { exp: undefined }],
    ["exp as a text", { exp: "1900000000" }],
    ["iat in the future", { iat: 1_800_000_100 }],
    ["iat as a text", { iat: "1800000000" }],
    ["not yet valid", { nbf: 1_800_000_100 }],
    ["a life of two hours", { exp: 1_800_007_200 }],
    ["a life of two hours, iat untold", { iat: undefined, exp: 1_800_007_200 }],
    ["no subject", { sub: undefined }],
    ["subject empty", { sub: "" }],
    ["bound to a certificate", { cnf: { "x5t#S256": "A".repeat(43) } }],
    ["an ID token", { typ: "ID" }],
    ["a refresh token, as Keycloak says it", { typ: "Refresh" }],
    ["a refresh token, as others say it", { token_type: "refresh_token" }],
    ["token_type is no text", { token_type: ["Bearer"] }],
    ["an ID token, as Cognito says it", { token_use: "id" }],
    ["DPoP without a key", { token_type: "DPoP" }],
    ["scope is no text", { scope: { 0: "admin" } }],
  ])("token_invalid: %s", async (_name, changes) => {
    answer({ ...good(), ...changes });
    const refusal = await ask();
    expect(refusal).toMatchObject({ code: "token_invalid" });
    expect(JSON.stringify(refusal)).not.toContain(TOKEN);
    expect(endpoint.requests()).toBe(1);
  });

  test.each([
    ["not JSON", "<html>", "not JSON"],
    ["a list", "[]", "not a JSON object"],
    ["a member twice", '{"active":false,"active":true}', "a member twice"],
    ["empty", "", "not JSON"],
    ["over 256 KB", `{"active":true,"x":"${"x".repeat(262_144)}"}`, "256 KB"],
  ])("introspection_unavailable: %s", async (_name, body, cause) => {
    answer(body);
    expect(await ask()).toMatchObject({
      code: "introspection_unavailable",
      retryAfterMs: 1000,
      cause: expect.stringContaining(cause),
    });
  });

  test.each([
    ["a redirect", (_req, res) => res.writeHead(307, { location: "/elsewhere" }).end(), "307"],
    ["a failure", (_req, res) => res.writeHead(500).end(), "500"],
    ["our client is refused", (_req, res) => res.writeHead(401).end('{"active":true}'), "401"],
    ["nothing for too long", () => {}, "no whole answer"],
    ["a hang-up", (req) => req.socket.destroy(), "hang up"],
  ] satisfies [string, FakeIssuer["answer"], string][])(
    "introspection_unavailable: %s",
    async (_name, reply, cause) => {
      endpoint.answer = reply;
      const refusal = await introspector(300).introspect(TOKEN, purpose(trusted));
      expect(refusal).toMatchObject({
        code: "introspection_unavailable",
        cause: expect.stringContaining(cause),
      });
      const text = JSON.stringify(refusal);
      expect(text).not.toContain(TOKEN);
      expect(text).not.toContain(INTROSPECTION_CLIENT.secret);
      expect(endpoint.requests()).toBe(1);
    },
  );

  test("without a readable client secret nothing is sent", async () => {
    const introspection = {
      endpoint: `${endpoint.origin}/introspect`,
      clientId: "b",
      sealedSecret: "unreadable",
    };
    expect(await introspector().introspect(TOKEN, purpose({ ...trusted, introspection }))).toMatchObject({
      code: "introspection_unavailable",
    });
    expect(
      await introspector().introspect(TOKEN, purpose({ ...trusted, introspection: null })),
    ).toMatchObject({ code: "token_invalid" });
    expect(endpoint.requests()).toBe(0);
  });

  test("a private endpoint is not asked", async () => {
    const introspection = { endpoint: "https://10.0.0.1/introspect", clientId: "b", sealedSecret: "sealed" };
    expect(await introspector().introspect(TOKEN, purpose({ ...trusted, introspection }))).toMatchObject({
      code: "introspection_unavailable",
      cause: expect.stringContaining("not public"),
    });
  });

  test("a bound token tells the key that must prove its possession", async () => {
    const jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    answer({ ...good(), token_type: "DPoP", cnf: { jkt } });
    expect(await ask()).toMatchObject({ boundTo: jkt });
  });

  test("a token of unknown age counts as issued before everything, and lives no longer than it may", async () => {
    answer({ ...good(), iat: undefined });
    expect(await ask()).toMatchObject({ issuedAt: 0 });
  });

  test("a broker's answer names the tenant, which the caller looks up", async () => {
    trusted = opaque(endpoint, { broker: true, tenantValue: null });
    answer({ ...good(), tenant_id: "tnt_globex" });
    const verified = await introspector().introspect(
      TOKEN,
      purpose(trusted, { tenantOf: "claim", tenantId: null }),
    );
    expect(verified).toMatchObject({ kind: "verified", tenantClaim: "tnt_globex" });
  });

  test("an answer is kept no longer than the token lives", async () => {
    const asker = introspector();
    answer({ ...good(), exp: now() + 10 });
    await asker.introspect(TOKEN, purpose(trusted));
    clock.advance(9_999);
    await asker.introspect(TOKEN, purpose(trusted));
    expect(endpoint.requests()).toBe(1);
    clock.advance(1);
    await asker.introspect(TOKEN, purpose(trusted));
    expect(endpoint.requests()).toBe(2);
  });

  test("an answer is recalled without a question; where there is none nobody is asked", async () => {
    const asker = introspector();
    answer(good());
    expect(asker.recall(TOKEN, purpose(trusted))).toBeNull();
    const verified = await asker.introspect(TOKEN, purpose(trusted));
    expect(asker.recall(TOKEN, purpose(trusted))).toBe(verified);
    expect(asker.recall(TOKEN, purpose(trusted, { tenantId: GLOBEX }))).toBeNull();
    clock.advance(30_000);
    expect(asker.recall(TOKEN, purpose(trusted))).toBeNull();
    expect(endpoint.requests()).toBe(1);
  });

  test("a changed registration is asked anew", async () => {
    const asker = introspector();
    answer(good());
    await asker.introspect(TOKEN, purpose(trusted));
    await asker.introspect(TOKEN, purpose({ ...trusted }));
    expect(endpoint.requests()).toBe(1);
    await asker.introspect(TOKEN, purpose({ ...trusted, maxLifetimeSeconds: 600 }));
    expect(endpoint.requests()).toBe(2);
  });

  test("many requests with one token ask once; a refusal is not kept", async () => {
    const asker = introspector();
    answer({ active: false });
    const refused = await Promise.all(
      Array.from({ length: 50 }, () => asker.introspect(TOKEN, purpose(trusted))),
    );
    expect(refused.every(isRefusal)).toBe(true);
    expect(endpoint.requests()).toBe(1);
    answer(good());
    expect(await asker.introspect(TOKEN, purpose(trusted))).toMatchObject({ kind: "verified" });
  });

  /** Keeps every question, until it is replied to. */
  function hold(): { readonly asked: () => number; reply(): void } {
    let waiting: (() => void)[] = [];
    endpoint.answer = (_req, res) => void waiting.push(() => res.end(JSON.stringify(good())));
    return {
      asked: () => waiting.length,
      reply() {
        const replies = waiting;
        waiting = [];
        for (const reply of replies) reply();
      },
    };
  }
  const FULL = { code: "introspection_unavailable", retryAfterMs: 1000 };
  const TOO_MANY = { code: "rate_limited", retryAfterMs: 1000, data: { limit: "introspections" } };

  test("at most 20 questions to one registration are under way, and others are not held up by them", async () => {
    const asker = introspector();
    const held = hold();
    const asked = Array.from({ length: 20 }, (_, i) =>
      asker.introspect(`${TOKEN}${i}`, purpose(trusted, { address: `192.0.2.${i}` })),
    );
    await expect.poll(held.asked).toBe(20);
    const last = purpose(trusted, { address: "192.0.2.20" });
    expect(asker.introspect(`${TOKEN}20`, last)).toMatchObject(FULL);
    // One whose answer is on its way already is not another question.
    const joined = asker.introspect(`${TOKEN}0`, last);
    const other = await startFakeIssuer();
    other.answer = (_req, res) => res.end(JSON.stringify(good()));
    expect(await asker.introspect(TOKEN, purpose(opaque(other)))).toMatchObject({ kind: "verified" });
    await other.close();
    held.reply();
    for (const verified of await Promise.all([...asked, joined]))
      expect(verified).toMatchObject({ kind: "verified" });
    endpoint.answer = (_req, res) => res.end(JSON.stringify(good()));
    expect(await asker.introspect(`${TOKEN}20`, last)).toMatchObject({ kind: "verified" });
  });

  test("one address has at most half of the questions, and four where others have the rest", async () => {
    const asker = introspector();
    const held = hold();
    let tokens = 0;
    const asked: unknown[] = [];
    /** How many of so many tokens from an address are asked about. */
    const from = (address: string, count: number): (object | null)[] =>
      Array.from({ length: count }, () => {
        const answer = asker.introspect(`${TOKEN}${tokens++}`, purpose(trusted, { address }));
        if (!(answer instanceof Promise)) return answer;
        asked.push(answer);
        return null;
      });
    const taken = (address: string) => {
      const answers = from(address, 21);
      const refused = answers.filter((answer) => answer !== null);
      for (const refusal of refused) expect(refusal).toMatchObject(TOO_MANY);
      return answers.length - refused.length;
    };
    expect([taken("192.0.2.1"), taken("192.0.2.2"), taken("192.0.2.3")]).toEqual([10, 4, 4]);
    expect(from("192.0.2.4", 3)).toEqual([null, null, expect.objectContaining(FULL)]);
    // What is refused because others have the places is not its own doing.
    expect(from("192.0.2.5", 1)).toEqual([expect.objectContaining(FULL)]);
    expect(from("192.0.2.1", 1)).toEqual([expect.objectContaining(TOO_MANY)]);
    await expect.poll(held.asked).toBe(20);
    held.reply();
    for (const verified of await Promise.all(asked)) expect(verified).toMatchObject({ kind: "verified" });
    // All places are free again.
    asked.length = 0;
    expect(taken("192.0.2.1")).toBe(10);
    await expect.poll(held.asked).toBe(10);
    held.reply();
    await Promise.all(asked);
  });
});
