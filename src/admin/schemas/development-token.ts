import { z } from "@hono/zod-openapi";
import { parseSlug, parseTenantId } from "../../core/ids.ts";
import type { TenantName } from "../../tenancy/tenant-record.ts";
import { MAX_NAMES, scope } from "./names.ts";

const subject = z.string().min(1).max(255);

const scopes = z
  .string()
  .max(32_768)
  .transform((text) => text.split(" ").filter((part) => part !== ""))
  .pipe(z.array(scope).max(MAX_NAMES))
  .openapi({
    type: "string",
    description: "Permissions with spaces between; absent: those of the user.",
    example: "tickets:read tickets:write",
  });

/** Body of POST /development/tokens. */
export const developmentTokenRequest = z
  .strictObject({
    tenant: z
      .string()
      .openapi({ description: "The tenant's id or slug.", example: "acme" })
      .transform((text): TenantName | null => parseTenantId(text) ?? parseSlug(text)),
    user: subject
      .optional()
      .openapi({ description: "Subject of a demonstration user; absent: the tenant's first." }),
    subject: subject.optional().openapi({ description: "Any other subject." }),
    scope: scopes.optional(),
    expiresIn: z
      .int()
      .min(1)
      .max(3_600)
      .default(300)
      .openapi({ description: "Life of the token in seconds." }),
    shared: z.boolean().default(false).openapi({ description: "True: from the broker, for the shared URL." }),
  })
  .refine(
    (body) => body.user === undefined || body.subject === undefined,
    "Must not have both user and subject",
  )
  .openapi("DevelopmentTokenRequest");

/** A token of development, and what it says. */
export const developmentToken = z
  .object({
    token: z.string(),
    issuer: z.string(),
    audience: z.string(),
    subject: z.string(),
    scopes: z.array(z.string()),
    expiresAt: z.iso.datetime(),
  })
  .openapi("DevelopmentToken");
