import { hash } from "node:crypto";
import type { CryptoKey } from "jose";
import type { TrustedIssuer } from "../tenancy/tenant-snapshot.ts";
import { isSameRegistration } from "./same-registration.ts";
import { CLOCK_SKEW_SECONDS } from "./token-claims.ts";
import type { TenantSource, VerifiedToken } from "./verified-token.ts";

/** What a token was verified for. It counts again only for exactly the same. */
export interface VerifiedFor {
  readonly resource: string;
  readonly tenantOf: TenantSource;
}

/** Verified tokens by the hash of the token: least recently used first out. */
export interface VerifiedTokenCache {
  /**
   * The token's earlier verification, where it was for the same resource, one of the candidates is the issuer's very
   * registration as it was then, the issuer still publishes the key, and the token has not expired.
   */
  get(
    digest: string,
    use: VerifiedFor & { candidates: readonly TrustedIssuer[]; nowMs: number },
  ): VerifiedToken | undefined;
  /** @param use.key the key that verified it: once it is withdrawn, the verification counts no more. */
  put(digest: string, token: VerifiedToken, use: VerifiedFor & { key: CryptoKey; nowMs: number }): void;
}

interface Entry extends VerifiedFor {
  readonly token: VerifiedToken;
  readonly key: CryptoKey;
  /** Time of verification: a clock set back before it makes the entry unusable. */
  readonly verifiedAt: number;
  /** The candidate last found to be the token's registration: each new snapshot brings its own object for it. */
  registration: TrustedIssuer;
}

/** The key under which a token is remembered: a dump of memory or a log of keys gives no token away. */
export function tokenDigest(token: string): string {
  return hash("sha256", token, "base64");
}

/** @param size most tokens remembered; 0 remembers none. */
export function createVerifiedTokenCache(
  size: number,
  isWithdrawn: (key: CryptoKey) => boolean,
): VerifiedTokenCache {
  const entries = new Map<string, Entry>();
  return {
    get(digest, use) {
      const entry = entries.get(digest);
      if (entry === undefined || entry.resource !== use.resource || entry.tenantOf !== use.tenantOf)
        return undefined;
      const { token } = entry;
      const outOfTime =
        use.nowMs >= token.expiresAt || use.nowMs < entry.verifiedAt - CLOCK_SKEW_SECONDS * 1000;
      if (outOfTime || isWithdrawn(entry.key)) {
        entries.delete(digest);
        return undefined;
      }
      const registration = use.candidates.find(({ id }) => id === token.issuer.id);
      if (registration !== entry.registration) {
        if (registration === undefined || !isSameRegistration(registration, token.issuer)) return undefined;
        entry.registration = registration;
      }
      // Moving it to the end on every hit would cost the request path; it matters only where some may have to go.
      if (entries.size > size / 2) {
        entries.delete(digest);
        entries.set(digest, entry);
      }
      return token;
    },
    put(digest, token, use) {
      if (size === 0 || use.nowMs >= token.expiresAt) return;
      entries.delete(digest);
      entries.set(digest, {
        token,
        key: use.key,
        resource: use.resource,
        tenantOf: use.tenantOf,
        verifiedAt: use.nowMs,
        registration: token.issuer,
      });
      if (entries.size > size) {
        const oldest = entries.keys().next();
        if (!oldest.done) entries.delete(oldest.value);
      }
    },
  };
}
