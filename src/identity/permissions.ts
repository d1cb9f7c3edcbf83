/** The permission that stands for every permission within its tenant. */
const ADMIN_PERMISSION = "admin";

/** Whether an operation is allowed, and by which rule, so that the answer can be explained. */
export type AccessDecision =
  | { readonly allowed: true; readonly reason: "not_required" | "granted" | "administrator" }
  | { readonly allowed: false; readonly reason: "missing"; readonly missing: readonly string[] };

/**
 * Decides whether the permissions a caller holds suffice. Permissions are opaque strings compared exactly: no prefix
 * and no substring grants anything.
 *
 * @param required the permission an operation asks for; undefined where it asks for none.
 */
export function decideAccess(granted: ReadonlySet<string>, required: string | undefined): AccessDecision {
  if (required === undefined) return { allowed: true, reason: "not_required" };
  if (granted.has(required)) return { allowed: true, reason: "granted" };
  if (granted.has(ADMIN_PERMISSION)) return { allowed: true, reason: "administrator" };
  return { allowed: false, reason: "missing", missing: [required] };
}
