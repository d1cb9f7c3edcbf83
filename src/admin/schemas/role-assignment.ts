import { z } from "@hono/zod-openapi";
import { identifier, issuerName } from "./identifier.ts";
import { label, MAX_NAMES } from "./names.ts";

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
      .max(MAX_NAMES)
      .refine((roles) => new Set(roles).size === roles.length, "Must not name a role twice")
      .openapi({ description: "Roles that the tenant defines, in place of those assigned before." }),
  })
  .openapi("NewRoleAssignment");

/** An assignment as the admin API shows it. */
export const roleAssignment = z
  .object({
    issuer: z.string(),
    subject: z.string(),
    roles: z.array(z.string()),
    createdAt: z.iso.datetime(),
  })
  .openapi("RoleAssignment");
