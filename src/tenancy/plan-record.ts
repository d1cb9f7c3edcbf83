import type { PartialLimits } from "./limits.ts";

/** A plan: limits and tool sets for the tenants that are on it. */
export interface PlanRecord {
  readonly name: string;
  readonly limits: PartialLimits;
  readonly toolSets: readonly string[];
  /** Counts the changes of this plan, from 1. */
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}
