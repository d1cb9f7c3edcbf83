import type { PlanRecord } from "../tenancy/plan-record.ts";
import type { Answer } from "./admin-operation.ts";

export function showPlan(record: PlanRecord) {
  return {
    ...record,
    createdAt: record.createdAt.toISOString(),
    updatedAt: record.updatedAt.toISOString(),
  };
}

export function planAnswer(status: 200 | 201, record: PlanRecord): Answer {
  return { status, body: showPlan(record), version: record.version, tenantId: null };
}
