import type { DevelopmentDefinition } from "bulkhead-mcp";

/** What `bulkhead dev` offers its demonstration tenants. In production an operator keeps plans through the admin API. */
export const plans: NonNullable<DevelopmentDefinition["plans"]> = {
  free: {
    limits: {
      requestsPerMinute: 60,
      // A model begins a task with several requests at once and then thinks. The burst allows a whole minute's worth,
      // so that a person who tries the free plan meets the limit by using it too much, not by starting.
      burst: 60,
      maxConcurrency: 8,
      callsPerMonth: 10_000,
      maxTools: 20,
      maxResources: 50,
      storageMb: 100,
    },
    toolSets: [],
  },
  team: {
    limits: { requestsPerMinute: 1000, burst: 200, callsPerMonth: 1_000_000 },
    toolSets: ["reports"],
  },
  enterprise: {
    limits: { requestsPerMinute: 60_000, burst: 5000, maxConcurrency: 256, storageMb: 10_240 },
    toolSets: ["reports"],
  },
};
