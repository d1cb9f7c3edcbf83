import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { createIdSource } from "../../src/core/ids.ts";
import { createAcceptance } from "../../src/identity/acceptance.ts";
import type { Caller } from "../../src/identity/caller.ts";
import { keepCaller, restoreCaller } from "../../src/identity/kept-caller.ts";
import { localCaller } from "../../src/identity/local-caller.ts";
import { subjectKey, type TrustedIssuer } from "../../src/tenancy/tenant-snapshot.ts";
import { tenantSnapshot } from "../support/tenant-snapshot.ts";

const ids = createIdSource(systemClock.now);
const { stillHolds } = createAcceptance(systemClock);
const issuer: TrustedIssuer = {
  id: ids.issuer(),
  issuer: "https://issuer.example",
  jwksUri: "https://issuer.example/keys",
  broker: false,
  audience: null,
  otherAudiences: [],
  tenantClaim: null,
  tenantClaimForm: "text",
  tenantValue: null,
  scopeClaims: ["scope"],
  rolesClaim: null,
  algorithms: ["ES256"],
  tokenType: "at+jwt",
  maxLifetimeSeconds: 3_600,
  introspection: null,
  development: false,
};
const acme = tenantSnapshot("acme", {
  issuers: [issuer],
  roles: { clerk: ["tickets:read"] },
});
const past = Date.now() - 60_000;
const ada: Caller = {
  snapshot: acme,
  scopes: new Set(["customers:read"]),
  credential: {
    kind: "token",
    issuerId: issuer.id,
    issuer: issuer.issuer,
    subject: "ada",
    tokenId: "t1",
    issuedAt: past,
    signingKeyId: "k1",
    roles: ["clerk"],
    bound: false,
    expiresAt: past,
  },
  principal: {
    tenantId: acme.id,
    kind: "user",
    issuer: issuer.issuer,
    subject: "ada",
    clientId: "desk",
    permissions: new Set(["customers:read", "tickets:read"]),
    roles: ["clerk"],
    expiresAt: past,
  },
};
const kept = keepCaller(ada);

describe("a caller that was written down", () => {
  test("is the same, but for the end of its token's life", () => {
    const restored = restoreCaller(kept, acme);
    const expiresAt = Number.MAX_SAFE_INTEGER;
    expect(restored).toEqual({
      ...ada,
      credential: { ...ada.credential, expiresAt },
      principal: { ...ada.principal, expiresAt },
    });
    expect(stillHolds(acme, ada)).toBe(false);
    expect(restored !== null && stillHolds(acme, restored)).toBe(true);
  });

  test("has the permissions that its roles have now", () => {
    const changed = { ...acme, roles: { clerk: ["tickets:write"] } };
    expect(restoreCaller(kept, changed)?.principal.permissions).toEqual(
      new Set(["customers:read", "tickets:write"]),
    );
    expect(restoreCaller(kept, { ...acme, roles: {} })?.principal.permissions).toEqual(ada.scopes);
  });

  test("is nobody where its issuer's registration has changed or gone", () => {
    expect(restoreCaller(kept, { ...acme, issuers: [] })).toBeNull();
    for (const change of [{ audience: "https://other.example" }, { tenantValue: "other" }, { jwksUri: null }])
      expect(restoreCaller(kept, { ...acme, issuers: [{ ...issuer, ...change }] })).toBeNull();
    expect(restoreCaller(kept, { ...acme, issuers: [structuredClone(issuer)] })).not.toBeNull();
  });

  test("does not hold where what it came with was revoked", () => {
    const { revocations } = acme;
    const revoked = [
      { tokens: new Set([subjectKey(issuer.issuer, "t1")]) },
      { subjects: new Map([[subjectKey(issuer.issuer, "ada"), Date.now()]]) },
      { signingKeys: new Set([subjectKey(issuer.issuer, "k1")]) },
      { notBefore: Date.now() },
    ];
    for (const change of revoked) {
      const snapshot = { ...acme, revocations: { ...revocations, ...change } };
      const restored = restoreCaller(kept, snapshot);
      expect(restored !== null && stillHolds(snapshot, restored)).toBe(false);
    }
  });

  test("with an API key holds as long as the key", () => {
    const key = {
      id: ids.apiKey(),
      name: "robot",
      secretHash: "",
      permissions: ["tickets:read"],
      createdAt: past,
      expiresAt: Date.now() + 60_000,
    };
    const snapshot = { ...acme, apiKeys: new Map([[key.id, key]]) };
    const robot: Caller = {
      snapshot,
      scopes: new Set(key.permissions),
      credential: { kind: "key", keyId: key.id, expiresAt: key.expiresAt },
      principal: {
        ...ada.principal,
        ...{
          kind: "key",
          issuer: null,
          subject: key.id,
          clientId: null,
          roles: [],
          expiresAt: key.expiresAt,
        },
        permissions: new Set(key.permissions),
      },
    };
    const restored = restoreCaller(keepCaller(robot), snapshot);
    expect(restored).toEqual(robot);
    expect(restored !== null && stillHolds(snapshot, restored)).toBe(true);
    expect(restored !== null && stillHolds(acme, restored)).toBe(false);
    const over = { ...snapshot, apiKeys: new Map([[key.id, { ...key, expiresAt: past }]]) };
    expect(restored !== null && stillHolds(over, restored)).toBe(false);
  });

  test("of the process itself is still that", () => {
    const local = localCaller(acme, { subject: "me", permissions: new Set(["tickets:read"]) });
    expect(restoreCaller(keepCaller(local), acme)).toEqual(local);
  });

  test("is nobody where the text is none of these", () => {
    const whole = JSON.parse(kept);
    for (const text of [
      "",
      "null",
      "[]",
      JSON.stringify({ ...whole, scopes: "all" }),
      JSON.stringify({ ...whole, credential: { ...whole.credential, kind: "operator" } }),
      JSON.stringify({ ...whole, credential: { ...whole.credential, issuedAt: null } }),
      JSON.stringify({ ...whole, credential: { ...whole.credential, bound: undefined } }),
      JSON.stringify({ ...whole, principal: { ...whole.principal, kind: "operator" } }),
      JSON.stringify({ ...whole, principal: { ...whole.principal, subject: 1 } }),
    ])
      expect(restoreCaller(text, acme)).toBeNull();
  });
});
