import type { IssuerId, Slug, TenantId } from "../core/ids.ts";
import type { Limits } from "./limits.ts";

/** An issuer whose tokens may act for a tenant, with the one claim value that does. */
export interface TrustedIssuer {
  readonly id: IssuerId;
  /** The `iss` value, compared as an exact string. */
  readonly issuer: string;
  readonly jwksUri: string;
  /** True for an issuer that serves several tenants, each by its own claim value. */
  readonly broker: boolean;
  /** Audience to expect instead of the resource identifier of the URL, where the provider cannot issue that. */
  readonly audience: string | null;
  /** Name of the claim that names the tenant; null only where the issuer belongs to one tenant. */
  readonly tenantClaim: string | null;
  /** The claim's value for this tenant; null only where `tenantClaim` is. */
  readonly tenantValue: string | null;
  /** Signature algorithms allowed, asymmetric only. */
  readonly algorithms: readonly string[];
  /** Expected `typ` of the token's header. */
  readonly tokenType: string;
  /** Made by `bulkhead dev`; `bulkhead serve` refuses it. */
  readonly development: boolean;
}

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
  readonly settings: Readonly<Record<string, unknown>>;
  readonly issuers: readonly TrustedIssuer[];
  /** Where the tenant is served: on every shared instance, or by instances of its own. */
  readonly placement: "shared" | "dedicated";
  /** Global configuration version at which this snapshot was read. */
  readonly version: number;
}
