import { z } from "@hono/zod-openapi";
import { parseCursor } from "../page-cursor.ts";

/** Query of a list. Strict: a misspelt `limit` would otherwise silently be the default. */
export const pageQuery = z.strictObject({
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(200)
    .default(50)
    .openapi({ type: "integer", minimum: 1, maximum: 200, default: 50, description: "Items a page." }),
  cursor: z
    .string()
    .openapi({ description: "nextCursor of the page before; absent: the first page." })
    .transform((text, context) => {
      const position = parseCursor(text);
      if (position !== null) return position;
      context.addIssue({ code: "custom", message: "Is not a cursor that this list has given" });
      return z.NEVER;
    })
    .optional(),
});

/** A page of a list. */
export const pageOf = <T extends z.ZodType>(item: T, name: string) =>
  z
    .object({
      items: z.array(item),
      nextCursor: z.string().optional().openapi({ description: "Absent on the last page." }),
    })
    .openapi(name);
