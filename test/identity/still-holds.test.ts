import { afterEach, beforeEach, expect, test } from "vitest";
import type { ApiKeyId } from "../../src/core/ids.ts";
import { isRefusal } from "../../src/core/refusal.ts";
import type { Caller } from "../../src/identity/caller.ts";
import { NO_REVOCATIONS, type Revocations } from "../../src/tenancy/revocations.ts";
import { type ApiKey, subjectKey, type TenantSnapshot } from "../../src/tenancy/tenant-snapshot.ts";
import { type AuthenticatorSetting, BOUND, startAuthenticator } from "./authenticator-setting.ts";
import { NOW } from "./token-recipe.ts";

let at: AuthenticatorSetting;
beforeEach(async () => {
  at = await startAuthenticator();
});
afterEach(() => at.close());

async function callerWith(slug: string | null, headers: readonly string[]): Promise<Caller> {
  const caller = await at.enter(slug, headers);
  if (isRefusal(caller)) throw new Error(`refused: ${caller.code}, ${String(caller.cause)}`);
  return caller;
}
const tokenCaller = () => callerWith("acme", at.bearer(at.token()));
const keyed = (...keys: ApiKey[]) => ({
  apiKeys: new Map<ApiKeyId, ApiKey>(keys.map((key) => [key.id, key])),
});
const revoking = (changes: Partial<Revocations>) => ({ revocations: { ...NO_REVOCATIONS, ...changes } });
/** Whether the caller's credential holds once acme's configuration is changed so. */
const holds = (caller: Caller, change: Partial<TenantSnapshot>) =>
  at.authenticator.stillHolds({ ...at.tenant("acme"), ...change }, caller);

test("a token holds under any newer configuration that says nothing against it", async () => {
  const caller = await tokenCaller();
  expect(holds(caller, {})).toBe(true);
  expect(holds(caller, { name: "Acme Inc.", roles: { a: ["b"] }, scopes: ["x"], version: 99 })).toBe(true);
  expect(holds(caller, { issuers: [{ ...at.issuers.globex }, structuredClone(at.issuers.acme)] })).toBe(true);
  expect(holds(caller, { dpop: "allow" })).toBe(true);
});

test("a token ends with its tenant: suspended, or another one", async () => {
  const caller = await tokenCaller();
  expect(holds(caller, { status: "suspended" })).toBe(false);
  const globex = { ...at.tenant("globex"), issuers: at.tenant("acme").issuers };
  expect(at.authenticator.stillHolds(globex, caller)).toBe(false);
});

test("a token ends with its registration: gone, or changed in any respect", async () => {
  const caller = await tokenCaller();
  const { acme } = at.issuers;
  expect(holds(caller, { issuers: [] })).toBe(false);
  for (const change of [
    { jwksUri: "https://elsewhere.example/jwks" },
    { audience: "api://acme" },
    { tenantValue: "tnt_other" },
    { tenantClaim: "org_id" },
    { algorithms: ["RS256"] },
    { scopeClaims: ["scp"] },
    { maxLifetimeSeconds: 60 },
    { otherAudiences: ["x"] },
  ]) {
    expect(holds(caller, { issuers: [{ ...acme, ...change }] })).toBe(false);
  }
  const another = { ...acme, id: at.issuers.globex.id };
  expect(holds(caller, { issuers: [another] })).toBe(false);
});

test("a broker's token ends when the tenant is mapped to another value, or not at all", async () => {
  const caller = await callerWith(null, at.bearer(at.brokered("acme-org")));
  const { broker } = at.issuers;
  expect(holds(caller, { issuers: [{ ...broker, tenantValue: "acme-org" }] })).toBe(true);
  expect(holds(caller, { issuers: [{ ...broker, tenantValue: "other-org" }] })).toBe(false);
  expect(holds(caller, { issuers: [at.issuers.acme] })).toBe(false);
});

test("a token ends when it, its key, its subject or everything of the tenant is revoked", async () => {
  const caller = await tokenCaller();
  const { issuer } = at.issuers.acme;
  expect(holds(caller, revoking({ tokens: new Set([subjectKey(issuer, "j1")]) }))).toBe(false);
  expect(holds(caller, revoking({ signingKeys: new Set([subjectKey(issuer, "k1")]) }))).toBe(false);
  const since = (moment: number) => revoking({ subjects: new Map([[subjectKey(issuer, "ada"), moment]]) });
  expect(holds(caller, since(NOW * 1000))).toBe(false);
  expect(holds(caller, since(NOW * 1000 - 1))).toBe(true);
  expect(holds(caller, revoking({ notBefore: NOW * 1000 + 500 }))).toBe(false);
  expect(holds(caller, revoking({ notBefore: NOW * 1000 - 500 }))).toBe(true);
});

test("a token ends with its expiry, without the skew of clocks that a new request may have", async () => {
  const caller = await tokenCaller();
  at.clock.advance(299_999);
  expect(holds(caller, {})).toBe(true);
  at.clock.advance(1);
  expect(holds(caller, {})).toBe(false);
});

test("a bound token ends where none are taken any more, an unbound one where only those are", async () => {
  const unbound = await tokenCaller();
  await at.change("acme", { dpop: "allow" });
  const bound = await callerWith("acme", at.proved(at.token({ claims: BOUND })));
  expect([holds(unbound, { dpop: "off" }), holds(bound, { dpop: "off" })]).toEqual([true, false]);
  expect([holds(unbound, { dpop: "allow" }), holds(bound, { dpop: "allow" })]).toEqual([true, true]);
  expect([holds(unbound, { dpop: "require" }), holds(bound, { dpop: "require" })]).toEqual([false, true]);
});

test("an API key ends when it is deleted, turned off, revoked, or expires, and with its tenant", async () => {
  const { key, text } = at.apiKey();
  await at.change("acme", keyed(key));
  const caller = await callerWith("acme", at.bearer(text));
  expect(holds(caller, {})).toBe(true);
  expect(holds(caller, { issuers: [], dpop: "require" })).toBe(true);
  expect(holds(caller, keyed())).toBe(false);
  expect(holds(caller, keyed(at.apiKey().key))).toBe(false);
  expect(holds(caller, revoking({ notBefore: key.createdAt }))).toBe(false);
  expect(holds(caller, revoking({ notBefore: key.createdAt - 1 }))).toBe(true);
  expect(holds(caller, { status: "suspended" })).toBe(false);
  expect(at.authenticator.stillHolds({ ...at.tenant("globex"), ...keyed(key) }, caller)).toBe(false);
  at.clock.advance(key.expiresAt - at.clock.now() - 1);
  expect(holds(caller, {})).toBe(true);
  at.clock.advance(1);
  expect(holds(caller, {})).toBe(false);
});
