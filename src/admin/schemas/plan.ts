import { z } from "@hono/zod-openapi";
import { partialLimits } from "./limits.ts";
import { label, MAX_NAMES } from "./names.ts";

/** Body of PUT /plans/{p}. */
export const planContent = z
  .strictObject({
    limits: partialLimits.default({}),
    toolSets: z.array(label).max(MAX_NAMES).default([]),
  })
  .openapi("PlanContent");

/** A plan as the admin API shows it. */
export const plan = z
  .object({
    name: z.string(),
    limits: partialLimits,
    toolSets: z.array(z.string()),
    version: z.int().openapi({ description: "Counts changes; the ETag, and what If-Match takes." }),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .openapi("Plan");
