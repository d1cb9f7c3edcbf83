import type { OperationEvent } from "../core/event.ts";

/**
 * The metrics of operations. They change with every call and are read every few seconds: so they are plain numbers, and
 * become Prometheus' text only when they are read.
 */
export interface OperationCounts {
  /** @param tenant the label, one of a bounded number */
  count(tenant: string, event: Pick<OperationEvent, "method" | "outcome" | "durationMs">): void;
  /** In Prometheus' text format, with a line feed at the end. */
  text(): string;
}

/** Upper bounds of the histogram's buckets, in seconds. */
const BOUNDS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 30];

/** Of one tenant and method. */
interface Series {
  readonly outcomes: Map<string, number>;
  /** How many durations lie within each bound and not within the one before; the last beyond all bounds. */
  readonly buckets: number[];
  seconds: number;
}

export function createOperationCounts(): OperationCounts {
  const byTenant = new Map<string, Map<string, Series>>();

  const seriesOf = (tenant: string, method: string): Series => {
    let byMethod = byTenant.get(tenant);
    if (byMethod === undefined) {
      byMethod = new Map();
      byTenant.set(tenant, byMethod);
    }
    let series = byMethod.get(method);
    if (series === undefined) {
      series = { outcomes: new Map(), buckets: new Array(BOUNDS.length + 1).fill(0), seconds: 0 };
      byMethod.set(method, series);
    }
    return series;
  };

  return {
    count(tenant, { method, outcome, durationMs }) {
      const series = seriesOf(tenant, method);
      const seconds = durationMs / 1000;
      let bucket = 0;
      while (seconds > (BOUNDS[bucket] ?? Number.POSITIVE_INFINITY)) bucket++;
      series.outcomes.set(outcome, (series.outcomes.get(outcome) ?? 0) + 1);
      series.buckets[bucket] = (series.buckets[bucket] ?? 0) + 1;
      series.seconds += seconds;
    },

    text() {
      const counters: string[] = [];
      const durations: string[] = [];
      for (const [tenant, byMethod] of byTenant) {
        for (const [method, { outcomes, buckets, seconds }] of byMethod) {
          const labels = `tenant="${labelValue(tenant)}",method="${labelValue(method)}"`;
          for (const [outcome, count] of outcomes)
            counters.push(`bulkhead_operations_total{${labels},outcome="${outcome}"} ${count}\n`);
          let total = 0;
          for (const [i, count] of buckets.entries()) {
            total += count;
            durations.push(
              `bulkhead_operation_duration_seconds_bucket{le="${BOUNDS[i] ?? "+Inf"}",${labels}} ${total}\n`,
            );
          }
          durations.push(
            `bulkhead_operation_duration_seconds_sum{${labels}} ${seconds}\n`,
            `bulkhead_operation_duration_seconds_count{${labels}} ${total}\n`,
          );
        }
      }
      return [
        "# HELP bulkhead_operations_total MCP operations by tenant, method and outcome.\n",
        "# TYPE bulkhead_operations_total counter\n",
        ...counters,
        "\n",
        "# HELP bulkhead_operation_duration_seconds Time from the moment an operation was known until its answer, by tenant and method.\n",
        "# TYPE bulkhead_operation_duration_seconds histogram\n",
        ...durations,
      ].join("");
    },
  };
}

/** A label's value, escaped as the format asks for. */
function labelValue(text: string): string {
  return text.replace(/[\\\n"]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`));
}
