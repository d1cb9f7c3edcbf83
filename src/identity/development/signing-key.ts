import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from "jose";

/** Makes the private key of a development issuer, ready to be kept: ES256, named by its thumbprint (RFC 7638). */
export async function generateSigningKey(): Promise<JWK> {
  const pair = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(pair.privateKey);
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: "ES256", use: "sig" };
}
