import { randomBytes } from "node:crypto";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import { createDevelopmentStorage } from "../../../src/data/development-storage.ts";
import {
  createDevelopmentAuthorizationServer,
  type DevelopmentAuthorizationServerOptions,
} from "../../../src/identity/development/authorization-server.ts";
import {
  accountsOf,
  checkDevelopmentIssuer,
  type DevelopmentIssuer,
} from "../../../src/identity/development/development-issuer.ts";
import { signAccessToken } from "../../../src/identity/development/sign-access-token.ts";
import { createKeySets } from "../../../src/identity/key-sets.ts";
import { createTokenVerifier } from "../../../src/identity/token-verifier.ts";
import {
  ACME,
  ada,
  GLOBEX,
  globexAda,
  json,
  type RunningAuthorizationServer,
  startAuthorizationServer,
  trustedOf,
} from "./running-authorization-server.ts";

let server: RunningAuthorizationServer;
let issuers: RunningAuthorizationServer["issuers"];
beforeAll(async () => {
  server = await startAuthorizationServer();
  issuers = server.issuers;
});
afterAll(() => server.close());

describe("tokens signed without signing in", () => {
  const from = { clock: systemClock, random: randomBytes };
  const of = { tenantId: ACME, subject: "ada", permissions: ["tickets:read"], lifetimeSeconds: 3600 };
  const verify = (token: string, issuer: DevelopmentIssuer) => {
    const keySets = createKeySets({
      clock: systemClock,
      allowLoopbackHttp: true,
      allowPrivateAddresses: false,
    });
    return createTokenVerifier({ clock: systemClock, keySets, cacheSize: 100 }).verify(token, {
      resource: issuer.resource,
      candidates: [trustedOf(issuer, issuer.broker ? null : ACME)],
      ...(issuer.broker ? { tenantOf: "claim" as const } : {}),
    });
  };

  test("are accepted by the verifier, and end when they say", async () => {
    const { token, expiresAt } = await signAccessToken(issuers.acme, of, from);
    expect(decodeProtectedHeader(token)).toEqual({
      alg: "ES256",
      typ: "at+jwt",
      kid: issuers.acme.signingKey.kid,
    });
    const claims = decodeJwt(token);
    expect(Object.keys(claims).sort()).toEqual([
      "aud",
      "client_id",
      "exp",
      "iat",
      "iss",
      "jti",
      "scope",
      "sub",
      "tenant_id",
    ]);
    expect(expiresAt).toBe((claims.exp ?? 0) * 1000);
    expect(await verify(token, issuers.acme)).toMatchObject({
      kind: "verified",
      subject: "ada",
      tenantClaim: ACME,
      permissions: new Set(["tickets:read"]),
    });
  });

  test("of the broker are for the shared resource", async () => {
    const { token } = await signAccessToken(issuers.shared, { ...of, tenantId: GLOBEX }, from);
    expect(await verify(token, issuers.shared)).toMatchObject({ kind: "verified", tenantClaim: GLOBEX });
  });

  test.each([
    { tenantId: GLOBEX },
    { lifetimeSeconds: 3601 },
    { lifetimeSeconds: 0 },
    { lifetimeSeconds: Number.NaN },
  ])("are refused with %j", async (changes) => {
    await expect(signAccessToken(issuers.acme, { ...of, ...changes }, from)).rejects.toMatchObject({
      code: "setting_invalid",
    });
  });
});

test("an account of the broker names its tenant, so that it never becomes another tenant's", () => {
  expect([...accountsOf(issuers.acme).keys()]).toEqual(["ada", "bob", "nobody"]);
  const alone = { ...issuers.shared, users: [ada] };
  expect([...accountsOf(alone).keys()]).toEqual([`${ACME}/ada`]);
});

test.each([
  ["another URL", () => ({ ...issuers.acme, issuer: "http://127.0.0.1:1/issuers/acme" })],
  ["no tenant", () => ({ ...issuers.acme, tenants: [], users: [] })],
  ["several tenants without being a broker", () => ({ ...issuers.shared, broker: false })],
  ["a user of no tenant", () => ({ ...issuers.acme, users: [globexAda] })],
  ["a user twice", () => ({ ...issuers.acme, users: [ada, ada] })],
  [
    "a name that cannot be in a URL",
    () => ({ ...issuers.acme, name: "a/b", issuer: `${server.baseUrl}/issuers/a/b` }),
  ],
])("an issuer that contradicts itself is refused: %s", (_name, wrong) => {
  expect(() => checkDevelopmentIssuer(server.baseUrl, wrong())).toThrow(
    expect.objectContaining({ code: "setting_invalid" }),
  );
});

test("an issuer that contradicts itself is served as a fault, without its cause", async () => {
  server.served.set("odd", { ...issuers.acme, name: "odd" });
  const response = await fetch(`${server.baseUrl}/issuers/odd/jwks`);
  expect(response.status).toBe(500);
  expect(await json(response)).toEqual({ error: "server_error" });
  expect(server.faults).toMatchObject([{ code: "setting_invalid" }]);
});

describe("there is no development authorization server", () => {
  const make = (changes: Partial<DevelopmentAuthorizationServerOptions>) => () =>
    createDevelopmentAuthorizationServer({
      mode: "development",
      baseUrl: server.baseUrl,
      issuerOf: async () => null,
      storage: createDevelopmentStorage(server.database.system),
      clock: systemClock,
      onFault: () => {},
      fetch: globalThis.fetch,
      ...changes,
    });

  test("outside development", () => {
    expect(make({})).not.toThrow();
    expect(make({ mode: "production" })).toThrow("for development mode only");
  });

  test.each(["http://192.0.2.1:8787", "https://mcp.example.com", "http://localhost.example.com"])(
    "at %s",
    (baseUrl) => {
      expect(make({ baseUrl })).toThrow("loopback only");
    },
  );
});
