import { systemClock } from "../../src/core/clock.ts";
import { createIdSource, type Slug } from "../../src/core/ids.ts";
import { effectiveLimits, type PartialLimits } from "../../src/tenancy/limits.ts";
import { NO_REVOCATIONS } from "../../src/tenancy/revocations.ts";
import type { TenantSnapshot } from "../../src/tenancy/tenant-snapshot.ts";

/** A tenant's configuration without a database. */
export function tenantSnapshot(
  slug: string,
  change: Partial<Omit<TenantSnapshot, "slug" | "limits">> & { readonly limits?: PartialLimits } = {},
): TenantSnapshot {
  return {
    id: createIdSource(systemClock.now).tenant(),
    slug: slug as Slug,
    name: slug,
    status: "active",
    plan: "free",
    toolSets: new Set(),
    scopes: [],
    roles: {},
    roleAssignments: new Map(),
    settings: {},
    issuers: [],
    apiKeys: new Map(),
    dpop: "off",
    revocations: NO_REVOCATIONS,
    placement: "shared",
    version: 1,
    ...change,
    limits: effectiveLimits({}, change.limits ?? {}),
  };
}
