import type { IssuerId, Slug, TenantId } from "../core/ids.ts";
import type { IssuerRecord, NewIssuer } from "../tenancy/issuer-record.ts";
import type { TenantName } from "../tenancy/tenant-record.ts";
import type { PageOf, PageRequest, TenantPageOf } from "./page.ts";

type TenantMissing = { readonly kind: "tenant_not_found" };
type IssuerMissing = { readonly kind: "issuer_not_found" };
/** Somebody has the issuer, or the broker's value, already: `issuerStanding` says who, for the operator. */
type IssuerRefused = { readonly kind: "issuer_refused" };
/** `of` says of what there are as many as there may be. */
type TooMany = { readonly kind: "too_many"; readonly of: "issuers" | "introspecting issuers" };
type IssuerDone = { readonly kind: "done"; readonly issuer: IssuerRecord };

/** Whether an issuer could be registered. */
export type IssuerStanding =
  | { readonly kind: "free" }
  /** A tenant can be mapped to it. */
  | { readonly kind: "broker" }
  /** `holder` is the tenant that has it; null for the broker of development. */
  | { readonly kind: "taken"; readonly holder: Slug | null };

export type BrokerCreation = IssuerDone | IssuerRefused | TooMany;
export type BrokerDeletion = IssuerDone | IssuerMissing;
export type IssuerCreation = IssuerDone | TenantMissing | IssuerRefused | TooMany;
export type IssuerDeletion =
  | (IssuerDone & { readonly tenantId: TenantId })
  | TenantMissing
  | IssuerMissing
  /** It is a broker, whose mapping is not the tenant's to remove. */
  | { readonly kind: "operator_only" };

/** What the admin API needs of the keeper of issuers. */
export interface IssuerAdministration {
  listBrokers(page: PageRequest): Promise<PageOf<IssuerRecord>>;
  createBroker(broker: NewIssuer): Promise<BrokerCreation>;
  /** Removes every tenant's mapping with it. */
  deleteBroker(id: IssuerId): Promise<BrokerDeletion>;
  /** The tenant's own issuers, and the brokers that it is mapped to. Null: there is no such tenant. */
  listIssuers(tenant: TenantName, page: PageRequest): Promise<TenantPageOf<IssuerRecord> | null>;
  issuerStanding(issuer: string): Promise<IssuerStanding>;
  createIssuer(tenant: TenantId, issuer: NewIssuer): Promise<IssuerCreation>;
  /** Maps a tenant to a broker by the value that the broker's tokens have in its tenant claim. */
  mapBroker(
    tenant: TenantId,
    mapping: { readonly issuer: string; readonly tenantValue: string },
  ): Promise<IssuerCreation>;
  /** Removes the tenant's own issuer, or, where `brokers` says that it may, the tenant's mapping to a broker. */
  deleteIssuer(tenant: TenantName, id: IssuerId, may: { readonly brokers: boolean }): Promise<IssuerDeletion>;
}
