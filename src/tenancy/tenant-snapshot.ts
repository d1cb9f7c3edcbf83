import type { ApiKeyId, IssuerId, Slug, TenantId } from "../core/ids.ts";
import type { Limits } from "./limits.ts";
import type { Revocations } from "./revocations.ts";

/** An issuer whose tokens may act for a tenant, with the one claim value that does. */
export interface TrustedIssuer {
  readonly id: IssuerId;
  /** The `iss` value, compared as an exact string. */
  readonly issuer: string;
  /** Where its keys are; null for one whose tokens are only introspected. */
  readonly jwksUri: string | null;
  /** True for an issuer that serves several tenants, each by its own claim value. */
  readonly broker: boolean;
  /** Audience to expect instead of the resource identifier of the URL, where the provider cannot issue that. */
  readonly audience: string | null;
  /** Audiences that may stand beside the expected one: those that the provider always adds. None of them is ours. */
  readonly otherAudiences: readonly string[];
  /** Name of the claim that names the tenant; null only where the issuer belongs to one tenant. */
  readonly tenantClaim: string | null;
  /** `text`: the claim is the value; `single`: an array or object of exactly one, whose element or member's name is it. */
  readonly tenantClaimForm: "text" | "single";
  /** The claim's value for this tenant; null only where `tenantClaim` is. */
  readonly tenantValue: string | null;
  /** Claims whose values are permissions: texts with spaces between, or arrays of texts. */
  readonly scopeClaims: readonly string[];
  /** Path of the claim that names roles of the tenant, for example `["realm_access", "roles"]`; null: none does. */
  readonly rolesClaim: readonly string[] | null;
  /** Signature algorithms allowed, asymmetric only. */
  readonly algorithms: readonly string[];
  /**
   * Expected `typ` of the token's header: `at+jwt` always counts. Any other (`JWT`, or `absent` for providers that send
   * none) only with another mark that it is an access token.
   */
  readonly tokenType: string;
  /** Longest life of a token, in seconds. */
  readonly maxLifetimeSeconds: number;
  /** Where opaque tokens are introspected (RFC 7662); null: they are refused. The secret is sealed. */
  readonly introspection: {
    readonly endpoint: string;
    readonly clientId: string;
    /** Base64. */
    readonly sealedSecret: string;
  } | null;
  /** Made by `bulkhead dev`; `bulkhead serve` refuses it. */
  readonly development: boolean;
}

/** An API key as it is checked: of its secret, the SHA-256 alone. */
export interface ApiKey {
  readonly id: ApiKeyId;
  readonly name: string;
  /** SHA-256 of the secret, base64. */
  readonly secretHash: string;
  readonly permissions: readonly string[];
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** Whether tokens bound to a key (RFC 9449) are taken, and whether only those. */
export type DpopMode = "off" | "allow" | "require";

/** A role defined by a tenant: a name for a set of permissions. */
export type Roles = Readonly<Record<string, readonly string[]>>;

/**
 * All that the server knows about a tenant's configuration at one version: immutable, and replaced as a whole when a
 * newer version is seen.
 */
export interface TenantSnapshot {
  readonly id: TenantId;
  readonly slug: Slug;
  readonly name: string;
  readonly status: "active" | "suspended";
  readonly plan: string;
  readonly limits: Limits;
  /** Tool sets that are on: the tenant's own list, or else its plan's. */
  readonly toolSets: ReadonlySet<string>;
  /** Scopes that this tenant's resource metadata names; empty: those that the server's tools require. */
  readonly scopes: readonly string[];
  readonly roles: Roles;
  /** Roles that the tenant has given to subjects, by {@link subjectKey}. */
  readonly roleAssignments: ReadonlyMap<string, readonly string[]>;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly issuers: readonly TrustedIssuer[];
  /** Empty where the tenant has not turned API keys on. */
  readonly apiKeys: ReadonlyMap<ApiKeyId, ApiKey>;
  readonly dpop: DpopMode;
  readonly revocations: Revocations;
  /** Where the tenant is served: on every shared instance, or by instances of its own. */
  readonly placement: "shared" | "dedicated";
  /** Global configuration version at which this snapshot was read. */
  readonly version: number;
}

/** Names a subject of an issuer, or anything else that only an issuer's word makes unique. A URL has no line break. */
export function subjectKey(issuer: string, value: string): string {
  return `${issuer}\n${value}`;
}
