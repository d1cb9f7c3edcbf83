import { request } from "node:http";
import { describe, expect, test } from "vitest";
import { type Json, json } from "./running-authorization-server.ts";
import { useAuthorizationServer } from "./use-authorization-server.ts";

const server = useAuthorizationServer();

describe("discovery", () => {
  test.each([
    (name: string) => `/.well-known/oauth-authorization-server/issuers/${name}`,
    (name: string) => `/.well-known/openid-configuration/issuers/${name}`,
    (name: string) => `/issuers/${name}/.well-known/openid-configuration`,
  ])("is served for every issuer, with URLs from configuration", async (path) => {
    for (const { name, issuer, broker } of Object.values(server().issuers)) {
      const metadata = await json(
        await fetch(server().baseUrl + path(name), { headers: { "x-forwarded-host": "evil.example" } }),
      );
      expect(metadata).toMatchObject({
        issuer,
        authorization_endpoint: `${issuer}/auth`,
        token_endpoint: `${issuer}/token`,
        registration_endpoint: `${issuer}/reg`,
        jwks_uri: `${issuer}/jwks`,
        code_challenge_methods_supported: ["S256"],
        response_types_supported: ["code"],
        authorization_response_iss_parameter_supported: true,
        client_id_metadata_document_supported: true,
        dpop_signing_alg_values_supported: expect.arrayContaining(["ES256"]),
        scopes_supported: expect.arrayContaining(["offline_access", "tickets:read", "tickets:delete"]),
      });
      expect(metadata.grant_types_supported).toEqual(
        expect.arrayContaining([
          "authorization_code",
          "refresh_token",
          ...(broker ? [] : ["client_credentials"]),
        ]),
      );
      if (broker) expect(metadata.grant_types_supported).not.toContain("client_credentials");
    }
  });

  test("does not follow the Host header", async () => {
    const body = await new Promise<string>((resolve, reject) => {
      const outgoing = request(
        `${server().baseUrl}/issuers/acme/.well-known/openid-configuration`,
        { headers: { host: "evil.example" } },
        (res) => {
          let text = "";
          res.on("data", (chunk) => (text += chunk)).on("end", () => resolve(text));
        },
      );
      outgoing.once("error", reject).end();
    });
    expect(JSON.parse(body)).toMatchObject({ token_endpoint: `${server().baseUrl}/issuers/acme/token` });
    expect(body).not.toContain("evil");
  });

  test("publishes public key parts only", async () => {
    for (const { issuer, signingKey } of Object.values(server().issuers)) {
      const { keys } = (await json(await fetch(`${issuer}/jwks`))) as { keys: Json[] };
      expect(keys).toEqual([
        {
          kty: "EC",
          crv: "P-256",
          alg: "ES256",
          use: "sig",
          kid: signingKey.kid,
          x: signingKey.x,
          y: signingKey.y,
        },
      ]);
    }
  });
});

test("addresses of others are left alone", async () => {
  for (const path of [
    "/",
    "/mcp",
    "/issuers",
    "/issuers/",
    "/issuers/unknown/auth",
    "/issuers/ACME/auth",
    "/issuersx/acme",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration/issuers/unknown",
  ]) {
    const response = await fetch(server().baseUrl + path);
    expect(await response.text(), path).toBe("not mine");
  }
});

test("an issuer is there as soon as its tenant is, and gone with it", async () => {
  const { acme } = server().issuers;
  const issuer = `${server().baseUrl}/issuers/initech`;
  const keys = () => fetch(`${issuer}/jwks`);
  expect((await keys()).status).toBe(404);
  server().served.set("initech", { ...acme, name: "initech", issuer });
  expect((await keys()).status).toBe(200);
  server().served.delete("initech");
  expect((await keys()).status).toBe(404);
});
