import type { TenantId } from "../core/ids.ts";
import type { Refusal } from "../core/refusal.ts";
import type { TrustedIssuer } from "../tenancy/tenant-snapshot.ts";

/** What a token proved, by its signature or by its issuer's word. The token itself is not in it. */
export interface VerifiedToken {
  readonly kind: "verified";
  readonly issuer: TrustedIssuer;
  readonly subject: string;
  /** `client_id` (RFC 9068), or what the provider has in its place. */
  readonly clientId: string | null;
  /** Values of the registration's scope claims. */
  readonly permissions: ReadonlySet<string>;
  /** Values of the registration's roles claim: names, which mean something only where the tenant defines them. */
  readonly roles: readonly string[];
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  /** `iat` in milliseconds since 1970; 0 where an introspected token has none. */
  readonly issuedAt: number;
  readonly tokenId: string | null;
  /** Published `kid` of the key that signed it; null for a key without one, and for an introspected token. */
  readonly signingKeyId: string | null;
  /** Thumbprint of the key that must prove its possession (RFC 9449 section 6); null: whoever bears the token. */
  readonly boundTo: string | null;
  /** Value of the issuer's tenant claim; null where the issuer belongs to one tenant and names no claim. */
  readonly tenantClaim: string | null;
}

/**
 * Who says which tenant a token is for: `issuer`: the registration, whose `tenantValue` the claim must equal;
 * `claim`: the token of a broker, whose claim the caller looks up in an explicit table.
 */
export type TenantSource = "issuer" | "claim";

/** What an introspected token is for. */
export interface IntrospectionPurpose {
  /** One whose `introspection` is not null. */
  readonly registration: TrustedIssuer;
  /** The tenant of the URL; null on the shared one, where answers are kept by registration. */
  readonly tenantId: TenantId | null;
  /** The one audience expected. */
  readonly audience: string;
  readonly tenantOf: TenantSource;
  /** Where the request comes from: nobody may have all the questions. */
  readonly address: string;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** `data.limit` of a refusal `rate_limited` of an address that asks about too many tokens at once: it counts as a failure. */
export const INTROSPECTION_LIMIT = "introspections";

/** Asks an issuer about a token of its own that nobody else can read (RFC 7662). */
export interface Introspector {
  /**
   * @returns a refusal `token_invalid`, `introspection_unavailable` where the issuer does not answer, or `rate_limited`
   *   where the address has too many questions under way.
   */
  introspect(
    token: string,
    purpose: IntrospectionPurpose,
  ): VerifiedToken | Refusal | Promise<VerifiedToken | Refusal>;
  /** The answer for a token that was accepted a moment ago; null for any other, and nobody is asked. */
  recall(token: string, purpose: IntrospectionPurpose): VerifiedToken | null;
}
