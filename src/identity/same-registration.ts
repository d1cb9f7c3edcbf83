import { isDeepStrictEqual } from "node:util";
import type { TrustedIssuer } from "../tenancy/tenant-snapshot.ts";

/** A registration that was changed in any respect is another one: what was verified under it is verified anew. */
export function isSameRegistration(a: TrustedIssuer, b: TrustedIssuer): boolean {
  return a === b || (a.id === b.id && isDeepStrictEqual(a, b));
}

/**
 * The same as far as its tokens go: a broker is registered once for all, and shown with a tenant's value where it is one
 * of a tenant's issuers.
 */
export function isSameIssuer(a: TrustedIssuer, b: TrustedIssuer): boolean {
  return a === b || isSameRegistration({ ...a, tenantValue: null }, { ...b, tenantValue: null });
}
