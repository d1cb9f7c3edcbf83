import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import type { Cleanup } from "./cleanup.ts";

/** An issuer of access tokens (RFC 9068, ES256) whose keys are published on this machine. */
export interface BenchIssuer {
  readonly issuer: string;
  readonly jwksUri: string;
  /** A token good for an hour. `tenant` is the value of the claim `tenant_id`. */
  sign(of: { readonly tenant: string; readonly audience: string; readonly scope: string }): Promise<string>;
}

export async function startBenchIssuer(cleanup: Cleanup): Promise<BenchIssuer> {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const kid = randomUUID();
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid, alg: "ES256", use: "sig" }] });
  const server = createServer((_req, res) => {
    res.writeHead(200, { "content-type": "application/jwk-set+json", connection: "close" }).end(keys);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  await cleanup.add(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    jwksUri: `${issuer}/jwks`,
    sign: ({ tenant, audience, scope }) =>
      new SignJWT({ tenant_id: tenant, client_id: "bench", scope })
        .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid })
        .setIssuer(issuer)
        .setSubject(`user-of-${tenant}`)
        .setAudience(audience)
        .setJti(randomUUID())
        .setIssuedAt()
        .setExpirationTime("1h")
        .sign(privateKey),
  };
}
