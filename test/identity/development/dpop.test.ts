import { calculateJwkThumbprint, decodeJwt, exportJWK, generateKeyPair, SignJWT } from "jose";
import { expect, test } from "vitest";
import { ada, authorize, json, post, REDIRECT, register } from "./running-authorization-server.ts";
import { useAuthorizationServer } from "./use-authorization-server.ts";

const server = useAuthorizationServer();

async function makeProver() {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const jwk = await exportJWK(publicKey);
  const prove = (claims: Record<string, unknown> = {}) =>
    new SignJWT({
      htm: "POST",
      htu: `${server().issuers.acme.issuer}/token`,
      jti: crypto.randomUUID(),
      iat: Math.floor(Date.now() / 1000),
      ...claims,
    })
      .setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk })
      .sign(privateKey);
  return { prove, thumbprint: await calculateJwkThumbprint(jwk) };
}

const redeem = async (clientId: string, proof: string, code: { code: string; verifierText: string }) =>
  json(
    await post(
      `${server().issuers.acme.issuer}/token`,
      {
        grant_type: "authorization_code",
        client_id: clientId,
        code: code.code,
        code_verifier: code.verifierText,
        redirect_uri: REDIRECT,
      },
      { dpop: proof },
    ),
  );

test("a client that proves a key gets tokens bound to it, which are renewed with that key alone", async () => {
  const { acme } = server().issuers;
  const clientId = String((await register(acme)).client_id);
  const { prove, thumbprint } = await makeProver();
  const tokens = await redeem(clientId, await prove(), await authorize(acme, clientId, ada));
  expect(tokens).toMatchObject({ token_type: "DPoP" });
  expect(decodeJwt(String(tokens.access_token)).cnf).toEqual({ jkt: thumbprint });

  const renew = async (proof: string | null) =>
    json(
      await post(
        `${acme.issuer}/token`,
        { grant_type: "refresh_token", client_id: clientId, refresh_token: String(tokens.refresh_token) },
        proof === null ? {} : { dpop: proof },
      ),
    );
  expect(await renew(null)).toMatchObject({ error: "invalid_grant" });
  expect(await renew(await (await makeProver()).prove())).toMatchObject({ error: "invalid_grant" });
  const renewed = await renew(await prove());
  expect(decodeJwt(String(renewed.access_token)).cnf).toEqual({ jkt: thumbprint });
});

test.each([
  ["for another address", { htu: "http://127.0.0.1/token" }],
  ["for another method", { htm: "GET" }],
  ["from long ago", { iat: Math.floor(Date.now() / 1000) - 3600 }],
])("a proof %s is refused", async (_name, claims) => {
  const { acme } = server().issuers;
  const clientId = String((await register(acme)).client_id);
  const { prove } = await makeProver();
  expect(await redeem(clientId, await prove(claims), await authorize(acme, clientId, ada))).toMatchObject({
    error: "invalid_dpop_proof",
  });
});

test("a proof counts once, also after a restart of the server", async () => {
  const { acme } = server().issuers;
  const clientId = String((await register(acme)).client_id);
  const proof = await (await makeProver()).prove();
  expect(await redeem(clientId, proof, await authorize(acme, clientId, ada))).toMatchObject({
    token_type: "DPoP",
  });
  server().restart();
  expect(await redeem(clientId, proof, await authorize(acme, clientId, ada))).toMatchObject({
    error: "invalid_grant",
  });
});
