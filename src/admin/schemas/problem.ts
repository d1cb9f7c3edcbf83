import { z } from "@hono/zod-openapi";

/** An error as RFC 9457 writes it, with our code, what to do about it, and the members that were not valid. */
export const problemSchema = z
  .object({
    type: z.string().openapi({ example: "urn:bulkhead:error:tenant_not_found" }),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string().openapi({ description: "Stable: one of the table in docs/errors.md." }),
    remedy: z.string(),
    errors: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .openapi({ description: "What was not valid, where: members joined by dots." }),
    operationId: z
      .string()
      .optional()
      .openapi({ description: "Names this operation in the log and the audit trail." }),
  })
  .openapi("Problem");
