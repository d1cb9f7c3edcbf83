import type { Clock } from "../core/clock.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { ApiKey, DpopMode, TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import { isSecretOf, type PresentedKey } from "./api-key.ts";
import type { Caller } from "./caller.ts";
import type { Credential } from "./credential.ts";
import { principalOfKey, principalOfToken } from "./principal-of.ts";
import { isKeyRevoked, isTokenRevoked } from "./revocation-check.ts";
import { isSameIssuer, isSameRegistration } from "./same-registration.ts";
import type { VerifiedToken } from "./verified-token.ts";

/**
 * What is asked anew on every request, of a tenant's configuration as it is now: whether a credential that is genuine
 * counts there. Synchronous, and what it makes of a credential is kept as long as credential and configuration are.
 */
export interface Acceptance {
  /** Whether a proof of possession is needed besides is for the caller to see, by `boundTo`. */
  acceptToken(
    token: VerifiedToken,
    presented: { readonly scheme: "Bearer" | "DPoP"; readonly snapshot: TenantSnapshot },
  ): Caller | Refusal;
  acceptKey(presented: PresentedKey, snapshot: TenantSnapshot): Caller | Refusal;
  /** Whether a credential that was accepted counts under a newer configuration of the same tenant. */
  stillHolds(snapshot: TenantSnapshot, caller: Caller): boolean;
}

interface TokenCaller extends Caller {
  readonly credential: Extract<Credential, { kind: "token" }>;
}

export function createAcceptance(clock: Clock): Acceptance {
  const byToken = new WeakMap<VerifiedToken, TokenCaller>();
  const byKey = new WeakMap<ApiKey, Caller>();

  /** Null where the tenant does not have this very registration any more: the token was verified under an older one. */
  function callerOf(token: VerifiedToken, snapshot: TenantSnapshot): TokenCaller | null {
    const known = byToken.get(token);
    if (known?.snapshot === snapshot) return known;
    const registration = snapshot.issuers.find(({ id }) => id === token.issuer.id);
    if (registration === undefined || registration.tenantValue !== token.tenantClaim) return null;
    if (!isSameIssuer(registration, token.issuer)) return null;
    const caller: TokenCaller = Object.freeze({
      snapshot,
      principal: principalOfToken(token, snapshot),
      credential: credentialOf(token),
      scopes: token.permissions,
    });
    byToken.set(token, caller);
    return caller;
  }

  return {
    acceptToken(token, { scheme, snapshot }) {
      const unfit = bindingFlaw(scheme, token.boundTo, snapshot.dpop);
      if (unfit !== null) return invalid(unfit);
      const caller = callerOf(token, snapshot);
      if (caller === null) return invalid("the issuer's registration has changed");
      if (isTokenRevoked(snapshot.revocations, caller.credential)) return invalid("revoked");
      return caller;
    },
    acceptKey({ id, secret }, snapshot) {
      const key = snapshot.apiKeys.get(id);
      if (key === undefined) return invalid("no such API key");
      if (!isSecretOf(key, secret)) return invalid("not the API key's secret");
      if (!counts(key, snapshot, clock.now())) return invalid("the API key has expired or was revoked");
      const known = byKey.get(key);
      if (known?.snapshot === snapshot) return known;
      const principal = principalOfKey(key, snapshot);
      const caller: Caller = Object.freeze({
        snapshot,
        principal,
        credential: Object.freeze({ kind: "key" as const, keyId: key.id, expiresAt: key.expiresAt }),
        scopes: principal.permissions,
      });
      byKey.set(key, caller);
      return caller;
    },
    stillHolds(snapshot, caller) {
      if (snapshot.id !== caller.snapshot.id || snapshot.status !== "active") return false;
      const { credential } = caller;
      if (credential.kind === "local") return true;
      if (credential.kind === "key") {
        const key = snapshot.apiKeys.get(credential.keyId);
        return key !== undefined && counts(key, snapshot, clock.now());
      }
      if (clock.now() >= credential.expiresAt) return false;
      if (credential.bound ? snapshot.dpop === "off" : snapshot.dpop === "require") return false;
      const [before, after] = [caller.snapshot, snapshot].map(({ issuers }) =>
        issuers.find(({ id }) => id === credential.issuerId),
      );
      if (before === undefined || after === undefined || !isSameRegistration(before, after)) return false;
      return !isTokenRevoked(snapshot.revocations, credential);
    },
  };
}

function counts(key: ApiKey, snapshot: TenantSnapshot, nowMs: number): boolean {
  return nowMs < key.expiresAt && !isKeyRevoked(snapshot.revocations, key);
}

/**
 * A bound token counts only with its proof, which comes under the scheme DPoP: whoever stole it would send it as Bearer
 * (RFC 9449 section 7.2). The other way round, a token that is bound to nothing proves nothing under DPoP.
 */
function bindingFlaw(scheme: "Bearer" | "DPoP", boundTo: string | null, mode: DpopMode): string | null {
  if (boundTo === null) {
    if (scheme === "DPoP") return "DPoP with a token that is not bound to a key";
    return mode === "require" ? "the tenant takes only tokens that are bound to a key" : null;
  }
  if (mode === "off") return "the tenant takes no tokens that are bound to a key";
  return scheme === "Bearer" ? "a token that is bound to a key as Bearer" : null;
}

function credentialOf(token: VerifiedToken): TokenCaller["credential"] {
  return Object.freeze({
    kind: "token",
    issuerId: token.issuer.id,
    issuer: token.issuer.issuer,
    subject: token.subject,
    tokenId: token.tokenId,
    issuedAt: token.issuedAt,
    signingKeyId: token.signingKeyId,
    roles: token.roles,
    bound: token.boundTo !== null,
    expiresAt: token.expiresAt,
  });
}

function invalid(cause: string): Refusal {
  return refuse("token_invalid", { cause });
}
