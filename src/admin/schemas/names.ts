import { z } from "@hono/zod-openapi";
import { parseSlug, parseTenantId } from "../../core/ids.ts";
import { isPermissionPattern } from "../../core/permission.ts";
import type { TenantName } from "../../tenancy/tenant-record.ts";

const PLAN_NAME = /^[a-z][a-z0-9-]{0,38}$/;

/** `{t}`: null where it has neither an id's form nor a slug's, so that nothing can be called that. */
export const tenantPath = z.object({
  t: z
    .string()
    .openapi({ description: "The tenant's id or slug.", example: "acme" })
    .transform((text): TenantName | null => parseTenantId(text) ?? parseSlug(text)),
});

/** `{p}` of a plan that should be there: null where no plan can have the name. */
export const planPath = z.object({
  p: z
    .string()
    .openapi({ description: "The plan's name.", example: "team" })
    .transform((text) => (PLAN_NAME.test(text) ? text : null)),
});

export const planName = z
  .string()
  .regex(PLAN_NAME, "Must begin with a letter and have at most 39 of a-z, 0-9 and -")
  .openapi({ example: "team" });

/** `{p}` of a plan that the request may create. */
export const newPlanPath = z.object({ p: planName });

export const slug = z
  .string()
  .openapi({
    description:
      "The tenant's name in URLs: 2 to 39 of a-z, 0-9 and single hyphens, a letter first. Never changed and never used again.",
    pattern: "^[a-z](?:[a-z0-9]|-(?=[a-z0-9])){1,38}$",
    example: "acme",
  })
  .transform((text, context) => {
    const parsed = parseSlug(text);
    if (parsed !== null) return parsed;
    context.addIssue({
      code: "custom",
      message:
        "Must be 2 to 39 of a-z, 0-9 and single hyphens, begin with a letter and not end with a hyphen",
    });
    return z.NEVER;
  });

/** Control characters and lone surrogates are refused: PostgreSQL stores neither NUL nor half a character. */
export const displayName = z
  .string()
  .min(1)
  .max(200)
  .regex(/^(?=.*\S)[^\p{Cc}\p{Cs}]+$/u, "Must have a visible character and no control characters")
  // Said again: the generator would write the expression's flag into the pattern.
  .openapi({ pattern: "^(?=.*\\S)[^\\p{Cc}\\p{Cs}]+$", example: "Acme Corporation" });

/** Name of a tool set or a role. */
export const label = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/, "Must be 1 to 64 of A-Z, a-z, 0-9, _, ., : and -");

/** A scope or permission: a scope-token of RFC 6749, appendix A.4, of bounded length. */
export const scope = z
  .string()
  .regex(
    /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/,
    'Must be 1 to 128 visible ASCII characters other than " and \\',
  );

/** A permission, or a pattern in which whole segments are `*`: `tick*` would be neither, and grant nothing. */
export const permissionPattern = scope.refine(
  (text) => !text.includes("*") || isPermissionPattern(text),
  "Must have * only as a whole segment, as in tickets:*",
);

/** Entries in a list of names, and names in a map: bounds what a snapshot of a tenant holds in memory. */
export const MAX_NAMES = 200;
