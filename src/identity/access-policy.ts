import { Fault } from "../core/fault.ts";
import {
  ADMIN_PERMISSION,
  isPermission,
  isPermissionPattern,
  type PermissionHierarchy,
  parseHierarchy,
  segmentsOf,
} from "../core/permission.ts";

/** Whether an operation is allowed, and by which rule, so that the answer can be explained. */
export type AccessDecision = AllowedAccess | DeniedAccess;

export type AllowedAccess =
  | { readonly allowed: true; readonly reason: "not_required" }
  | {
      readonly allowed: true;
      /**
       * `granted`: the very permission; `implied`: one that implies it; `wildcard`: a pattern that covers it;
       * `administrator`: `admin`, and nothing else that was granted.
       */
      readonly reason: "granted" | "implied" | "wildcard" | "administrator";
      /** What the operation needs. */
      readonly permission: string;
      /** The granted permission that decided. */
      readonly by: string;
    };

export interface DeniedAccess {
  readonly allowed: false;
  readonly reason: "missing";
  readonly permission: string;
}

/** Decides, for all of a server, whether the permissions a caller holds suffice. */
export interface AccessPolicy {
  /**
   * @param granted what the caller holds: permissions, and patterns in which a whole segment is `*`.
   * @param required the permission that an operation asks for; undefined where it asks for none.
   */
  decide(granted: ReadonlySet<string>, required: string | undefined): AccessDecision;
}

/** One line of the hierarchy, by segments. */
interface Implication {
  readonly by: readonly string[];
  readonly implied: readonly string[];
}

/** All that suffices for one permission, besides itself and `admin`. */
interface Sufficient {
  readonly own: readonly string[];
  /** Single permissions that imply it, nearest first. */
  readonly permissions: readonly string[];
  /** The same by segments. */
  readonly exact: readonly (readonly string[])[];
  /** Patterns of permissions that imply it: from keys with a `*` that the value does not use. */
  readonly patterns: readonly (readonly string[])[];
}

/** Permissions and patterns that may imply one permission. Rules can rewrite segments, and so multiply without end. */
const MAX_SUFFICIENT = 256;
/** Permissions for which that is kept, beside those known at the start. */
const MAX_KEPT = 1_000;
const NOT_REQUIRED: AllowedAccess = Object.freeze({ allowed: true, reason: "not_required" });

/**
 * Builds the one function that decides. Segments are compared whole: nothing is granted by a prefix or a substring. `*` in
 * a granted permission stands for one segment; `admin` is granted by nothing but itself.
 *
 * @param known permissions whose implications are worked out now: those of the catalog.
 * @throws Fault `server_invalid` for a malformed hierarchy, and for one by which more than 256 others imply a known one.
 *
 * @example
 * const policy = createAccessPolicy({ "*:write": ["*:read"] });
 * policy.decide(new Set(["tickets:write"]), "tickets:read"); // allowed: implied, by tickets:write
 */
export function createAccessPolicy(
  hierarchy: PermissionHierarchy,
  known: readonly string[] = [],
): AccessPolicy {
  const implications = Object.entries(parseHierarchy(hierarchy)).flatMap(([key, values]) =>
    values.map((value): Implication => ({ by: segmentsOf(key), implied: segmentsOf(value) })),
  );
  const atStart = new Map<string, Sufficient>();
  for (const permission of known) {
    const { sufficient, whole } = closureOf(permission, implications);
    if (!whole)
      throw new Fault("server_invalid", {
        detail: `permissions.implies: more than ${MAX_SUFFICIENT} permissions imply ${JSON.stringify(permission)}.`,
      });
    atStart.set(permission, sufficient);
  }
  const later = new Map<string, Sufficient>();

  const sufficientFor = (required: string): Sufficient => {
    let found = atStart.get(required) ?? later.get(required);
    if (found === undefined) {
      // Beyond the bound nothing more suffices: that denies, and never grants.
      found = closureOf(required, implications).sufficient;
      const oldest = later.size >= MAX_KEPT ? later.keys().next().value : undefined;
      if (oldest !== undefined) later.delete(oldest);
      later.set(required, found);
    }
    return found;
  };

  return {
    decide(granted, required) {
      if (required === undefined) return NOT_REQUIRED;
      if (granted.has(required)) return allow("granted", required, required);
      const denied: DeniedAccess = { allowed: false, reason: "missing", permission: required };
      // Not even a pattern or a hierarchy grants `admin`; and what is no permission is granted by none.
      if (required === ADMIN_PERMISSION || !isPermission(required)) return denied;
      const sufficient = sufficientFor(required);
      for (const permission of sufficient.permissions)
        if (granted.has(permission)) return allow("implied", required, permission);
      return (
        byPattern(granted, required, sufficient) ??
        (granted.has(ADMIN_PERMISSION) ? allow("administrator", required, ADMIN_PERMISSION) : denied)
      );
    },
  };
}

function allow(
  reason: Exclude<AllowedAccess["reason"], "not_required">,
  permission: string,
  by: string,
): AllowedAccess {
  return { allowed: true, reason, permission, by };
}

/** What is granted by patterns: those of the caller, and those of the hierarchy. */
function byPattern(
  granted: ReadonlySet<string>,
  required: string,
  { own, exact, patterns }: Sufficient,
): AllowedAccess | null {
  let implying: string | null = null;
  for (const grant of granted) {
    if (!grant.includes("*") && patterns.length === 0) continue;
    // A malformed text is no pattern, whoever signed it, and stays out of what is put on record.
    if (grant === ADMIN_PERMISSION || !isPermissionPattern(grant)) continue;
    const segments = segmentsOf(grant);
    if (overlap(segments, own)) return allow("wildcard", required, grant);
    if (implying !== null) continue;
    const covers = (other: readonly string[]): boolean => overlap(segments, other);
    if (exact.some(covers) || patterns.some(covers)) implying = grant;
  }
  return implying === null ? null : allow("implied", required, implying);
}

/** Whether some permission is covered by both: segment by segment equal, or `*` in one of them. */
function overlap(a: readonly string[], b: readonly string[]): boolean {
  return (
    a.length === b.length && a.every((segment, i) => segment === b[i] || segment === "*" || b[i] === "*")
  );
}

/** Goes from a permission up through the hierarchy. Cycles end where everything has been seen. */
function closureOf(
  required: string,
  implications: readonly Implication[],
): { readonly sufficient: Sufficient; readonly whole: boolean } {
  const own = segmentsOf(required);
  const seen = new Map<string, readonly string[]>([[required, own]]);
  let whole = true;
  // A Map gives out what is added while it is gone through.
  for (const segments of seen.values()) {
    for (const implication of implications) {
      const above = implying(implication, segments);
      const name = above?.join(":");
      // Whoever has `admin` has everything by another rule.
      if (above === null || name === undefined || name === ADMIN_PERMISSION || seen.has(name)) continue;
      if (seen.size > MAX_SUFFICIENT) whole = false;
      else seen.set(name, above);
    }
  }
  seen.delete(required);
  const isPattern = (segments: readonly string[]): boolean => segments.includes("*");
  return {
    whole,
    sufficient: {
      own,
      permissions: [...seen].flatMap(([name, segments]) => (isPattern(segments) ? [] : [name])),
      exact: [...seen.values()].filter((segments) => !isPattern(segments)),
      patterns: [...seen.values()].filter(isPattern),
    },
  };
}

/** What implies, by one line of the hierarchy, the permissions that `segments` covers; null: nothing does. */
function implying({ by, implied }: Implication, segments: readonly string[]): readonly string[] | null {
  if (!overlap(implied, segments)) return null;
  const bound = segments.filter((_segment, i) => implied[i] === "*");
  let star = 0;
  return by.map((segment) => (segment === "*" ? (bound[star++] ?? "*") : segment));
}
