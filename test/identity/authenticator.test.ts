import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isRefusal } from "../../src/core/refusal.ts";
import type { Caller } from "../../src/identity/caller.ts";
import { NO_REVOCATIONS, type Revocations } from "../../src/tenancy/revocations.ts";
import { subjectKey } from "../../src/tenancy/tenant-snapshot.ts";
import {
  type AuthenticatorSetting,
  CATALOG_PERMISSIONS,
  FLOODING,
  startAuthenticator,
} from "./authenticator-setting.ts";
import { makeToken, NOW, OTHER_RESOURCE, SHARED } from "./token-recipe.ts";

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
const revoking = (changes: Partial<Revocations>) => ({ revocations: { ...NO_REVOCATIONS, ...changes } });

describe("a tenant's URL", () => {
  test("lets a token of the tenant's issuer in, as who it says", async () => {
    const caller = await accepted(at.enter("acme", at.bearer(at.token())));
    expect(caller).toEqual({
      snapshot: at.tenant("acme"),
      principal: {
        tenantId: at.tenant("acme").id,
        kind: "user",
        issuer: at.issuers.acme.issuer,
        subject: "ada",
        clientId: "c1",
        permissions: new Set(["tickets:read", "tickets:write"]),
        roles: [],
        expiresAt: (NOW + 300) * 1000,
      },
      credential: {
        kind: "token",
        issuerId: at.issuers.acme.id,
        issuer: at.issuers.acme.issuer,
        subject: "ada",
        tokenId: "j1",
        issuedAt: NOW * 1000,
        signingKeyId: "k1",
        roles: [],
        bound: false,
        expiresAt: (NOW + 300) * 1000,
      },
      scopes: new Set(["tickets:read", "tickets:write"]),
    });
    expect(caller.snapshot).toBe(await at.directory.bySlug(at.tenant("acme").slug));
  });

  test("tells a program from a person by its client being the subject", async () => {
    const caller = await accepted(at.enter("acme", at.bearer(at.token({ claims: { sub: "c1" } }))));
    expect(caller.principal).toMatchObject({ kind: "client", subject: "c1", clientId: "c1" });
  });

  test("that nobody has is not there, before any credential is looked at", async () => {
    expect(await at.enter("nobody", at.bearer(at.token()))).toEqual({
      kind: "refusal",
      code: "route_unknown",
    });
    expect(await at.enter("nobody", [])).toMatchObject({ code: "route_unknown" });
  });

  test("refuses the token of another tenant's issuer, of another resource, and of another broker's tenant", async () => {
    const broker = at.issuers.broker.issuer;
    for (const token of [
      at.globexToken(),
      at.token({ claims: { aud: OTHER_RESOURCE } }),
      at.token({ claims: { aud: SHARED } }),
      makeToken(broker, { claims: { tenant_id: "globex-org" } }),
      at.brokered("acme-org"),
    ]) {
      expect(await at.enter("acme", at.bearer(token))).toMatchObject({ code: "token_invalid" });
    }
    const mapped = makeToken(broker, { claims: { tenant_id: "acme-org" } });
    expect((await accepted(at.enter("acme", at.bearer(mapped)))).credential).toMatchObject({
      issuer: broker,
    });
  });

  test("lets a caller of a suspended tenant through to who answers that", async () => {
    await at.change("acme", { status: "suspended" });
    const caller = await accepted(at.enter("acme", at.bearer(at.token())));
    expect(caller.snapshot.status).toBe("suspended");
  });
});

describe("the shared URL", () => {
  test("finds the tenant by the broker and the claim's value", async () => {
    for (const name of ["acme", "globex"] as const) {
      const caller = await accepted(at.enter(null, at.bearer(at.brokered(`${name}-org`))));
      expect(caller.snapshot).toEqual(at.tenant(name));
      expect(caller.principal.tenantId).toBe(at.tenant(name).id);
    }
  });

  test("refuses a value that stands for no tenant, and a tenant's own issuer", async () => {
    expect(await at.enter(null, at.bearer(at.brokered("initech-org")))).toMatchObject({
      code: "token_invalid",
      scopes: CATALOG_PERMISSIONS,
    });
    expect(await at.enter(null, at.bearer(at.token({ claims: { aud: SHARED } })))).toMatchObject({
      code: "token_invalid",
    });
  });

  test("stops with the mapping", async () => {
    const token = at.brokered("acme-org");
    await accepted(at.enter(null, at.bearer(token)));
    await at.change("acme", { issuers: [at.issuers.acme] });
    expect(await at.enter(null, at.bearer(token))).toMatchObject({ code: "token_invalid" });
  });
});

describe("a caller who comes again", () => {
  test("is answered at once, with the same object, as long as nothing changes", async () => {
    const headers = at.bearer(at.token());
    const first = await accepted(at.enter("acme", headers));
    expect(at.enter("acme", headers)).toBe(first);
    const shared = at.bearer(at.brokered("acme-org"));
    const second = await accepted(at.enter(null, shared));
    expect(at.enter(null, shared)).toBe(second);
  });

  test("has the newer configuration after a change of the tenant", async () => {
    const headers = at.bearer(at.token());
    const first = await accepted(at.enter("acme", headers));
    await at.change("acme", { name: "Acme Inc." });
    const second = await accepted(at.enter("acme", headers));
    expect(second.snapshot.name).toBe("Acme Inc.");
    expect(second.credential).toEqual(first.credential);
    expect(at.enter("acme", headers)).toBe(second);
  });

  test("is refused once the token has expired", async () => {
    const headers = at.bearer(at.token());
    await accepted(at.enter("acme", headers));
    at.clock.advance(330_000);
    expect(at.enter("acme", headers)).toMatchObject({ code: "token_invalid" });
  });

  test("is refused once the registration is gone, changed, or another tenant's value", async () => {
    const headers = at.bearer(at.token());
    for (const issuers of [
      [],
      [{ ...at.issuers.acme, tenantValue: "tnt_other" }],
      [{ ...at.issuers.acme, audience: "x" }],
    ]) {
      await at.change("acme", { issuers: [at.issuers.acme] });
      await accepted(at.enter("acme", headers));
      await at.change("acme", { issuers });
      expect(await at.enter("acme", headers)).toMatchObject({ code: "token_invalid" });
    }
  });

  test("has the permissions of newly chosen scope claims", async () => {
    const headers = at.bearer(at.token({ claims: { scp: ["tickets:close"] } }));
    await accepted(at.enter("acme", headers));
    await at.change("acme", { issuers: [{ ...at.issuers.acme, scopeClaims: ["scp"] }] });
    expect((await accepted(at.enter("acme", headers))).scopes).toEqual(new Set(["tickets:close"]));
  });
});

describe("what was revoked", () => {
  const issuer = () => at.issuers.acme.issuer;
  const cases: [string, () => Partial<Revocations>][] = [
    ["the token", () => ({ tokens: new Set([subjectKey(issuer(), "j1")]) })],
    ["its signing key", () => ({ signingKeys: new Set([subjectKey(issuer(), "k1")]) })],
    ["its subject", () => ({ subjects: new Map([[subjectKey(issuer(), "ada"), NOW * 1000]]) })],
    ["everything of the tenant", () => ({ notBefore: NOW * 1000 })],
  ];

  test.each(cases)(
    "%s: a token that was accepted before is refused at the next request",
    async (_name, what) => {
      const headers = at.bearer(at.token());
      await accepted(at.enter("acme", headers));
      await at.change("acme", revoking(what()));
      expect(at.directory.bySlug(at.tenant("acme").slug)).toBeInstanceOf(Promise);
      expect(await at.enter("acme", headers)).toMatchObject({ code: "token_invalid", cause: "revoked" });
      expect(at.enter("acme", headers)).toMatchObject({ code: "token_invalid" });
      await at.change("acme", revoking({}));
      await accepted(at.enter("acme", headers));
    },
  );

  test("a signing key: also a token that leaves the key's name out", async () => {
    await at.change("acme", revoking({ signingKeys: new Set([subjectKey(issuer(), "k1")]) }));
    const headers = at.bearer(at.token({ withoutHeader: ["kid"] }));
    expect(await at.enter("acme", headers)).toMatchObject({ code: "token_invalid", cause: "revoked" });
  });

  test("by one tenant changes nothing in another, whose broker is the same", async () => {
    const notBefore = NOW * 1000;
    await at.change("acme", revoking({ notBefore }));
    expect(await at.enter(null, at.bearer(at.brokered("acme-org")))).toMatchObject({ code: "token_invalid" });
    await accepted(at.enter(null, at.bearer(at.brokered("globex-org"))));
  });

  test("while the token was being verified counts as well", async () => {
    const answer = at.idp.answer;
    at.idp.answer = (req, res) => {
      void at.change("acme", revoking({ notBefore: NOW * 1000 })).then(() => answer(req, res));
    };
    expect(await at.enter("acme", at.bearer(at.token()))).toMatchObject({ cause: "revoked" });
  });

  test("a tenant that is deleted while the token is verified is not there any more", async () => {
    const answer = at.idp.answer;
    at.idp.answer = (req, res) => {
      at.removeTenant(at.tenant("acme"));
      void at.directory.refresh().then(() => answer(req, res));
    };
    expect(await at.enter("acme", at.bearer(at.token()))).toMatchObject({ code: "route_unknown" });
  });

  test.each([{ maxLifetimeSeconds: 60 }, { tenantValue: "tnt_other" }])(
    "a registration that becomes one with %j while its token is verified takes the token with it",
    async (change) => {
      const answer = at.idp.answer;
      at.idp.answer = (req, res) => {
        void at.change("acme", { issuers: [{ ...at.issuers.acme, ...change }] }).then(() => answer(req, res));
      };
      expect(await at.enter("acme", at.bearer(at.token()))).toMatchObject({
        code: "token_invalid",
        cause: "the issuer's registration has changed",
      });
    },
  );
});

describe("roles", () => {
  const roles = { support: ["tickets:close", "tickets:read"], boss: ["admin"] };
  const groups = () => ({ issuers: [{ ...at.issuers.acme, rolesClaim: ["groups"] }] });

  test("of the token and of the assignment add their permissions, and only those that the tenant defines", async () => {
    const roleAssignments = new Map([
      [subjectKey(at.issuers.acme.issuer, "ada"), ["boss", "gone", "support"]],
    ]);
    await at.change("acme", { ...groups(), roles, roleAssignments });
    const token = at.token({ claims: { groups: ["support", "constructor", "everyone"] } });
    const caller = await accepted(at.enter("acme", at.bearer(token)));
    expect(caller.principal.roles).toEqual(["support", "boss"]);
    expect(caller.principal.permissions).toEqual(
      new Set(["tickets:read", "tickets:write", "tickets:close", "admin"]),
    );
    expect(caller.scopes).toEqual(new Set(["tickets:read", "tickets:write"]));
  });

  test("are assigned to a subject of one issuer", async () => {
    const roleAssignments = new Map([
      [subjectKey(at.issuers.broker.issuer, "ada"), ["boss"]],
      [subjectKey(at.issuers.acme.issuer, "bob"), ["boss"]],
    ]);
    await at.change("acme", { roles, roleAssignments });
    const caller = await accepted(at.enter("acme", at.bearer(at.token())));
    expect(caller.principal.roles).toEqual([]);
    expect(caller.principal.permissions.has("admin")).toBe(false);
  });

  test("change with the tenant, for a token that was accepted before", async () => {
    const headers = at.bearer(at.token({ claims: { groups: "boss" } }));
    await at.change("acme", { ...groups(), roles });
    expect((await accepted(at.enter("acme", headers))).principal.permissions.has("admin")).toBe(true);
    await at.change("acme", { roles: {} });
    expect((await accepted(at.enter("acme", headers))).principal.permissions.has("admin")).toBe(false);
  });
});

describe("a refusal", () => {
  const AUTHORIZATION = "Authorization";
  test.each([
    ["credentials_missing", []],
    ["credentials_malformed", [AUTHORIZATION, "Basic dTpw"]],
    ["token_invalid", [AUTHORIZATION, "Bearer a.b.c"]],
    ["token_invalid", [AUTHORIZATION, "Bearer opaque"]],
    ["token_invalid", [AUTHORIZATION, "Bearer bk_x"]],
  ])("%s names the scopes and the schemes to come back with: %j", async (code, headers) => {
    expect(await at.enter("acme", headers)).toMatchObject({
      code,
      scopes: CATALOG_PERMISSIONS,
      schemes: ["Bearer"],
    });
    await at.change("acme", { scopes: ["tickets:write"], dpop: "allow" });
    expect(await at.enter("acme", headers)).toMatchObject({
      code,
      scopes: ["tickets:write"],
      schemes: ["Bearer", "DPoP"],
    });
    await at.change("acme", { dpop: "require" });
    expect(await at.enter("acme", headers)).toMatchObject({ code, schemes: ["DPoP"] });
    const shared = await at.enter(null, headers);
    expect(shared).toMatchObject({ code, scopes: CATALOG_PERMISSIONS });
    expect(shared).not.toHaveProperty("schemes");
  });

  test("for keys that cannot be read is not one of the token", async () => {
    at.idp.answer = (_req, res) => res.writeHead(500).end();
    expect(await at.enter("acme", at.bearer(at.token()))).toMatchObject({
      code: "keys_unavailable",
      retryAfterMs: 1_000,
    });
  });
});

describe("an address that keeps failing", () => {
  const flooding = { flooding: FLOODING };

  test("waits for no tenant to be read, and gets nothing verified", async () => {
    const requests = at.idp.requests();
    expect(at.enter("acme", at.bearer(at.token()), flooding)).toBe(FLOODING);
    await at.directory.bySlug(at.tenant("acme").slug);
    for (const headers of [
      [],
      ["Authorization", "Basic x"],
      at.bearer(at.token()),
      at.bearer("opaque"),
      at.bearer("bk_x"),
    ]) {
      expect(await at.enter("acme", headers, flooding)).toBe(FLOODING);
    }
    expect(at.idp.requests()).toBe(requests);
  });

  test("passes with what was accepted before, and no longer once that is revoked", async () => {
    const headers = at.bearer(at.token());
    const caller = await accepted(at.enter("acme", headers));
    expect(at.enter("acme", headers, flooding)).toBe(caller);
    await at.change("acme", revoking({ notBefore: NOW * 1000 }));
    await at.directory.bySlug(at.tenant("acme").slug);
    expect(at.enter("acme", headers, flooding)).toBe(FLOODING);
  });
});
