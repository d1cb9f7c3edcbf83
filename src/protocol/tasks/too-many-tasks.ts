import { type Refusal, refuse } from "../../core/refusal.ts";
import { TASK_BOUNDS, type TaskBounds } from "../../tenancy/task-bounds.ts";

const RETRY_MS = 10_000;

/** What a caller is told whose tenant's tasks are, or hold, as much as they may. */
export function tooManyTasks(bound: keyof TaskBounds): Refusal {
  const limit = { open: "openTasks", kept: "keptTasks", bytes: "taskBytes" }[bound];
  return refuse("rate_limited", { retryAfterMs: RETRY_MS, data: { limit, value: TASK_BOUNDS[bound] } });
}
