import { Counter, collectDefaultMetrics, Registry } from "prom-client";
import type { BulkheadEvent } from "../core/event.ts";
import { createOperationCounts } from "./operation-counts.ts";

/** Metrics of one instance, in Prometheus' text format. */
export interface Metrics {
  consume(event: BulkheadEvent): void;
  readonly contentType: string;
  text(): Promise<string>;
}

/** Tenants that get a label of their own; later ones are counted together as `other`, so that cardinality is bounded. */
const MAX_TENANT_LABELS = 1_000;

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const operations = createOperationCounts();
  const refusals = new Counter({
    name: "bulkhead_refusals_total",
    help: "Requests refused before they became operations, by tenant (empty where unknown), stage and code.",
    labelNames: ["tenant", "stage", "code"] as const,
    registers: [registry],
  });
  // Not by tenant: the catalog's permissions are few, but a series for each tenant and permission would be many.
  const lacked = new Counter({
    name: "bulkhead_permission_refusals_total",
    help: "Operations refused because the caller lacked a permission, by permission.",
    labelNames: ["permission"] as const,
    registers: [registry],
  });
  const administrative = new Counter({
    name: "bulkhead_administrative_operations_total",
    help: "Acts through the admin API and the command line, by action and outcome.",
    labelNames: ["action", "outcome"] as const,
    registers: [registry],
  });
  const faults = new Counter({
    name: "bulkhead_faults_total",
    help: "Things that broke outside any one operation, by place and level.",
    labelNames: ["where", "level"] as const,
    registers: [registry],
  });

  const labelled = new Set<string>();
  const tenantLabel = (tenantId: string | null): string => {
    if (tenantId === null) return "";
    if (labelled.has(tenantId)) return tenantId;
    if (labelled.size >= MAX_TENANT_LABELS) return "other";
    labelled.add(tenantId);
    return tenantId;
  };

  return {
    consume(event) {
      switch (event.type) {
        case "operation":
          operations.count(tenantLabel(event.tenantId), event);
          return;
        case "refusal":
          refusals.inc({ tenant: tenantLabel(event.tenantId), stage: event.stage, code: event.code });
          if (event.permission !== undefined) lacked.inc({ permission: event.permission });
          return;
        case "administrative":
          administrative.inc({ action: event.action, outcome: event.outcome });
          return;
        case "fault":
          faults.inc({ where: event.where, level: event.level });
          return;
        case "refusal_summary":
        case "tool_log":
        case "lifecycle":
        case "configuration":
          return;
      }
    },
    contentType: registry.contentType,
    text: async () => `${operations.text()}\n${await registry.metrics()}`,
  };
}
