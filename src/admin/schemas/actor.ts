import { z } from "@hono/zod-openapi";

/** Who made something. */
export const actor = z
  .object({
    kind: z.enum(["user", "client", "key", "operator"]),
    subject: z.string(),
    issuer: z.string().nullable(),
    clientId: z.string().nullable(),
  })
  .openapi("Actor");
