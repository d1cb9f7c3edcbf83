import type { TrustedIssuer } from "../tenancy/tenant-snapshot.ts";
import type { JsonObject } from "./strict-json.ts";
import { isObject, own } from "./token-parts.ts";
import type { TenantSource, VerifiedToken } from "./verified-token.ts";

/** Seconds by which an issuer's clock may differ from ours. */
export const CLOCK_SKEW_SECONDS = 30;
/** OpenID Connect Core section 2 bounds `sub` at 255; the other identifiers are held to it too. */
const MAX_IDENTIFIER_LENGTH = 255;
/** Where providers name the client: RFC 9068; OpenID Connect, Auth0, Entra, Keycloak; Okta; Entra version 1. */
const CLIENT_CLAIMS = ["client_id", "azp", "cid", "appid"];
/** SHA-256 in base64url, in the one spelling: the last letter has two bits that are none of the digest's. */
const THUMBPRINT = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;

/** What the claims say once they are found in order. */
export type CheckedClaims = Omit<VerifiedToken, "kind" | "signingKeyId">;

export interface ExpectedClaims {
  readonly issuer: TrustedIssuer;
  /** The one audience expected, compared as an exact string. */
  readonly audience: string;
  readonly tenantOf: TenantSource;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** Introspection need not tell `iat` (RFC 7662 section 2.2); everything else is as for a JWT. */
  readonly mayLackIssueTime?: boolean;
}

/** Applies the rules for the claims; or says which was broken, without any value. */
export function checkClaims(payload: JsonObject, expected: ExpectedClaims): CheckedClaims | string {
  const { issuer } = expected;
  const time = checkTime(payload, expected);
  if (typeof time === "string") return time;
  if (!isForAudience(own(payload, "aud"), expected)) return "aud is not exactly this resource";
  const subject = own(payload, "sub");
  if (!isIdentifier(subject)) return "sub is not an identifier";
  const binding = readBinding(payload);
  if (binding.flaw !== null) return binding.flaw;
  const clientClaim = CLIENT_CLAIMS.find((name) => Object.hasOwn(payload, name));
  const clientId = clientClaim === undefined ? undefined : payload[clientClaim];
  if (clientClaim !== undefined && !isIdentifier(clientId)) return `${clientClaim} is not an identifier`;
  const tokenId = own(payload, "jti");
  if (tokenId !== undefined && !isIdentifier(tokenId)) return "jti is not an identifier";
  const permissions = readPermissions(payload, issuer.scopeClaims);
  if (permissions === null) return "a scope claim is neither a text nor a list of texts";
  const roles = issuer.rolesClaim === null ? [] : readRoles(payload, issuer.rolesClaim);
  if (roles === null) return "the roles claim is neither a text nor a list of texts";
  const tenant = readTenant(payload, expected);
  if (tenant.flaw !== null) return tenant.flaw;
  return {
    issuer,
    subject,
    clientId: isIdentifier(clientId) ? clientId : null,
    permissions,
    roles,
    expiresAt: time.exp * 1000,
    issuedAt: Math.floor(time.iat * 1000),
    tokenId: tokenId ?? null,
    boundTo: binding.value,
    tenantClaim: tenant.value,
  };
}

function checkTime(payload: JsonObject, expected: ExpectedClaims): { exp: number; iat: number } | string {
  const now = expected.nowMs / 1000;
  const exp = own(payload, "exp");
  const iat = own(payload, "iat");
  const nbf = own(payload, "nbf");
  if (!isTime(exp)) return "exp is not a time";
  const lacksIssueTime = iat === undefined && expected.mayLackIssueTime === true;
  if (!lacksIssueTime && !isTime(iat)) return "iat is not a time";
  if (nbf !== undefined && !isTime(nbf)) return "nbf is not a time";
  if (now >= exp + CLOCK_SKEW_SECONDS) return "exp has passed";
  const issued = isTime(iat) ? iat : now;
  if (issued > now + CLOCK_SKEW_SECONDS) return "iat is in the future";
  if (nbf !== undefined && nbf > now + CLOCK_SKEW_SECONDS) return "nbf is in the future";
  if (!lacksIssueTime && exp <= issued) return "exp is not after iat";
  if (exp - issued > expected.issuer.maxLifetimeSeconds + CLOCK_SKEW_SECONDS) {
    return "the lifetime is longer than this issuer's may be";
  }
  return { exp, iat: isTime(iat) ? iat : 0 };
}

/** The expected audience once; beside it only those that the provider always adds, each at most once. */
function isForAudience(claim: unknown, { issuer, audience }: ExpectedClaims): boolean {
  if (!Array.isArray(claim)) return claim === audience;
  const values: readonly unknown[] = claim;
  return (
    values.includes(audience) &&
    new Set(values).size === values.length &&
    values.every((value) => value === audience || isOneOf(issuer.otherAudiences, value))
  );
}

function isOneOf(list: readonly string[], value: unknown): boolean {
  return typeof value === "string" && list.includes(value);
}

type Claim = { readonly flaw: string } | { readonly flaw: null; readonly value: string | null };

/**
 * RFC 9449 section 6.1. Another member binds the token to something that is not checked here, a certificate for example,
 * so the token is refused rather than taken from whoever bears it (RFC 7800 section 3.1).
 */
function readBinding(payload: JsonObject): Claim {
  if (!Object.hasOwn(payload, "cnf")) return { flaw: null, value: null };
  const cnf = payload.cnf;
  if (!isObject(cnf) || Object.keys(cnf).length !== 1) return { flaw: "cnf is not one thumbprint of a key" };
  const thumbprint = own(cnf, "jkt");
  if (typeof thumbprint !== "string" || !THUMBPRINT.test(thumbprint)) {
    return { flaw: "cnf is not one thumbprint of a key" };
  }
  return { flaw: null, value: thumbprint };
}

function readPermissions(payload: JsonObject, names: readonly string[]): ReadonlySet<string> | null {
  const found = new Set<string>();
  for (const name of names) {
    const claim = own(payload, name);
    if (claim === undefined) continue;
    const values = typeof claim === "string" ? claim.split(" ") : listOfTexts(claim);
    if (values === null) return null;
    for (const value of values) if (value !== "") found.add(value);
  }
  return found;
}

function readRoles(payload: JsonObject, path: readonly string[]): readonly string[] | null {
  let claim: unknown = payload;
  for (const name of path) {
    if (!isObject(claim)) return null;
    if (!Object.hasOwn(claim, name)) return [];
    claim = claim[name];
  }
  return typeof claim === "string" ? [claim] : listOfTexts(claim);
}

function readTenant(payload: JsonObject, { issuer, tenantOf }: ExpectedClaims): Claim {
  if (issuer.tenantClaim === null) {
    return issuer.broker || issuer.tenantValue !== null || tenantOf === "claim"
      ? { flaw: "the issuer's registration names no tenant claim" }
      : { flaw: null, value: null };
  }
  const claim = own(payload, issuer.tenantClaim);
  const value = issuer.tenantClaimForm === "single" ? onlyOne(claim) : claim;
  // Which of two tenants would count? So more than one is refused, and where a text is expected anything else is.
  if (!isIdentifier(value)) return { flaw: "the tenant claim is not one identifier" };
  if (tenantOf === "issuer" && value !== issuer.tenantValue) {
    return { flaw: "the tenant claim names another tenant" };
  }
  return { flaw: null, value };
}

/** The one element, or the one member's name, as Keycloak writes a person's organizations. */
function onlyOne(claim: unknown): unknown {
  const values: readonly unknown[] = Array.isArray(claim)
    ? claim
    : isObject(claim)
      ? Object.keys(claim)
      : [claim];
  return values.length === 1 ? values[0] : undefined;
}

function listOfTexts(value: unknown): readonly string[] | null {
  return Array.isArray(value) && value.every((one) => typeof one === "string") ? value : null;
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

/** Text that can be stored, logged and compared: no control characters, no half surrogates. */
function isIdentifier(value: unknown): value is string {
  return (
    typeof value === "string" &&
    value !== "" &&
    value.length <= MAX_IDENTIFIER_LENGTH &&
    !/[\p{Cc}\p{Cs}]/u.test(value)
  );
}
