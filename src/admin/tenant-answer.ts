import type { z } from "@hono/zod-openapi";
import type { Slug } from "../core/ids.ts";
import { effectiveLimits } from "../tenancy/limits.ts";
import type { TenantRecord } from "../tenancy/tenant-record.ts";
import type { Answer } from "./admin-operation.ts";
import type { tenant as tenantSchema } from "./schemas/tenant.ts";

/** A tenant as {@link tenantSchema} describes it. */
export function showTenant(record: TenantRecord, mcpUrlOf: (slug: Slug) => string) {
  const { planLimits, planToolSets, createdAt, updatedAt, ...own } = record;
  return {
    ...own,
    effectiveLimits: effectiveLimits(planLimits, record.limits),
    effectiveToolSets: record.toolSets ?? planToolSets,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
    mcp: mcpUrlOf(record.slug),
  } satisfies DeepReadonly<z.output<typeof tenantSchema>>;
}

export function tenantAnswer(
  status: 200 | 201,
  record: TenantRecord,
  mcpUrlOf: (slug: Slug) => string,
): Answer {
  return { status, body: showTenant(record, mcpUrlOf), version: record.version, tenantId: record.id };
}

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;
