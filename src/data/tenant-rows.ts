import type { Slug, TenantId } from "../core/ids.ts";
import type { PartialLimits } from "../tenancy/limits.ts";
import type { TenantRecord } from "../tenancy/tenant-record.ts";
import type { DpopMode, Roles } from "../tenancy/tenant-snapshot.ts";
import type { PlacedRow } from "./creation-page.ts";

export interface TenantRow extends PlacedRow {
  id: TenantId;
  slug: Slug;
  name: string;
  plan: string;
  status: TenantRecord["status"];
  limits: PartialLimits;
  plan_limits: PartialLimits;
  tool_sets: string[] | null;
  plan_tool_sets: string[];
  scopes: string[];
  roles: Roles;
  settings: Record<string, unknown>;
  api_keys: boolean;
  dpop: DpopMode;
  placement: TenantRecord["placement"];
  version: string;
  created_at: Date;
  updated_at: Date;
}

/** The columns of a {@link TenantRow}, of tenants as `t` and plans as `p`. */
export const TENANT_COLUMNS = `
  t.id, t.slug, t.name, t.plan, t.status, t.limits, p.limits AS plan_limits, t.tool_sets, p.tool_sets AS plan_tool_sets,
  t.scopes, t.roles, t.settings, t.api_keys, t.dpop, t.placement, t.version, t.created_at, t.updated_at,
  (extract(epoch FROM t.created_at) * 1000000)::bigint AS created_micros`;

export function toTenantRecord(row: TenantRow): TenantRecord {
  return {
    id: row.id,
    slug: row.slug,
    name: row.name,
    plan: row.plan,
    status: row.status,
    limits: row.limits,
    planLimits: row.plan_limits,
    toolSets: row.tool_sets,
    planToolSets: row.plan_tool_sets,
    scopes: row.scopes,
    roles: row.roles,
    settings: row.settings,
    apiKeys: row.api_keys,
    dpop: row.dpop,
    placement: row.placement,
    version: Number(row.version),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
