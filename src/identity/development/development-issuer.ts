import type { JWK } from "jose";
import { Fault } from "../../core/fault.ts";
import type { TenantId } from "../../core/ids.ts";
import { isLoopbackAddress } from "../private-addresses.ts";

/** A person as whom one can sign in without a password. */
export interface DevelopmentUser {
  readonly subject: string;
  readonly name: string;
  readonly tenantId: TenantId;
  readonly permissions: readonly string[];
}

/** One issuer of the development authorization server. */
export interface DevelopmentIssuer {
  /** Last part of the URL: a tenant's slug, or the broker's own name. */
  readonly name: string;
  /** `{baseUrl}/issuers/{name}`. */
  readonly issuer: string;
  /** The resource identifier for which it gives tokens. */
  readonly resource: string;
  /** The tenant whose issuer it is; of a broker: every tenant that its tokens may name. */
  readonly tenants: readonly { readonly id: TenantId; readonly name: string }[];
  readonly users: readonly DevelopmentUser[];
  /** Permissions that can be asked for; those of the users are added. */
  readonly scopes: readonly string[];
  /** ES256 private key, from `generateSigningKey`. */
  readonly signingKey: JWK;
  /** True for the issuer of several tenants, each user of which belongs to one. */
  readonly broker: boolean;
}

/** The claim that names the tenant in every token of the development authorization server. */
export const DEVELOPMENT_TENANT_CLAIM = "tenant_id";

/** The issuer URL of a name. */
export function developmentIssuerUrl(baseUrl: string, name: string): string {
  return `${baseUrl.replace(/\/$/, "")}/issuers/${name}`;
}

/**
 * An issuer's users by account id: the subject, and at a broker the tenant's id before it. In access tokens it is always
 * the subject alone. With its tenant in it, what was given to an account is never another tenant's, whoever comes and
 * goes.
 */
export function accountsOf(issuer: DevelopmentIssuer): ReadonlyMap<string, DevelopmentUser> {
  return new Map(
    issuer.users.map((user) => [issuer.broker ? `${user.tenantId}/${user.subject}` : user.subject, user]),
  );
}

/** @throws Fault `setting_invalid` where the base URL is not of this machine: whoever reaches these issuers can be anybody. */
export function checkDevelopmentBaseUrl(baseUrl: string): void {
  const hostname = new URL(baseUrl).hostname.replace(/^\[|\]$/g, "");
  if (hostname !== "localhost" && !isLoopbackAddress(hostname)) {
    throw new Fault("setting_invalid", { detail: "Development issuers are served on loopback only." });
  }
}

/** @throws Fault `setting_invalid` where the issuer contradicts itself or the base URL. */
export function checkDevelopmentIssuer(baseUrl: string, issuer: DevelopmentIssuer): void {
  const fail = (detail: string): never => {
    throw new Fault("setting_invalid", { detail });
  };
  if (!/^[a-z_][a-z0-9_-]*$/.test(issuer.name)) fail(`Issuer name ${issuer.name} cannot be part of a URL.`);
  const expected = developmentIssuerUrl(baseUrl, issuer.name);
  if (issuer.issuer !== expected) fail(`The development issuer ${issuer.name} must be at ${expected}.`);
  if (!issuer.broker && issuer.tenants.length !== 1) fail(`Issuer ${issuer.name} must have one tenant.`);
  for (const user of issuer.users) {
    if (!issuer.tenants.some((tenant) => tenant.id === user.tenantId)) {
      fail(`User ${user.subject} of issuer ${issuer.name} belongs to no tenant of it.`);
    }
  }
  if (accountsOf(issuer).size < issuer.users.length) fail(`Issuer ${issuer.name} has a user twice.`);
}
