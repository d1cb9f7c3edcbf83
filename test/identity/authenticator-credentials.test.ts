import { generateKeyPairSync } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ApiKeyId } from "../../src/core/ids.ts";
import { isRefusal } from "../../src/core/refusal.ts";
import type { Caller } from "../../src/identity/caller.ts";
import { NO_REVOCATIONS } from "../../src/tenancy/revocations.ts";
import { type ApiKey, type DpopMode, subjectKey } from "../../src/tenancy/tenant-snapshot.ts";
import { makeProof } from "../support/hand-made-proof.ts";
import { type AuthenticatorSetting, BOUND, FLOODING, startAuthenticator } from "./authenticator-setting.ts";
import { makeToken, NOW, OTHER_RESOURCE, RESOURCE, SHARED } from "./token-recipe.ts";

let at: AuthenticatorSetting;
beforeEach(async () => {
  at = await startAuthenticator();
});
afterEach(() => at.close());

async function accepted(answer: ReturnType<AuthenticatorSetting["enter"]>): Promise<Caller> {
  const caller = await answer;
  if (isRefusal(caller)) throw new Error(`refused: ${caller.code}, ${String(caller.cause)}`);
  return caller;
}
const holding = (...keys: ApiKey[]) => ({
  apiKeys: new Map<ApiKeyId, ApiKey>(keys.map((key) => [key.id, key])),
});

describe("an API key", () => {
  test("lets in at its tenant's URL and at the shared one, as the key itself", async () => {
    const { key, text } = at.apiKey({ permissions: ["tickets:read", "tickets:*"] });
    await at.change("acme", holding(key));
    for (const slug of ["acme", null]) {
      const caller = await accepted(at.enter(slug, at.bearer(text)));
      expect(caller).toEqual({
        snapshot: at.tenant("acme"),
        principal: {
          tenantId: at.tenant("acme").id,
          kind: "key",
          issuer: null,
          subject: key.id,
          clientId: null,
          permissions: new Set(["tickets:read", "tickets:*"]),
          roles: [],
          expiresAt: key.expiresAt,
        },
        credential: { kind: "key", keyId: key.id, expiresAt: key.expiresAt },
        scopes: new Set(["tickets:read", "tickets:*"]),
      });
    }
    const first = await accepted(at.enter("acme", at.bearer(text)));
    expect(at.enter("acme", at.bearer(text))).toBe(first);
    expect(at.idp.requests()).toBe(0);
  });

  test("has the newer configuration after a change of the tenant", async () => {
    const { key, text } = at.apiKey();
    await at.change("acme", holding(key));
    await accepted(at.enter("acme", at.bearer(text)));
    const newer = await at.change("acme", { name: "Acme Inc." });
    expect((await accepted(at.enter("acme", at.bearer(text)))).snapshot).toEqual(newer);
  });

  test("is of its tenant alone", async () => {
    const { key, text } = at.apiKey();
    await at.change("acme", holding(key));
    expect(await at.enter("globex", at.bearer(text))).toMatchObject({ code: "token_invalid" });
  });

  test("is refused where the tenant has none, at both URLs", async () => {
    const { text } = at.apiKey();
    for (const slug of ["acme", null]) {
      expect(await at.enter(slug, at.bearer(text))).toMatchObject({ code: "token_invalid" });
    }
  });

  test("is refused with the secret of another key, or its own with a letter changed", async () => {
    const [one, two] = [at.apiKey(), at.apiKey()];
    await at.change("acme", holding(one.key, two.key));
    const mixed = one.text.slice(0, 30) + two.text.slice(30);
    const changed = one.text.slice(0, -2) + (one.text.at(-2) === "A" ? "B" : "A") + one.text.slice(-1);
    for (const text of [mixed, changed]) {
      for (const slug of ["acme", null]) {
        expect(await at.enter(slug, at.bearer(text))).toMatchObject({ code: "token_invalid" });
      }
    }
    await accepted(at.enter("acme", at.bearer(one.text)));
  });

  test("ends with the millisecond of its expiry, also where it was taken before", async () => {
    const { key, text } = at.apiKey();
    await at.change("acme", holding(key));
    at.clock.advance(59_999);
    await accepted(at.enter("acme", at.bearer(text)));
    at.clock.advance(1);
    expect(at.enter("acme", at.bearer(text))).toMatchObject({ code: "token_invalid" });
  });

  test("ends when it is deleted, and when everything made until then is revoked", async () => {
    const { key, text } = at.apiKey();
    await at.change("acme", holding(key));
    await accepted(at.enter("acme", at.bearer(text)));
    const until = (notBefore: number) => ({ revocations: { ...NO_REVOCATIONS, notBefore } });
    await at.change("acme", until(key.createdAt));
    expect(await at.enter("acme", at.bearer(text))).toMatchObject({ code: "token_invalid" });
    await at.change("acme", until(key.createdAt - 1));
    await accepted(at.enter("acme", at.bearer(text)));
    await at.change("acme", holding());
    expect(await at.enter("acme", at.bearer(text))).toMatchObject({ code: "token_invalid" });
  });

  test("has no roles, whatever is assigned to its id", async () => {
    const { key, text } = at.apiKey();
    const roleAssignments = new Map([[subjectKey("", key.id), ["boss"]]]);
    await at.change("acme", { ...holding(key), roles: { boss: ["admin"] }, roleAssignments });
    expect((await accepted(at.enter("acme", at.bearer(text)))).principal.permissions).toEqual(
      new Set(["tickets:read"]),
    );
  });

  test("counts where the tenant takes only bound tokens: it has turned keys on itself", async () => {
    const { key, text } = at.apiKey();
    await at.change("acme", { ...holding(key), dpop: "require" });
    await accepted(at.enter("acme", at.bearer(text)));
  });

  test("passes from an address that keeps failing where nothing must be read for it", async () => {
    const { key, text } = at.apiKey();
    await at.change("acme", holding(key));
    expect(at.enter(null, at.bearer(text), { flooding: FLOODING })).toBe(FLOODING);
    const caller = await accepted(at.enter("acme", at.bearer(text)));
    expect(at.enter("acme", at.bearer(text), { flooding: FLOODING })).toBe(caller);
    const wrong = `${text.slice(0, -2)}${text.at(-2) === "A" ? "B" : "A"}A`;
    expect(at.enter("acme", at.bearer(wrong), { flooding: FLOODING })).toBe(FLOODING);
  });
});

describe("tokens that are bound to a key", () => {
  const bound = () => at.token({ claims: BOUND });
  const DPOP = (token: string) => ["Authorization", `DPoP ${token}`];

  /** Code of the answer, or `ok`. */
  async function answerTo(headers: readonly string[], slug: string | null = "acme"): Promise<string> {
    const caller = await at.enter(slug, headers);
    return isRefusal(caller) ? caller.code : "ok";
  }

  test.each<[DpopMode, Record<string, string>]>([
    ["off", { bearer: "ok", boundBearer: "token_invalid", boundProved: "token_invalid" }],
    ["allow", { bearer: "ok", boundBearer: "token_invalid", boundProved: "ok" }],
    ["require", { bearer: "token_invalid", boundBearer: "token_invalid", boundProved: "ok" }],
  ])("where the tenant's mode is %s", async (dpop, expected) => {
    await at.change("acme", { dpop });
    expect({
      bearer: await answerTo(at.bearer(at.token())),
      boundBearer: await answerTo(at.bearer(bound())),
      boundProved: await answerTo(at.proved(bound())),
    }).toEqual(expected);
    // Bound to nothing, but sent as if it were, with and without a proof.
    expect(await answerTo(DPOP(at.token()))).toBe("token_invalid");
    expect(await answerTo(at.proved(at.token()))).toBe("token_invalid");
    // As Bearer it stays refused, proof or not (RFC 9449 section 7.2).
    const [, , ...proof] = at.proved(bound());
    expect(await answerTo([...at.bearer(bound()), ...proof])).toBe("token_invalid");
  });

  test("an unbound bearer token is taken with a proof that nobody asked for", async () => {
    await at.change("acme", { dpop: "allow" });
    expect(await answerTo([...at.bearer(at.token()), "DPoP", "x"])).toBe("ok");
    expect(at.used.size).toBe(0);
  });

  test("need a proof of this token, this method, this URL and this key, each time another", async () => {
    await at.change("acme", { dpop: "allow" });
    const token = bound();
    const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const strangers = makeProof({ keys: stranger, token, url: RESOURCE, now: NOW });
    for (const headers of [
      DPOP(token),
      [...DPOP(token), "DPoP", strangers],
      at.proved(token, OTHER_RESOURCE),
      at.proved(token, RESOURCE, "GET"),
      [...DPOP(token), ...at.proved(at.token({ claims: { ...BOUND, jti: "j2" } })).slice(2)],
      [...at.proved(token), ...at.proved(token).slice(2)],
    ]) {
      expect(await at.enter("acme", headers)).toMatchObject({
        code: "dpop_proof_invalid",
        schemes: ["Bearer", "DPoP"],
      });
    }
    const once = at.proved(token);
    expect(await answerTo(once)).toBe("ok");
    expect(await answerTo(once)).toBe("dpop_proof_invalid");
    expect(await answerTo(at.proved(token))).toBe("ok");
  });

  test("are known as such to what outlives the request", async () => {
    await at.change("acme", { dpop: "allow" });
    expect((await accepted(at.enter("acme", at.proved(bound())))).credential).toMatchObject({ bound: true });
  });

  test("at the shared URL are under the mode of the tenant that they are for", async () => {
    await at.change("acme", { dpop: "require" });
    expect(await answerTo(at.proved(at.brokered("acme-org", BOUND), SHARED), null)).toBe("ok");
    expect(await answerTo(at.proved(at.brokered("globex-org", BOUND), SHARED), null)).toBe("token_invalid");
    expect(await at.enter(null, at.bearer(at.brokered("acme-org")))).toMatchObject({ schemes: ["DPoP"] });
    expect(await answerTo(at.bearer(at.brokered("globex-org")), null)).toBe("ok");
  });

  test("use up no proof where the token itself does not count", async () => {
    const notBefore = NOW * 1000;
    await at.change("acme", { dpop: "allow", revocations: { ...NO_REVOCATIONS, notBefore } });
    expect(await answerTo(at.proved(bound()))).toBe("token_invalid");
    expect(await answerTo(at.proved(at.token({ claims: { ...BOUND, exp: NOW - 60 } })))).toBe(
      "token_invalid",
    );
    expect(at.used.size).toBe(0);
  });

  test("of a tenant over its rate have no proof looked at: each costs a row", async () => {
    await at.change("acme", { dpop: "allow" });
    at.useUpRate("acme");
    expect(await answerTo(at.proved(bound()))).toBe("rate_limited");
    expect(at.used.size).toBe(0);
    const administrator = at.token({ claims: { ...BOUND, scope: "admin" } });
    const headers = at.proved(administrator, "https://mcp.example.com/admin/v1/tenants", "GET");
    expect(await at.administer("acme", headers)).toMatchObject({ code: "rate_limited" });
  });

  test("of a suspended tenant have no proof looked at", async () => {
    await at.change("acme", { dpop: "allow", status: "suspended" });
    expect(await answerTo(at.proved(bound()))).toBe("tenant_suspended");
    expect(at.used.size).toBe(0);
  });

  test("that are revoked while their proof is put on record are refused", async () => {
    await at.change("acme", { dpop: "allow" });
    at.whileUsingProofs(async () => {
      await at.change("acme", { revocations: { ...NO_REVOCATIONS, notBefore: NOW * 1000 } });
    });
    expect(await at.enter("acme", at.proved(bound()))).toMatchObject({
      code: "token_invalid",
      cause: "revoked",
    });
  });

  test("from an address that keeps failing pass once they were accepted, with a proof of their own", async () => {
    await at.change("acme", { dpop: "allow" });
    await at.directory.bySlug(at.tenant("acme").slug);
    const flooding = { flooding: FLOODING };
    expect(at.enter("acme", at.proved(bound()), flooding)).toBe(FLOODING);
    const token = bound();
    const once = at.proved(token);
    await accepted(at.enter("acme", once));
    expect(await at.enter("acme", once, flooding)).toBe(FLOODING);
    await accepted(at.enter("acme", at.proved(token), flooding));
  });
});

describe("an opaque token", () => {
  const answer = () => ({
    iss: at.issuers.opaque.issuer,
    sub: "ada",
    aud: RESOURCE,
    exp: NOW + 300,
    scope: "tickets:read",
    tenant_id: "tnt_acme",
  });
  const asking = () => ({ issuers: [at.issuers.acme, at.issuers.opaque] });

  test("is asked about at the one issuer of the tenant that is asked at all", async () => {
    await at.change("acme", asking());
    at.introspects(answer());
    const caller = await accepted(at.enter("acme", at.bearer("opaque")));
    expect(caller.credential).toMatchObject({
      issuerId: at.issuers.opaque.id,
      subject: "ada",
      issuedAt: 0,
      signingKeyId: null,
    });
    expect(caller.scopes).toEqual(new Set(["tickets:read"]));
    expect(at.asked).toEqual([`${at.idp.origin}/introspect opaque`]);
    expect(at.enter("acme", at.bearer("opaque"))).toBe(caller);
  });

  test("is asked about for the audience of the registration, where that has one", async () => {
    await at.change("acme", { issuers: [{ ...at.issuers.opaque, audience: "api://acme" }] });
    at.introspects(answer());
    expect(await at.enter("acme", at.bearer("one"))).toMatchObject({ code: "token_invalid" });
    at.introspects({ ...answer(), aud: "api://acme" });
    await accepted(at.enter("acme", at.bearer("two")));
  });

  test("is shown to nobody where no issuer or more than one could be asked", async () => {
    at.introspects(answer());
    expect(await at.enter("acme", at.bearer("opaque"))).toMatchObject({ code: "token_invalid" });
    const second = { ...at.issuers.opaque, id: at.issuers.globex.id, issuer: "https://second.example" };
    await at.change("acme", { issuers: [at.issuers.opaque, second] });
    expect(await at.enter("acme", at.bearer("opaque"))).toMatchObject({ code: "token_invalid" });
    expect(at.asked).toEqual([]);
  });

  test("is not shown to another tenant's issuer", async () => {
    await at.change("acme", asking());
    at.introspects(answer());
    expect(await at.enter("globex", at.bearer("opaque"))).toMatchObject({ code: "token_invalid" });
    expect(await at.enter(null, at.bearer("opaque"))).toMatchObject({ code: "token_invalid" });
    expect(at.asked).toEqual([]);
  });

  test("is revoked with its subject, also while its answer is remembered", async () => {
    await at.change("acme", asking());
    at.introspects(answer());
    await accepted(at.enter("acme", at.bearer("opaque")));
    const subjects = new Map([[subjectKey(at.issuers.opaque.issuer, "ada"), 1]]);
    await at.change("acme", { revocations: { ...NO_REVOCATIONS, subjects } });
    expect(await at.enter("acme", at.bearer("opaque"))).toMatchObject({ code: "token_invalid" });
    expect(at.asked).toHaveLength(1);
  });

  test("that is bound to a key needs its proof", async () => {
    await at.change("acme", { ...asking(), dpop: "allow" });
    at.introspects({ ...answer(), ...BOUND, token_type: "DPoP" });
    expect(await at.enter("acme", at.bearer("opaque"))).toMatchObject({ code: "token_invalid" });
    expect(await at.enter("acme", ["Authorization", "DPoP opaque"])).toMatchObject({
      code: "dpop_proof_invalid",
    });
    await accepted(at.enter("acme", at.proved("opaque")));
  });

  test("from an address that keeps failing is not asked about, and passes once it was", async () => {
    await at.change("acme", asking());
    at.introspects(answer());
    await at.directory.bySlug(at.tenant("acme").slug);
    const flooding = { flooding: FLOODING };
    expect(at.enter("acme", at.bearer("opaque"), flooding)).toBe(FLOODING);
    expect(at.asked).toEqual([]);
    const caller = await accepted(at.enter("acme", at.bearer("opaque")));
    expect(at.enter("acme", at.bearer("opaque"), flooding)).toBe(caller);
  });

  test("of three parts is no opaque one, so its issuer is not asked", async () => {
    await at.change("acme", asking());
    at.introspects(answer());
    for (const token of ["a.b.c", makeToken(at.issuers.opaque.issuer)]) {
      expect(await at.enter("acme", at.bearer(token))).toMatchObject({ code: "token_invalid" });
    }
    expect(at.asked).toEqual([]);
  });
});
