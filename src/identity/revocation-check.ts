import type { Revocations } from "../tenancy/revocations.ts";
import { type ApiKey, subjectKey } from "../tenancy/tenant-snapshot.ts";
import type { Credential } from "./credential.ts";

/**
 * Whether a tenant has revoked a token: that one, all that its signing key made, or what was issued to its subject, or for
 * the tenant, at or before a moment.
 *
 * Issuers write `iat` in whole seconds (RFC 7519 NumericDate), rounded down: a token of the very second of a revocation
 * counts as one from before it, whether it was or not. Where an issuer's clock is ahead, a moment that is as much later
 * takes in what it issued meanwhile.
 */
export function isTokenRevoked(
  revocations: Revocations,
  token: Extract<Credential, { kind: "token" }>,
): boolean {
  const { tokens, signingKeys, subjects, notBefore } = revocations;
  const { issuer } = token;
  if (notBefore !== null && token.issuedAt <= notBefore) return true;
  if (tokens.size > 0 && token.tokenId !== null && tokens.has(subjectKey(issuer, token.tokenId))) return true;
  if (
    signingKeys.size > 0 &&
    token.signingKeyId !== null &&
    signingKeys.has(subjectKey(issuer, token.signingKeyId))
  ) {
    return true;
  }
  if (subjects.size === 0) return false;
  const since = subjects.get(subjectKey(issuer, token.subject));
  return since !== undefined && token.issuedAt <= since;
}

/** Whether a tenant has revoked an API key together with all that was issued before a moment; a single one is deleted. */
export function isKeyRevoked(revocations: Revocations, key: ApiKey): boolean {
  return revocations.notBefore !== null && key.createdAt <= revocations.notBefore;
}
