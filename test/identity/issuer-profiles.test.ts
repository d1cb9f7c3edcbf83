import { generateKeyPairSync, sign } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createGuardedFetch } from "../../src/identity/guarded-fetch.ts";
import { ISSUER_PROFILES, type IssuerProfile } from "../../src/identity/issuer-profiles.ts";
import { createKeySets } from "../../src/identity/key-sets.ts";
import { createTokenVerifier } from "../../src/identity/token-verifier.ts";
import type { TrustedIssuer } from "../../src/tenancy/tenant-snapshot.ts";
import { createFakeClock } from "./fake-clock.ts";
import { type FakeIssuer, registration, startFakeIssuer } from "./fake-issuer.ts";
import { PROVIDERS, RESOURCE, type Shape } from "./provider-tokens.ts";

const clock = createFakeClock();

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
let idp: FakeIssuer;
beforeAll(async () => {
  idp = await startFakeIssuer();
  idp.publish({ ...rsa.publicKey.export({ format: "jwk" }), kid: "k1", alg: "RS256", use: "sig" });
});
afterAll(() => idp.close());

const verifier = createTokenVerifier({
  clock,
  keySets: createKeySets({
    clock,
    fetch: createGuardedFetch({ allowLoopbackHttp: true, allowPrivateAddresses: false }),
  }),
  cacheSize: 0,
});

function signed({ header, payload }: Shape): string {
  const encode = (part: Shape["header"]) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const input = `${encode({ alg: "RS256", kid: "k1", ...header })}.${encode(payload)}`;
  return `${input}.${sign("sha256", Buffer.from(input), rsa.privateKey).toString("base64url")}`;
}

describe.each(Object.keys(ISSUER_PROFILES) as IssuerProfile[])("%s", (name) => {
  const provider = PROVIDERS[name];
  let trusted: TrustedIssuer;
  beforeAll(() => {
    trusted = registration(idp, {
      ...ISSUER_PROFILES[name](provider.issuer),
      issuer: provider.issuer,
      tenantValue: provider.tenantValue,
      audience: provider.audience ?? null,
    });
  });
  const verify = (shape: Shape) =>
    verifier.verify(signed(shape), { resource: RESOURCE, candidates: [trusted] });

  test.each(Object.entries(provider.accepted))("accepted: %s", async (_token, shape) => {
    const { permissions, roles = [], payload } = shape;
    expect(await verify(shape)).toMatchObject({
      kind: "verified",
      subject: payload.sub,
      permissions: new Set(permissions),
      roles,
      clientId: expect.any(String),
    });
  });

  test.each(Object.entries(provider.refused))("refused: %s", async (_token, shape) => {
    expect(await verify(shape)).toMatchObject({ code: "token_invalid" });
  });

  test("only asymmetric algorithms, and a life of at most a day", () => {
    const { algorithms, maxLifetimeSeconds } = ISSUER_PROFILES[name](provider.issuer);
    for (const algorithm of algorithms) expect(algorithm).toMatch(/^(RS|PS|ES)\d{3}$|^EdDSA$/);
    expect(maxLifetimeSeconds).toBeLessThanOrEqual(86_400);
  });
});

test("the names are pinned: registrations and commands use them", () => {
  expect(Object.keys(ISSUER_PROFILES)).toEqual([
    "generic",
    "auth0",
    "okta",
    "entra",
    "workos",
    "keycloak",
    "cognito",
  ]);
});
