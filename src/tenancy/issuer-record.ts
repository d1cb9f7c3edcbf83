import type { IssuerId } from "../core/ids.ts";
import type { TrustedIssuer } from "./tenant-snapshot.ts";

/** What a registration says of an issuer's tokens, whoever the issuer serves. */
export interface IssuerTerms
  extends Omit<TrustedIssuer, "id" | "broker" | "tenantValue" | "introspection" | "development"> {
  /** The profile that the registration was made from: for people; what holds are the other members. */
  readonly profile: string;
}

/** A registration to be made. */
export interface NewIssuer extends IssuerTerms {
  readonly id: IssuerId;
  /** Null for a broker, and where `tenantClaim` is. */
  readonly tenantValue: string | null;
  readonly introspection: {
    readonly endpoint: string;
    readonly clientId: string;
    /** The client's secret, sealed for this registration. */
    readonly sealedSecret: Uint8Array;
  } | null;
}

/** A registration as it is shown: an issuer of one tenant, or a broker, on its own or as a tenant is mapped to it. */
export interface IssuerRecord extends IssuerTerms {
  readonly id: IssuerId;
  readonly broker: boolean;
  /** The claim's value for the tenant that asks; null for a broker on its own. */
  readonly tenantValue: string | null;
  /** Never with its secret, sealed or not. */
  readonly introspection: { readonly endpoint: string; readonly clientId: string } | null;
  /** Made by `bulkhead dev`. */
  readonly development: boolean;
  /** When it was registered; of a broker that a tenant is mapped to: when that was done. */
  readonly createdAt: Date;
}
