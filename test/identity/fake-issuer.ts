import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK } from "jose";
import type { IssuerId } from "../../src/core/ids.ts";
import type { TrustedIssuer } from "../../src/tenancy/tenant-snapshot.ts";

export interface FakeKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

/** An identity provider's key endpoint, served over loopback http. */
export interface FakeIssuer {
  readonly origin: string;
  /** Replaces the answer: a key set, or something else altogether. */
  answer: (req: IncomingMessage, res: ServerResponse) => void;
  /** Requests so far. */
  readonly requests: () => number;
  publish(...keys: readonly unknown[]): void;
  close(): Promise<void>;
}

export async function startFakeIssuer(): Promise<FakeIssuer> {
  let requests = 0;
  const server = createServer((req, res) => {
    requests++;
    issuer.answer(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer: FakeIssuer = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answer: (_req, res) => res.end('{"keys":[]}'),
    requests: () => requests,
    publish(...keys) {
      issuer.answer = (_req, res) => res.end(JSON.stringify({ keys }));
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return issuer;
}

export async function makeKey(kid: string, alg = "ES256"): Promise<FakeKey> {
  const pair = await generateKeyPair(alg, { extractable: true });
  return {
    kid,
    privateKey: pair.privateKey,
    publicJwk: { ...(await exportJWK(pair.publicKey)), kid, alg, use: "sig" },
  };
}

/** What a registration has that says nothing in particular. */
export const ISSUER_DEFAULTS = {
  audience: null,
  otherAudiences: [],
  tenantClaim: "tenant_id",
  tenantClaimForm: "text",
  scopeClaims: ["scope"],
  rolesClaim: null,
  algorithms: ["ES256"],
  tokenType: "at+jwt",
  maxLifetimeSeconds: 3_600,
  introspection: null,
} as const satisfies Partial<TrustedIssuer>;

let registrations = 0;

/** A registration that trusts `issuer`, of one tenant whose claim value is `tnt_acme`. */
export function registration(issuer: FakeIssuer, changes: Partial<TrustedIssuer> = {}): TrustedIssuer {
  registrations++;
  return {
    id: `iss_${String(registrations).padStart(26, "0")}` as IssuerId,
    issuer: issuer.origin,
    jwksUri: `${issuer.origin}/jwks`,
    broker: false,
    ...ISSUER_DEFAULTS,
    tenantValue: "tnt_acme",
    development: false,
    ...changes,
  };
}
