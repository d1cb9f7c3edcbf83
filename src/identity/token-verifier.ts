import { type CryptoKey, compactVerify } from "jose";
import type { Clock } from "../core/clock.ts";
import { isRefusal, type Refusal, refuse } from "../core/refusal.ts";
import type { TrustedIssuer } from "../tenancy/tenant-snapshot.ts";
import type { KeySets } from "./key-sets.ts";
import { type CheckedClaims, checkClaims } from "./token-claims.ts";
import { checkHeader, type SignatureHeader } from "./token-header.ts";
import { own, readTokenParts } from "./token-parts.ts";
import type { TenantSource, VerifiedToken } from "./verified-token.ts";
import { createVerifiedTokenCache, tokenDigest } from "./verified-token-cache.ts";

export interface VerifyOptions {
  /** The resource identifier of the URL, from configuration; the token's audience must be exactly this. */
  readonly resource: string;
  /** The issuers allowed at this URL, each `issuer` at most once. */
  readonly candidates: readonly TrustedIssuer[];
  /**
   * Default `issuer`: the tenant claim must equal the registration's `tenantValue`. With `claim`, for the shared URL,
   * only brokers count, `tenantValue` is not looked at, and the caller maps (issuer id, `tenantClaim`) to a tenant.
   */
  readonly tenantOf?: TenantSource;
}

/**
 * Verifies access tokens (RFC 9068, RFC 8725). What was revoked, and whether the key that a token is bound to was proved,
 * is for whoever lets a caller in: both are of the moment, while a verification is remembered.
 */
export interface TokenVerifier {
  /**
   * Answers at once for a token that it has verified before.
   *
   * @returns a refusal `token_invalid`, whose cause names the broken rule and never the token, or `keys_unavailable`.
   */
  verify(token: string, options: VerifyOptions): VerifiedToken | Refusal | Promise<VerifiedToken | Refusal>;
  /** The answer for a token that was verified before and still holds; null for any other, and nothing is tried. */
  recall(token: string, options: VerifyOptions): VerifiedToken | null;
}

/** @param cacheSize most verified tokens remembered. */
export function createTokenVerifier(parts: {
  readonly clock: Clock;
  readonly keySets: KeySets;
  readonly cacheSize: number;
}): TokenVerifier {
  const { clock, keySets } = parts;
  const cache = createVerifiedTokenCache(parts.cacheSize, keySets.isWithdrawn);

  async function finish(
    token: string,
    read: { readonly header: SignatureHeader; readonly claims: CheckedClaims },
    remember: (verified: VerifiedToken, key: CryptoKey) => void,
  ): Promise<VerifiedToken | Refusal> {
    const { header, claims } = read;
    const key = await keySets.find(claims.issuer, header);
    if (isRefusal(key)) return key;
    try {
      await compactVerify(token, key, { algorithms: [header.alg] });
    } catch {
      return invalid("the signature does not match");
    }
    // The key's own name, not the header's: whoever has a revoked key would leave that out.
    const signingKeyId = keySets.keyIdOf(key);
    const verified: VerifiedToken = Object.freeze({ kind: "verified", ...claims, signingKeyId });
    remember(verified, key);
    return verified;
  }

  return {
    verify(token, { resource, candidates, tenantOf = "issuer" }) {
      const nowMs = clock.now();
      const digest = tokenDigest(token);
      const known = cache.get(digest, { resource, tenantOf, candidates, nowMs });
      if (known !== undefined) return known;

      const read = readTokenParts(token);
      if (typeof read === "string") return invalid(read);
      // The unverified `iss` does no more than pick one of the allowed issuers; a stranger causes no network traffic.
      const iss = own(read.payload, "iss");
      const issuer = candidates.find(
        (candidate) => candidate.issuer === iss && (tenantOf === "issuer" || candidate.broker),
      );
      if (issuer === undefined) return invalid("iss is not an issuer allowed here");
      const header = checkHeader(read, issuer);
      if (typeof header === "string") return invalid(header);
      const audience = issuer.audience ?? resource;
      const claims = checkClaims(read.payload, { issuer, audience, tenantOf, nowMs });
      if (typeof claims === "string") return invalid(claims);
      return finish(token, { header, claims }, (verified, key) =>
        cache.put(digest, verified, { resource, tenantOf, key, nowMs }),
      );
    },
    recall(token, { resource, candidates, tenantOf = "issuer" }) {
      return cache.get(tokenDigest(token), { resource, tenantOf, candidates, nowMs: clock.now() }) ?? null;
    },
  };
}

function invalid(cause: string): Refusal {
  return refuse("token_invalid", { cause });
}
