import { z } from "@hono/zod-openapi";
import { parseApiKeyId } from "../../core/ids.ts";
import { actor } from "./actor.ts";
import { displayName, permissionPattern, tenantPath } from "./names.ts";

const MAX_PERMISSIONS = 100;

/** `{id}`: null where no key can be called that. */
export const apiKeyPath = tenantPath.extend({
  id: z
    .string()
    .openapi({ description: "The key's id.", example: "key_01j9zq4v8k3f6r2m7w5x1c0bde" })
    .transform(parseApiKeyId),
});

/** Body of POST /tenants/{t}/keys. */
export const newApiKey = z
  .strictObject({
    name: displayName,
    permissions: z
      .array(permissionPattern)
      .min(1)
      .max(MAX_PERMISSIONS)
      .openapi({ description: "What its bearer may do." }),
    expiresAt: z.iso
      .datetime({ offset: true })
      .transform((text) => new Date(text))
      .optional()
      .openapi({
        type: "string",
        format: "date-time",
        description: "In the future, and at most 366 days away; absent: in 90 days.",
      }),
  })
  .openapi("NewApiKey");

const shown = {
  id: z.string(),
  name: z.string(),
  permissions: z.array(z.string()),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  expired: z.boolean(),
  createdBy: actor,
};

/** An API key as the admin API shows it. */
export const apiKey = z.object(shown).openapi("ApiKey");

/** The same with what its bearer sends. */
export const createdApiKey = z
  .object({
    ...shown,
    key: z
      .string()
      .openapi({ description: "What its bearer sends as Authorization: Bearer. Shown this once." }),
  })
  .openapi("CreatedApiKey");
