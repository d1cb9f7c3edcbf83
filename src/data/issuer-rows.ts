import type { IssuerId, TenantId } from "../core/ids.ts";
import type { IssuerRecord } from "../tenancy/issuer-record.ts";
import type { PlacedRow } from "./creation-page.ts";

export interface IssuerRow extends PlacedRow {
  id: IssuerId;
  tenant_id: TenantId | null;
  issuer: string;
  profile: string;
  jwks_uri: string | null;
  audience: string | null;
  other_audiences: string[];
  tenant_claim: string | null;
  tenant_claim_form: IssuerRecord["tenantClaimForm"];
  tenant_value: string | null;
  scope_claims: string[];
  roles_claim: string[] | null;
  algorithms: string[];
  token_type: string;
  max_lifetime_seconds: number;
  introspection_endpoint: string | null;
  introspection_client_id: string | null;
  development: boolean;
  created_at: Date;
}

/** Columns of registrations as `i` that are the same for everyone; the sealed secret is not among them. */
const TERMS = `
  i.id, i.tenant_id, i.issuer, i.profile, i.jwks_uri, i.audience, i.other_audiences, i.tenant_claim, i.tenant_claim_form,
  i.scope_claims, i.roles_claim, i.algorithms, i.token_type, i.max_lifetime_seconds, i.introspection_endpoint,
  i.introspection_client_id, i.development`;

/** The columns of an {@link IssuerRow}, of registrations as `i`. */
export const ISSUER_COLUMNS = `${TERMS}, i.tenant_value, i.created_at,
  (extract(epoch FROM i.created_at) * 1000000)::bigint AS created_micros`;

/** The same of the issuers that a tenant has: its own, and brokers as `i` whose mappings are `b`. */
export const TENANT_ISSUER_COLUMNS = `${TERMS}, coalesce(b.claim_value, i.tenant_value) AS tenant_value,
  coalesce(b.created_at, i.created_at) AS created_at,
  (extract(epoch FROM coalesce(b.created_at, i.created_at)) * 1000000)::bigint AS created_micros`;

export function toIssuerRecord(row: IssuerRow): IssuerRecord {
  return {
    id: row.id,
    issuer: row.issuer,
    broker: row.tenant_id === null,
    profile: row.profile,
    jwksUri: row.jwks_uri,
    audience: row.audience,
    otherAudiences: row.other_audiences,
    tenantClaim: row.tenant_claim,
    tenantClaimForm: row.tenant_claim_form,
    tenantValue: row.tenant_value,
    scopeClaims: row.scope_claims,
    rolesClaim: row.roles_claim,
    algorithms: row.algorithms,
    tokenType: row.token_type,
    maxLifetimeSeconds: row.max_lifetime_seconds,
    introspection:
      row.introspection_endpoint === null || row.introspection_client_id === null
        ? null
        : { endpoint: row.introspection_endpoint, clientId: row.introspection_client_id },
    development: row.development,
    createdAt: row.created_at,
  };
}
