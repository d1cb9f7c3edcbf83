import { z } from "@hono/zod-openapi";
import { parseIfMatch } from "../if-match.ts";

/** The header by which a change applies only to the version that its sender has read. */
export const ifMatchHeader = z.object({
  "If-Match": z
    .string()
    .openapi({
      description: 'The version that was read, as in ETag: "3". Absent: any version.',
      example: '"3"',
    })
    .transform((text, context) => {
      const versions = parseIfMatch(text);
      if (versions !== undefined) return versions;
      context.addIssue({ code: "custom", message: 'Must be * or a list of entity tags such as "3"' });
      return z.NEVER;
    })
    .optional(),
});
