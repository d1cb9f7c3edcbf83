import { afterEach, beforeEach, expect, test } from "vitest";
import { isRefusal } from "../../src/core/refusal.ts";
import type { ApiKey } from "../../src/tenancy/tenant-snapshot.ts";
import { type AuthenticatorSetting, startAuthenticator } from "./authenticator-setting.ts";

let at: AuthenticatorSetting;
beforeEach(async () => {
  at = await startAuthenticator();
});
afterEach(() => at.close());

const keysOf = (...keys: ApiKey[]) => ({ apiKeys: new Map(keys.map((key) => [key.id, key])) });
async function outcome(answer: ReturnType<AuthenticatorSetting["enter"]>): Promise<string> {
  const caller = await answer;
  return isRefusal(caller) ? caller.code : caller.snapshot.slug;
}

// Whom a key or a claim is of, and that tenant, are two readings: between them the configuration may change.

test("a key that is deleted after it was read whose it is lets nobody in", async () => {
  const { key, text } = at.apiKey();
  await at.change("acme", keysOf(key));
  at.changeAfterNaming("acme", keysOf());
  expect(await outcome(at.enter(null, at.bearer(text)))).toBe("token_invalid");
});

test("a broker's claim whose tenant is mapped to another value after it was read whose it is lets nobody in", async () => {
  const token = at.brokered("acme-org");
  const mapped = { ...at.issuers.broker, tenantValue: "acme-new" };
  at.changeAfterNaming("acme", { issuers: [at.issuers.acme, mapped] });
  expect(await outcome(at.enter(null, at.bearer(token)))).toBe("token_invalid");
});

test("a broker's claim whose mapping goes after it was read whose it is lets nobody in", async () => {
  const token = at.brokered("acme-org");
  at.changeAfterNaming("acme", { issuers: [at.issuers.acme] });
  expect(await outcome(at.enter(null, at.bearer(token)))).toBe("token_invalid");
});

test("a key and a claim let in where nothing changed between", async () => {
  const { key, text } = at.apiKey();
  await at.change("acme", keysOf(key));
  expect(await outcome(at.enter(null, at.bearer(text)))).toBe("acme");
  expect(await outcome(at.enter(null, at.bearer(at.brokered("globex-org"))))).toBe("globex");
});
