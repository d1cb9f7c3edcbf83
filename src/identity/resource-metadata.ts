import type { ErrorCode } from "../core/error-table.ts";

/** A protected-resource metadata document (RFC 9728 section 2). */
export interface ResourceMetadata {
  readonly resource: string;
  readonly authorization_servers: readonly string[];
  readonly bearer_methods_supported: readonly string[];
  readonly scopes_supported?: readonly string[];
  readonly resource_name?: string;
}

const WELL_KNOWN = "/.well-known/oauth-protected-resource";

/** RFC 6749 section 3.3, `scope-token`. */
const SCOPE = /^[\x21\x23-\x5B\x5D-\x7E]+$/;

/**
 * The metadata document of one resource, or null where no authorization server is known: the MCP specification asks
 * for at least one, and a document without would send clients nowhere.
 *
 * @param resource the resource identifier, repeated byte for byte (RFC 9728 section 3.3 has clients compare it).
 */
export function resourceMetadata(of: {
  readonly resource: string;
  readonly authorizationServers: readonly string[];
  readonly scopes: readonly string[];
  readonly name: string;
}): ResourceMetadata | null {
  if (of.authorizationServers.length === 0) return null;
  const scopes = publicScopes(of.scopes);
  return {
    resource: of.resource,
    authorization_servers: [...new Set(of.authorizationServers)],
    bearer_methods_supported: ["header"],
    ...(scopes.length > 0 ? { scopes_supported: scopes } : {}),
    ...(of.name === "" ? {} : { resource_name: of.name }),
  };
}

/** Where a resource's metadata is: the well-known part goes between host and path (RFC 9728 section 3.1). */
export function metadataUrlFor(resource: string): string {
  const url = new URL(resource);
  return url.origin + WELL_KNOWN + (url.pathname === "/" ? "" : url.pathname) + url.search;
}

/**
 * The value of `WWW-Authenticate` (RFC 6750 section 3, RFC 9728 section 5.1).
 *
 * @param code why the request is refused; without one, or where credentials are missing, no `error` is named, as
 *   RFC 6750 section 3.1 asks.
 * @param scopes all scopes that the operation needs, so that one further authorization is enough.
 * @param text public description, sent as `error_description`.
 */
export function challenge(of: {
  readonly metadataUrl: string;
  readonly code?: ErrorCode;
  readonly scopes?: readonly string[];
  readonly text?: string;
}): string {
  const parts: string[] = [];
  const error = of.code === undefined ? undefined : bearerError(of.code);
  if (error !== undefined) {
    parts.push(quoted("error", error));
    if (of.text !== undefined && of.text !== "") parts.push(quoted("error_description", of.text));
  }
  const scopes = publicScopes(of.scopes ?? []);
  if (scopes.length > 0) parts.push(quoted("scope", scopes.join(" ")));
  parts.push(quoted("resource_metadata", of.metadataUrl));
  return `Bearer ${parts.join(", ")}`;
}

function bearerError(code: ErrorCode): string | undefined {
  switch (code) {
    case "token_invalid":
      return "invalid_token";
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
