import { z } from "@hono/zod-openapi";
import { effectiveLimits, partialLimits } from "./limits.ts";
import { displayName, label, MAX_NAMES, permissionPattern, planName, slug } from "./names.ts";
import { settings } from "./settings.ts";

const toolSets = z
  .array(label)
  .max(MAX_NAMES)
  .nullable()
  .openapi({ description: "Tool sets that are on; null: those of the plan." });

/** It asks for refresh tokens, which are between a client and its issuer: a resource must not name it as its own. */
const scopeOfTenant = permissionPattern.refine(
  (text) => text !== "offline_access",
  "Must not be offline_access: that is between a client and its issuer",
);

const scopes = z.array(scopeOfTenant).max(MAX_NAMES).openapi({
  description:
    "Scopes that the tenant's resource metadata names; empty: those that the server's tools require.",
});

/** Permissions of all roles together: each is in every snapshot of the tenant, and a caller may have all roles. */
const MAX_ROLE_PERMISSIONS = 2_000;

const roles = z
  .record(label, z.array(permissionPattern).max(MAX_NAMES))
  .refine((named) => Object.keys(named).length <= MAX_NAMES, `At most ${MAX_NAMES} roles`)
  .refine(
    (named) => Object.values(named).flat().length <= MAX_ROLE_PERMISSIONS,
    `At most ${MAX_ROLE_PERMISSIONS} permissions in all roles together`,
  )
  .openapi({ description: "Roles of the tenant: each a name for a set of permissions." });

const apiKeys = z.boolean().openapi({
  description: "Whether API keys of the tenant are taken; turning them off keeps them, and refuses them.",
});

const dpop = z.enum(["off", "allow", "require"]).openapi({
  description: "Whether access tokens bound to a key (RFC 9449) are taken, and whether only those.",
});

/** Body of POST /tenants. */
export const newTenant = z
  .strictObject({
    slug,
    name: displayName,
    plan: planName.default("free"),
    limits: partialLimits.default({}),
    toolSets: toolSets.default(null),
    scopes: scopes.default([]),
    roles: roles.default({}),
    settings: settings.default({}),
  })
  .openapi("NewTenant");

/** Body of PATCH /tenants/{t}. */
export const tenantChange = z
  .strictObject({
    name: displayName.optional(),
    plan: planName.optional(),
    limits: partialLimits.optional(),
    toolSets: toolSets.optional(),
    scopes: scopes.optional(),
    roles: roles.optional(),
    settings: settings.optional(),
    apiKeys: apiKeys.optional(),
    dpop: dpop.optional(),
  })
  .refine((change) => Object.keys(change).length > 0, "Must have at least one member")
  .openapi("TenantChange", {
    description:
      "Each member that is present replaces the tenant's as a whole. That holds for limits too: the override becomes " +
      "exactly what is sent, a limit absent from it is the plan's again, and null in it is no limit. It is not a JSON " +
      "Merge Patch, in which null could only remove.",
    minProperties: 1,
  });

/** A tenant as the admin API shows it. */
export const tenant = z
  .object({
    id: z.string().openapi({ example: "tnt_01j9zq4v8k3f6r2m7w5x1c0bde" }),
    slug: z.string(),
    name: z.string(),
    plan: z.string(),
    status: z.enum(["active", "suspended"]),
    limits: partialLimits,
    effectiveLimits,
    toolSets: z.array(z.string()).nullable(),
    effectiveToolSets: z.array(z.string()),
    scopes: z.array(z.string()),
    roles: z.record(z.string(), z.array(z.string())),
    settings: z.record(z.string(), z.unknown()),
    apiKeys,
    dpop,
    placement: z.enum(["shared", "dedicated"]),
    version: z.int().openapi({ description: "Counts changes; the ETag, and what If-Match takes." }),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
    mcp: z.url().openapi({ description: "The tenant's MCP endpoint." }),
  })
  .openapi("Tenant");

/** What DELETE /tenants/{t} removed. */
export const deletionProof = z
  .object({
    id: z.string(),
    slug: z.string(),
    erased: z.record(z.string(), z.int()).openapi({ description: "Rows removed, by table." }),
    deletedAt: z.iso.datetime(),
  })
  .openapi("DeletionProof");
