import { z } from "@hono/zod-openapi";

/** Beyond it a count is as good as none, and sums of it still are exact integers. */
const MAX_COUNT = 1e12;
/** Node fires a longer timer at once. */
const MAX_TIMER_MS = 2_147_483_647;
const MAX_QUOTAS = 100;

const count = (description: string) =>
  z.int().min(0).max(MAX_COUNT).nullable().optional().openapi({ description });

const namedQuota = z
  .strictObject({
    limit: z.int().min(0).max(MAX_COUNT),
    period: z.enum(["minute", "hour", "day", "month", "standing"]),
  })
  .openapi("NamedQuota");

const quotas = z
  .record(
    z
      .string()
      .regex(/^[a-z][a-z0-9_-]{0,62}$/, "Must begin with a letter and have at most 63 of a-z, 0-9, _ and -"),
    namedQuota,
  )
  .refine((named) => Object.keys(named).length <= MAX_QUOTAS, `At most ${MAX_QUOTAS} quotas`);

/** Limits as a plan or a tenant's override states them. */
export const partialLimits = z
  .strictObject({
    requestsPerMinute: count("Sustained operations per minute."),
    burst: count(
      "Operations that may come at once; null: as many as rateWindowSeconds of the sustained rate.",
    ),
    rateWindowSeconds: z.number().positive().max(2_678_400).nullable().optional().openapi({
      description: "Seconds over which the sustained rate may be used at once where burst is null.",
    }),
    maxConcurrency: count("Operations in flight."),
    callsPerMonth: count("Operations per calendar month."),
    maxTools: count("Tools that the tenant sees."),
    maxResources: count("Resources that the tenant sees."),
    storageMb: z
      .number()
      .min(0)
      .max(MAX_COUNT)
      .nullable()
      .optional()
      .openapi({ description: "Megabytes of 1,000,000 bytes." }),
    maxRequestBytes: count("Bytes of a request's body."),
    callTimeoutMs: z
      .int()
      .min(1)
      .max(MAX_TIMER_MS)
      .nullable()
      .optional()
      .openapi({ description: "Milliseconds that a call may take." }),
    quotas: quotas
      .optional()
      .openapi({ description: "Named quotas; a tenant's merge into its plan's by name." }),
  })
  .openapi("Limits", { description: "null is no limit; what is absent is the plan's, or else the default." });

/** Limits as they hold, with nothing absent. */
export const effectiveLimits = z
  .object({
    requestsPerMinute: z.number().nullable(),
    burst: z.number().nullable(),
    rateWindowSeconds: z.number().nullable(),
    maxConcurrency: z.number().nullable(),
    callsPerMonth: z.number().nullable(),
    maxTools: z.number().nullable(),
    maxResources: z.number().nullable(),
    storageMb: z.number().nullable(),
    maxRequestBytes: z.number().nullable(),
    callTimeoutMs: z.number().nullable(),
    quotas: z.record(z.string(), namedQuota),
  })
  .openapi("EffectiveLimits", {
    description: "The tenant's override, else its plan, else the default; null is no limit.",
  });
