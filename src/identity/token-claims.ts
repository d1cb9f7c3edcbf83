import type { TrustedIssuer } from "../tenancy/tenant-snapshot.ts";
import type { JsonObject } from "./strict-json.ts";
import type { TokenParts } from "./token-parts.ts";
import type { TenantSource, VerifiedToken } from "./verified-token.ts";

/** Seconds by which an issuer's clock may differ from ours. */
export const CLOCK_SKEW_SECONDS = 30;
const MAX_LIFETIME_SECONDS = 3600;
/** OpenID Connect Core section 2 bounds `sub` at 255; the other identifiers are held to it too. */
const MAX_IDENTIFIER_LENGTH = 255;

/** Signature algorithms that can be allowed at all, whatever a registration says: never `none`, never symmetric. */
const ASYMMETRIC: ReadonlySet<string> = new Set([
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
]);

const ACCESS_TOKEN_TYPE = "at+jwt";

/** What the header says about the signature. */
export interface SignatureHeader {
  readonly alg: string;
  readonly kid: string | undefined;
}

/** Applies the rules for the header (RFC 8725, RFC 9068 section 4); or says which was broken. */
export function checkHeader(parts: TokenParts, issuer: TrustedIssuer): SignatureHeader | string {
  const { header } = parts;
  const alg = own(header, "alg");
  if (typeof alg !== "string" || !ASYMMETRIC.has(alg) || !issuer.algorithms.includes(alg)) {
    return "alg is not allowed for this issuer";
  }
  // RFC 7515 section 4.1.11: an extension that is not understood must be refused, and none is understood here.
  if (Object.hasOwn(header, "crit")) return "crit names an extension";
  const kid = own(header, "kid");
  if (kid !== undefined && typeof kid !== "string") return "kid is not a string";
  const typ = own(header, "typ");
  if (typeof typ !== "string") return "typ is missing";
  const type = mediaType(typ);
  if (type !== ACCESS_TOKEN_TYPE) {
    if (type !== mediaType(issuer.tokenType)) return "typ is not that of an access token";
    const flaw = checkForeignType(parts.payload);
    if (flaw !== null) return flaw;
  }
  return { alg, kid };
}

/**
 * Applies the rules for the claims; or says which was broken, without any value.
 *
 * @param expected.audience the one audience allowed, compared as an exact string.
 * @param expected.nowMs milliseconds since 1970.
 */
export function checkClaims(
  payload: JsonObject,
  expected: { issuer: TrustedIssuer; audience: string; tenantOf: TenantSource; nowMs: number },
): Omit<VerifiedToken, "kind"> | string {
  const { issuer } = expected;
  const time = checkTime(payload, expected.nowMs / 1000);
  if (typeof time === "string") return time;

  const audience = own(payload, "aud");
  const single = Array.isArray(audience) && audience.length === 1 ? (audience[0] as unknown) : audience;
  if (single !== expected.audience) return "aud is not exactly this resource";

  const subject = own(payload, "sub");
  if (!isIdentifier(subject)) return "sub is not an identifier";
  // RFC 7800: a bound token must not pass as a bearer token, and no binding is enforced yet.
  if (Object.hasOwn(payload, "cnf")) return "cnf binds the token to a key";
  const clientId = own(payload, "client_id") ?? own(payload, "azp");
  if (clientId !== undefined && !isIdentifier(clientId)) return "client_id is not an identifier";
  const tokenId = own(payload, "jti");
  if (tokenId !== undefined && !isIdentifier(tokenId)) return "jti is not an identifier";
  const scope = own(payload, "scope");
  if (scope !== undefined && typeof scope !== "string") return "scope is not a string";

  const tenant = checkTenant(payload, issuer, expected.tenantOf);
  if (tenant.flaw !== null) return tenant.flaw;
  return {
    issuer,
    subject,
    clientId: clientId ?? null,
    permissions: new Set(scope?.split(" ").filter((value) => value !== "")),
    expiresAt: time.exp * 1000,
    tokenId: tokenId ?? null,
    tenantClaim: tenant.value,
  };
}

function checkTime(payload: JsonObject, now: number): { exp: number } | string {
  const exp = own(payload, "exp");
  const iat = own(payload, "iat");
  const nbf = own(payload, "nbf");
  if (!isTime(exp)) return "exp is not a time";
  if (!isTime(iat)) return "iat is not a time";
  if (nbf !== undefined && !isTime(nbf)) return "nbf is not a time";
  if (now >= exp + CLOCK_SKEW_SECONDS) return "exp has passed";
  if (iat > now + CLOCK_SKEW_SECONDS) return "iat is in the future";
  if (nbf !== undefined && nbf > now + CLOCK_SKEW_SECONDS) return "nbf is in the future";
  if (exp <= iat) return "exp is not after iat";
  if (exp - iat > MAX_LIFETIME_SECONDS + CLOCK_SKEW_SECONDS) return "the lifetime is over an hour";
  return { exp };
}

function checkTenant(
  payload: JsonObject,
  issuer: TrustedIssuer,
  tenantOf: TenantSource,
): { flaw: string; value: null } | { flaw: null; value: string | null } {
  const flaw = (text: string) => ({ flaw: text, value: null });
  if (issuer.tenantClaim === null) {
    return issuer.broker || issuer.tenantValue !== null || tenantOf === "claim"
      ? flaw("the issuer's registration names no tenant claim")
      : { flaw: null, value: null };
  }
  const value = own(payload, issuer.tenantClaim);
  // Arrays and objects are refused rather than unpacked: which of two members would count?
  if (typeof value !== "string") return flaw("the tenant claim is not a string");
  if (!isIdentifier(value)) return flaw("the tenant claim is not an identifier");
  if (tenantOf === "issuer" && value !== issuer.tenantValue)
    return flaw("the tenant claim names another tenant");
  return { flaw: null, value };
}

/**
 * A type other than `at+jwt` is shared with ID tokens, logout tokens and the like, so the claims must show that this is
 * an access token (RFC 8725 section 3.11).
 */
function checkForeignType(payload: JsonObject): string | null {
  for (const name of ["nonce", "at_hash", "c_hash", "s_hash", "events", "htm", "htu"]) {
    if (Object.hasOwn(payload, name)) return "the claims are not those of an access token";
  }
  const use = own(payload, "token_use");
  if (use !== undefined && use !== "access") return "token_use is not access";
  const marked = typeof own(payload, "scope") === "string" || typeof own(payload, "client_id") === "string";
  return marked ? null : "nothing marks the token as an access token";
}

/** RFC 7515 section 4.1.9: `application/` may be left out, and media types have no case. */
function mediaType(typ: string): string {
  const lower = typ.toLowerCase();
  return lower.startsWith("application/") ? lower.slice("application/".length) : lower;
}

function own(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
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
