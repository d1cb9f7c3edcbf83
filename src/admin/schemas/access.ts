import { z } from "@hono/zod-openapi";
import { parseApiKeyId } from "../../core/ids.ts";
import { MAX_NAMES, scope } from "./names.ts";

/** A `sub` has at most 255 characters (OpenID Connect Core, section 2); other names are bounded alike. */
const name = z.string().min(1).max(255);
const uri = z.string().min(1).max(2_048);

const scopes = z
  .string()
  .max(32_768)
  .transform((text) => text.split(" ").filter((part) => part !== ""))
  .pipe(z.array(scope).max(MAX_NAMES))
  .openapi({
    type: "string",
    description:
      "Permissions that the token would have, with spaces between. Absent in development: those of a demonstration user.",
  });

const roles = z.union([name.transform((role) => [role]), z.array(name).max(MAX_NAMES)]).openapi({
  type: "array",
  items: { type: "string" },
  description: "Roles that the token would name; may be repeated.",
});

const apiKeyId = z
  .string()
  .openapi({ description: "Id of an API key of the tenant, instead of a subject." })
  .transform((text, context) => {
    const id = parseApiKeyId(text);
    if (id !== null) return id;
    context.addIssue({ code: "custom", message: "Is not the id of an API key" });
    return z.NEVER;
  });

/** Query of GET /tenants/{t}/access: a caller as one imagines it, and the one thing that it would use. */
export const accessQuery = z.strictObject({
  subject: name.optional().openapi({ description: "`sub` of the token." }),
  issuer: uri
    .optional()
    .openapi({ description: "`iss` of the token; needed where the subject has roles at several issuers." }),
  scope: scopes.optional(),
  role: roles.optional(),
  key: apiKeyId.optional(),
  tool: name.optional().openapi({ description: "Name of a tool. Exactly one of tool, resource and prompt." }),
  resource: uri.optional().openapi({ description: "URI of a resource, or its template." }),
  prompt: name.optional().openapi({ description: "Name of a prompt." }),
});

/** Whether such a caller may, and why. */
export const accessExplanation = z
  .object({
    allowed: z
      .boolean()
      .openapi({ description: "Once the credential is accepted, which is not looked at here." }),
    visible: z.boolean().openapi({ description: "Whether the tenant has the entry." }),
    presence: z.enum(["present", "unknown", "other_tenants", "tool_set_off", "over_limit"]),
    decision: z
      .object({
        reason: z.enum(["not_required", "granted", "implied", "wildcard", "administrator", "missing"]),
        permission: z.string().optional().openapi({ description: "The permission that is needed." }),
        by: z.string().optional().openapi({ description: "The granted permission that decided." }),
        from: z.string().optional().openapi({ description: "`scope`, `api key`, or `role` and its name." }),
      })
      .nullable(),
    subject: z.object({ subject: z.string(), issuer: z.string().nullable() }).nullable(),
    roles: z.array(
      z.object({
        name: z.string(),
        source: z.enum(["assigned", "given"]),
        defined: z
          .boolean()
          .openapi({ description: "False: the tenant defines no such role, and it grants nothing." }),
      }),
    ),
    grants: z.array(
      z.object({
        permission: z.string(),
        from: z.string().openapi({
          description: "`scope`, `scope (demonstration user)`, `api key`, or `role` and its name.",
        }),
        source: z.enum(["scope", "api key", "assigned role", "given role"]),
      }),
    ),
    why: z.string().openapi({ description: "The same in a sentence." }),
  })
  .openapi("AccessExplanation");
