import type { TrustedIssuer } from "../tenancy/tenant-snapshot.ts";

/** What a token proved. The token itself is not in it. */
export interface VerifiedToken {
  readonly kind: "verified";
  readonly issuer: TrustedIssuer;
  readonly subject: string;
  /** `client_id` (RFC 9068), or else `azp`. */
  readonly clientId: string | null;
  /** The `scope` claim's values. */
  readonly permissions: ReadonlySet<string>;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  readonly tokenId: string | null;
  /** Value of the issuer's tenant claim; null where the issuer belongs to one tenant and names no claim. */
  readonly tenantClaim: string | null;
}

/**
 * Who says which tenant a token is for: `issuer`: the registration, whose `tenantValue` the claim must equal;
 * `claim`: the token of a broker, whose claim the caller looks up in an explicit table.
 */
export type TenantSource = "issuer" | "claim";
