import type { KeyPairKeyObjectResult } from "node:crypto";
import { es256, type JwsRecipe, jwkOf, type Members, makeJws, sha256 } from "./hand-made-jws.ts";

/** What a good proof of possession is about. */
export interface ProofSubject {
  /** An elliptic-curve pair (P-256). */
  readonly keys: KeyPairKeyObjectResult;
  readonly token: string;
  readonly url: string;
  /** Default POST. */
  readonly method?: string;
  /** Seconds since 1970. */
  readonly now: number;
}

let made = 0;

export const proofHeader = ({ keys }: Pick<ProofSubject, "keys">): Members => ({
  typ: "dpop+jwt",
  alg: "ES256",
  jwk: jwkOf(keys.publicKey),
});

/** Each time with another jti. */
export const proofClaims = (of: ProofSubject): Members => ({
  jti: `proof-${++made}`,
  htm: of.method ?? "POST",
  htu: of.url,
  iat: of.now,
  ath: sha256(of.token),
});

export function makeProof(of: ProofSubject, recipe: JwsRecipe = {}): string {
  return makeJws(
    { header: proofHeader(of), claims: proofClaims(of), sign: es256(of.keys.privateKey) },
    recipe,
  );
}
