import { Counter, Histogram, Registry } from "prom-client";
import { expect, test } from "vitest";
import type { OperationOutcome } from "../../src/core/event.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { createOperationCounts } from "../../src/observe/operation-counts.ts";
import { operationEvent } from "./operation-event.ts";

test("counts are told as prom-client tells them", async () => {
  const registry = new Registry();
  const counter = new Counter({
    name: "bulkhead_operations_total",
    help: "MCP operations by tenant, method and outcome.",
    labelNames: ["tenant", "method", "outcome"],
    registers: [registry],
  });
  const histogram = new Histogram({
    name: "bulkhead_operation_duration_seconds",
    help: "Time from the moment an operation was known until its answer, by tenant and method.",
    labelNames: ["tenant", "method"],
    buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 30],
    registers: [registry],
  });
  const counts = createOperationCounts();
  const outcomes: OperationOutcome[] = ["ok", "tool_error", "failed", "input_required"];
  const durations = [0, 0.9, 1, 1.000001, 5, 24, 99, 100, 499.5, 2_500, 9_999, 30_000, 30_001, 1e9];
  for (const tenant of ["tnt_a", "other", 'a "\\\n b'])
    for (const method of ["tools/call", "tools/list"])
      for (const [i, durationMs] of durations.entries()) {
        const outcome = outcomes[i % outcomes.length] ?? "ok";
        counter.inc({ tenant, method, outcome });
        histogram.observe({ tenant, method }, durationMs / 1000);
        counts.count(tenant, { method, outcome, durationMs });
      }
  const lines = (text: string) => text.split("\n").filter((line) => line !== "");
  expect(lines(counts.text()).sort()).toEqual(lines(await registry.metrics()).sort());
});

test("tenants beyond the bound are counted together", async () => {
  const metrics = createMetrics();
  for (let i = 0; i < 1_003; i++) metrics.consume(operationEvent({ tenantId: `tnt_${i}` }));
  metrics.consume(operationEvent({ tenantId: "tnt_0" }));
  const text = await metrics.text();
  expect(text.match(/^bulkhead_operations_total\{/gm)).toHaveLength(1_001);
  const count = (tenant: string) =>
    new RegExp(`^bulkhead_operations_total\\{tenant="${tenant}",.*\\} (\\d+)$`, "m").exec(text)?.[1];
  expect([count("tnt_0"), count("tnt_999"), count("tnt_1000"), count("other")]).toEqual([
    "2",
    "1",
    undefined,
    "3",
  ]);
});
