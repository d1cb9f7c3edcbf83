import type { ErrorCode } from "../core/error-table.ts";
import type { Refusal } from "../core/refusal.ts";
import type { DpopMode } from "../tenancy/tenant-snapshot.ts";
import { PROOF_ALGORITHMS } from "./dpop-proof.ts";

/** A protected-resource metadata document (RFC 9728 section 2). */
export interface ResourceMetadata {
  readonly resource: string;
  readonly authorization_servers: readonly string[];
  readonly bearer_methods_supported: readonly string[];
  readonly scopes_supported?: readonly string[];
  readonly resource_name?: string;
  readonly dpop_signing_alg_values_supported?: readonly string[];
  readonly dpop_bound_access_tokens_required?: true;
}

/** A scheme of the challenges that a 401 or 403 carries. */
export type AuthenticationScheme = NonNullable<Refusal["schemes"]>[number];

const WELL_KNOWN = "/.well-known/oauth-protected-resource";

/** RFC 6749 section 3.3, `scope-token`. */
const SCOPE = /^[\x21\x23-\x5B\x5D-\x7E]+$/;

/**
 * The metadata document of one resource, or null where no authorization server is known: the MCP specification asks
 * for at least one, and a document without would send clients nowhere.
 *
 * @param resource the resource identifier, repeated byte for byte (RFC 9728 section 3.3 has clients compare it).
 * @param dpop whether tokens bound to a key are taken at this resource, or only those. Default `off`.
 */
export function resourceMetadata(of: {
  readonly resource: string;
  readonly authorizationServers: readonly string[];
  readonly scopes: readonly string[];
  readonly name: string;
  readonly dpop?: DpopMode;
}): ResourceMetadata | null {
  if (of.authorizationServers.length === 0) return null;
  const scopes = publicScopes(of.scopes);
  return {
    resource: of.resource,
    authorization_servers: [...new Set(of.authorizationServers)],
    bearer_methods_supported: ["header"],
    ...(scopes.length > 0 ? { scopes_supported: scopes } : {}),
    ...(of.name === "" ? {} : { resource_name: of.name }),
    ...(of.dpop === "allow" || of.dpop === "require"
      ? { dpop_signing_alg_values_supported: PROOF_ALGORITHMS }
      : {}),
    ...(of.dpop === "require" ? { dpop_bound_access_tokens_required: true as const } : {}),
  };
}

/** Where a resource's metadata is: the well-known part goes between host and path (RFC 9728 section 3.1). */
export function metadataUrlFor(resource: string): string {
  const url = new URL(resource);
  return url.origin + WELL_KNOWN + (url.pathname === "/" ? "" : url.pathname) + url.search;
}

/**
 * The value of `WWW-Authenticate` (RFC 6750 section 3, RFC 9449 section 7.1, RFC 9728 section 5.1).
 *
 * @param code why the request is refused; without one, or where credentials are missing, no `error` is named, as
 *   RFC 6750 section 3.1 asks.
 * @param scopes all scopes that the operation needs, so that one further authorization is enough.
 * @param text public description, sent as `error_description`.
 * @param schemes a challenge for each; the error stands in the first, which should be the one that the client tried, or
 *   with DPoP where the proof is what was wrong. Default Bearer alone.
 */
export function challenge(of: {
  readonly metadataUrl: string;
  readonly code?: ErrorCode;
  readonly scopes?: readonly string[];
  readonly text?: string;
  readonly schemes?: readonly AuthenticationScheme[];
}): string {
  const error = of.code === undefined ? undefined : errorOf(of.code);
  const schemes = of.schemes ?? ["Bearer"];
  const tried = of.code === "dpop_proof_invalid" ? "DPoP" : schemes[0];
  const scopes = publicScopes(of.scopes ?? []);
  // Bearer comes first: clients that read a single challenge know that one (RFC 9449 section 7.2 has them coexist).
  return [...new Set(schemes)]
    .sort()
    .map((scheme) => {
      const parts: string[] = [];
      if (error !== undefined && scheme === tried) {
        parts.push(quoted("error", error));
        if (of.text !== undefined && of.text !== "") parts.push(quoted("error_description", of.text));
      }
      if (scheme === "DPoP") parts.push(quoted("algs", PROOF_ALGORITHMS.join(" ")));
      if (scopes.length > 0) parts.push(quoted("scope", scopes.join(" ")));
      parts.push(quoted("resource_metadata", of.metadataUrl));
      return `${scheme} ${parts.join(", ")}`;
    })
    .join(", ");
}

function errorOf(code: ErrorCode): string | undefined {
  switch (code) {
    case "token_invalid":
    case "credentials_ended":
      return "invalid_token";
    case "dpop_proof_invalid":
      return "invalid_dpop_proof";
    case "credentials_malformed":
      return "invalid_request";
    case "scope_insufficient":
      return "insufficient_scope";
    case "tenant_suspended":
      return "access_denied";
    default:
      return undefined;
  }
}

/** RFC 6750 section 3 allows no quote, backslash, control or non-ASCII character in these values. */
function quoted(name: string, value: string): string {
  return `${name}="${value.replace(/[^\x20\x21\x23-\x5B\x5D-\x7E]/g, "?")}"`;
}

/** A resource server must not ask for `offline_access`: refresh tokens are between client and authorization server. */
function publicScopes(scopes: readonly string[]): string[] {
  return [...new Set(scopes)].filter((scope) => scope !== "offline_access" && SCOPE.test(scope));
}
