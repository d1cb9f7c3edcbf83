import { Fault } from "./fault.ts";

/** The permission that grants everything within its tenant. Only exactly this text does, never a wildcard. */
export const ADMIN_PERMISSION = "admin";

/**
 * Which permissions imply which others. Keys and values are permissions, or patterns in which a segment is `*`: the k-th
 * `*` of a value stands for what the k-th of its key stands for.
 */
export type PermissionHierarchy = Readonly<Record<string, readonly string[]>>;

/** What holds where a server says nothing: whoever may write may read. */
export const DEFAULT_HIERARCHY: PermissionHierarchy = Object.freeze({ "*:write": Object.freeze(["*:read"]) });

/** A scope-token of RFC 6749, appendix A.4, of bounded length. */
const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/;

/** A permission's segments: what stands between its colons. */
export function segmentsOf(permission: string): readonly string[] {
  return permission.split(":");
}

/** Whether a text is a permission that something may require: a scope-token without `*`. */
export function isPermission(text: unknown): text is string {
  return typeof text === "string" && SCOPE_TOKEN.test(text) && !text.includes("*");
}

/** Whether a text is a permission, or a pattern in which whole segments are `*`. A part of a segment is never one. */
export function isPermissionPattern(text: unknown): text is string {
  return (
    typeof text === "string" &&
    SCOPE_TOKEN.test(text) &&
    (!text.includes("*") || segmentsOf(text).every((segment) => segment === "*" || !segment.includes("*")))
  );
}

/**
 * Checks what a module states as its hierarchy.
 * @throws Fault `server_invalid` for what is no pattern, for a `*` that stands for nothing, and for what would imply `admin`.
 */
export function parseHierarchy(value: unknown): PermissionHierarchy {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    invalid("is not an object of permissions");
  const parsed: [string, readonly string[]][] = [];
  for (const [key, implied] of Object.entries(value)) {
    checkPattern(key);
    if (!Array.isArray(implied)) invalid(`what ${JSON.stringify(key)} implies is not a list`);
    const texts: readonly string[] = implied.map(checkPattern);
    for (const text of texts) {
      if (text === ADMIN_PERMISSION || text === "*")
        invalid(`${JSON.stringify(key)} would imply ${ADMIN_PERMISSION}, which nothing may`);
      if (stars(text) > stars(key))
        invalid(`${JSON.stringify(text)} has a * that ${JSON.stringify(key)} has nothing for`);
    }
    parsed.push([key, Object.freeze(texts)]);
  }
  return Object.freeze(Object.fromEntries(parsed));
}

function checkPattern(text: unknown): string {
  if (!isPermissionPattern(text))
    invalid(`${JSON.stringify(text)} is neither a permission nor a pattern of whole segments`);
  return text;
}

function stars(pattern: string): number {
  return segmentsOf(pattern).filter((segment) => segment === "*").length;
}

function invalid(detail: string): never {
  throw new Fault("server_invalid", { detail: `permissions.implies: ${detail}.` });
}
