import type { TrustedIssuer } from "../tenancy/tenant-snapshot.ts";
import type { JsonObject } from "./strict-json.ts";
import { own, type TokenParts } from "./token-parts.ts";

/** Signature algorithms that can be allowed at all, whatever a registration says: never `none`, never symmetric. */
export const ASYMMETRIC_ALGORITHMS: ReadonlySet<string> = new Set([
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
/** What a registration says of a provider that sends no `typ`. No header can mean it by this word. */
const NO_TYPE = "absent";

/** Claims of what is not an access token: ID tokens (the first four), logout tokens and the like, DPoP proofs. */
const FOREIGN_CLAIMS = ["nonce", "at_hash", "c_hash", "s_hash", "events", "htm", "htu", "ath"];

/** What the header says about the signature. */
export interface SignatureHeader {
  readonly alg: string;
  readonly kid: string | undefined;
}

/** Applies the rules for the header (RFC 8725, RFC 9068 section 4); or says which was broken. */
export function checkHeader(parts: TokenParts, issuer: TrustedIssuer): SignatureHeader | string {
  const { header } = parts;
  const alg = own(header, "alg");
  if (typeof alg !== "string" || !ASYMMETRIC_ALGORITHMS.has(alg) || !issuer.algorithms.includes(alg)) {
    return "alg is not allowed for this issuer";
  }
  // RFC 7515 section 4.1.11: an extension that is not understood must be refused, and none is understood here.
  if (Object.hasOwn(header, "crit")) return "crit names an extension";
  const kid = own(header, "kid");
  if (kid !== undefined && typeof kid !== "string") return "kid is not a string";
  return checkType(parts, issuer) ?? { alg, kid };
}

function checkType({ header, payload }: TokenParts, issuer: TrustedIssuer): string | null {
  if (!Object.hasOwn(header, "typ")) {
    return issuer.tokenType === NO_TYPE ? checkForeignType(payload) : "typ is missing";
  }
  const typ = header.typ;
  if (typeof typ !== "string") return "typ is not a string";
  const type = mediaType(typ);
  if (type === ACCESS_TOKEN_TYPE) return null;
  if (issuer.tokenType === NO_TYPE || type !== mediaType(issuer.tokenType)) {
    return "typ is not that of an access token";
  }
  return checkForeignType(payload);
}

/**
 * A type other than `at+jwt`, or none, is shared with ID tokens, refresh tokens, logout tokens and the like, so the
 * claims must show that this is an access token (RFC 8725 section 3.11).
 */
function checkForeignType(payload: JsonObject): string | null {
  const flaw = checkUse(payload);
  if (flaw !== null) return flaw;
  const says = Object.hasOwn(payload, "token_use") || Object.hasOwn(payload, "typ");
  return says || isMarked(payload) ? null : "nothing marks the token as an access token";
}

/** Says where the claims show that this is not an access token. */
export function checkUse(payload: JsonObject): string | null {
  if (FOREIGN_CLAIMS.some((name) => Object.hasOwn(payload, name))) {
    return "the claims are not those of an access token";
  }
  // Cognito says `access` or `id`; Keycloak `Bearer` or `DPoP`, or `ID`, `Refresh`, `Offline`, `Logout`.
  const use = own(payload, "token_use");
  if (use !== undefined && use !== "access") return "token_use is not access";
  const type = own(payload, "typ");
  if (type !== undefined && type !== "Bearer" && type !== "DPoP") {
    return "the claim typ is not that of an access token";
  }
  return null;
}

/**
 * What ID tokens of the providers do not have. `azp` alone is no mark, since OpenID Connect Core section 2 gives it to ID
 * tokens, and neither are `roles` alone, which Entra puts into both.
 */
function isMarked(payload: JsonObject): boolean {
  const isText = (name: string) => typeof own(payload, name) === "string";
  const isList = (name: string) => Array.isArray(own(payload, name));
  // RFC 9068, Auth0, Keycloak, WorkOS.
  if (isText("scope") || isText("client_id")) return true;
  // Okta, and Entra for a person.
  if (isText("scp") || isList("scp") || isText("cid")) return true;
  // Auth0 where the API puts permissions into tokens.
  if (isList("permissions")) return true;
  // Entra for a program (version 2, version 1); Auth0 for one without scopes.
  if (isList("roles") && (isText("azp") || isText("appid"))) return true;
  return isText("azp") && isText("gty");
}

/** RFC 7515 section 4.1.9: `application/` may be left out, and media types have no case. */
function mediaType(typ: string): string {
  const lower = typ.toLowerCase();
  return lower.startsWith("application/") ? lower.slice("application/".length) : lower;
}
