import type { JWK } from "jose";
import { Fault } from "../../core/fault.ts";
import type { TenantId } from "../../core/ids.ts";
import { isLoopbackAddress } from "../private-addresses.ts";

/** A tenant as a development issuer knows it. */
export interface DevelopmentTenant {
  readonly id: TenantId;
  readonly slug: string;
  readonly name: string;
  /** The resource identifier for which this issuer gives tokens of the tenant. */
  readonly resource: string;
}

/** A person as whom one can sign in without a password. */
export interface DevelopmentUser {
  readonly subject: string;
  readonly name: string;
  readonly tenantId: TenantId;
  readonly permissions: readonly string[];
}

/** One issuer of the development authorization server. */
export interface DevelopmentIssuer {
  /** Last part of the URL: a tenant's slug, or `shared`. */
  readonly name: string;
  /** `{baseUrl}/issuers/{name}`. */
  readonly issuer: string;
  readonly tenants: readonly DevelopmentTenant[];
  readonly users: readonly DevelopmentUser[];
  /** ES256 private key, from {@link generateSigningKey}. */
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
 * An issuer's users by account id: the subject, or, where tenants of a broker share one, the tenant's id and the
 * subject. In access tokens it is always the subject alone.
 */
export function accountsOf(issuer: DevelopmentIssuer): ReadonlyMap<string, DevelopmentUser> {
  const occurrences = new Map<string, number>();
  for (const { subject } of issuer.users) occurrences.set(subject, (occurrences.get(subject) ?? 0) + 1);
  return new Map(
    issuer.users.map((user) => {
      const shared = (occurrences.get(user.subject) ?? 0) > 1;
      return [shared ? `${user.tenantId}/${user.subject}` : user.subject, user];
    }),
  );
}

/**
 * @throws Fault `setting_invalid` where the issuers contradict each other or the base URL, or the base URL is not of this
 *   machine: whoever reaches these issuers can be anybody.
 */
export function checkDevelopmentIssuers(baseUrl: string, issuers: readonly DevelopmentIssuer[]): void {
  const fail = (detail: string): never => {
    throw new Fault("setting_invalid", { detail });
  };
  const hostname = new URL(baseUrl).hostname.replace(/^\[|\]$/g, "");
  if (hostname !== "localhost" && !isLoopbackAddress(hostname)) {
    fail("Development issuers are served on loopback only.");
  }
  const names = new Set<string>();
  for (const issuer of issuers) {
    if (!/^[a-z_][a-z0-9_-]*$/.test(issuer.name)) fail(`Issuer name ${issuer.name} cannot be part of a URL.`);
    if (names.has(issuer.name)) fail(`Two development issuers are called ${issuer.name}.`);
    names.add(issuer.name);
    const expected = developmentIssuerUrl(baseUrl, issuer.name);
    if (issuer.issuer !== expected) fail(`The development issuer ${issuer.name} must be at ${expected}.`);
    if (issuer.tenants.length === 0) fail(`The development issuer ${issuer.name} has no tenant.`);
    if (!issuer.broker && issuer.tenants.length > 1)
      fail(`Issuer ${issuer.name} has several tenants but is no broker.`);
    for (const user of issuer.users) {
      if (!issuer.tenants.some((tenant) => tenant.id === user.tenantId)) {
        fail(`User ${user.subject} of issuer ${issuer.name} belongs to no tenant of it.`);
      }
    }
    if (accountsOf(issuer).size < issuer.users.length) fail(`Issuer ${issuer.name} has a user twice.`);
  }
}
