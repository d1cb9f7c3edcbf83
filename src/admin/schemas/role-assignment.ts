import { z } from "@hono/zod-openapi";
import { identifier, issuerName } from "./identifier.ts";
import { label } from "./names.ts";

/** Roles of one subject. A tenant has thousands of subjects, and all of their roles are in its snapshot. */
const MAX_ROLES = 20;

const names = {
  issuer: issuerName,
  subject: identifier.openapi({ description: "The sub of its tokens." }),
};

/** Query that names one assignment. */
export const subjectQuery = z.strictObject(names);

/** Body of PUT /tenants/{t}/role-assignments. */
export const newRoleAssignment = z
  .strictObject({
    ...names,
    roles: z
      .array(label)
      .min(1)
      .max(MAX_ROLES)
      .refine((roles) => new Set(roles).size === roles.length, "Must not name a role twice")
      .openapi({ description: "Roles that the tenant defines, in place of those assigned before." }),
  })
  .openapi("NewRoleAssignment");

const shown = {
  issuer: z.string(),
  subject: z.string(),
  roles: z.array(z.string()),
  createdAt: z.iso.datetime(),
};

/** An assignment as the admin API shows it. */
export const roleAssignment = z.object(shown).openapi("RoleAssignment");

/** The same as it was just made. */
export const putRoleAssignment = z
  .object({
    ...shown,
    issuerRegistered: z.boolean().openapi({
      description: "False: the tenant takes no tokens of this issuer, and the assignment gives nothing yet.",
    }),
  })
  .openapi("PutRoleAssignment");
