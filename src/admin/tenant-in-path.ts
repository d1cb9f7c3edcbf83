import { parseSlug, parseTenantId } from "../core/ids.ts";
import type { TenantName } from "../tenancy/tenant-record.ts";

const IN_PATH = /^\/admin\/v1\/tenants\/([^/?]+)/;

/**
 * The tenant that a request target names, so that the caller's token can be looked at before any route is. The target
 * is read as it was sent: nothing is decoded, so no other way of writing a path names a tenant here. What a route makes
 * of the path is compared with the caller's tenant once more.
 */
export function tenantInPath(target: string): TenantName | null {
  const name = IN_PATH.exec(target)?.[1];
  return name === undefined ? null : (parseTenantId(name) ?? parseSlug(name));
}
