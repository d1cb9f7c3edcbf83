import { parseSlug, type Slug } from "../core/ids.ts";

/** What a URL path asks for. */
export type Route =
  /** The MCP endpoint: of one tenant, or the shared one (slug null). */
  | { readonly kind: "mcp"; readonly slug: Slug | null }
  /** Protected-resource metadata (RFC 9728) of one of these. */
  | { readonly kind: "metadata"; readonly slug: Slug | null }
  | { readonly kind: "health" | "ready" | "metrics" | "admin" }
  | { readonly kind: "unknown" };

const UNKNOWN: Route = { kind: "unknown" };
const SHARED: Route = { kind: "mcp", slug: null };

/** @param target the request target as it came; only its path decides, compared exactly: no decoding, no trailing slash. */
export function route(target: string): Route {
  const query = target.indexOf("?");
  const path = query < 0 ? target : target.slice(0, query);
  if (path === "/mcp") return SHARED;
  if (path.startsWith("/t/") && path.endsWith("/mcp")) return ofTenant("mcp", path.slice(3, -4));
  if (path.startsWith("/.well-known/oauth-protected-resource/")) {
    const resource = path.slice("/.well-known/oauth-protected-resource".length);
    if (resource === "/mcp") return { kind: "metadata", slug: null };
    if (resource.startsWith("/t/") && resource.endsWith("/mcp"))
      return ofTenant("metadata", resource.slice(3, -4));
    return UNKNOWN;
  }
  if (path === "/healthz") return { kind: "health" };
  if (path === "/readyz") return { kind: "ready" };
  if (path === "/metrics") return { kind: "metrics" };
  if (path === "/admin/v1" || path.startsWith("/admin/v1/")) return { kind: "admin" };
  return UNKNOWN;
}

function ofTenant(kind: "mcp" | "metadata", text: string): Route {
  const slug = parseSlug(text);
  return slug === null ? UNKNOWN : { kind, slug };
}
