import type { AuditFacts } from "../core/audit-row.ts";
import type { BulkheadEvent, EventSink, RefusalEvent } from "../core/event.ts";

/** Sums up refusals, so that a flood of them is a few rows and lines, not one each. */
export interface RefusalSummary {
  consume(event: BulkheadEvent): void;
  /** Reports what was summed up since the last time. */
  report(): void;
}

/** Different sums held between two reports; more than that are summed up as one. */
const MAX_SUMS = 2_000;

const SEVERAL = { tenantId: null, stage: "several", code: "several", permission: undefined } as const;

interface Sum {
  readonly first: RefusalEvent;
  last: number;
  count: number;
}

export function createRefusalSummary(options: {
  /** Takes an audit row for the refusals of a known tenant. */
  readonly record: (facts: AuditFacts) => void;
  readonly emit: EventSink;
}): RefusalSummary {
  let sums = new Map<string, Sum>();
  return {
    consume(event) {
      if (event.type !== "refusal") return;
      // A permission has no space, and is one that the catalog names.
      const exact = `${event.tenantId ?? ""} ${event.stage} ${event.code} ${event.permission ?? ""}`;
      const key = sums.has(exact) || sums.size < MAX_SUMS ? exact : "rest";
      const sum = sums.get(key);
      if (sum === undefined) sums.set(key, { first: event, last: event.at, count: 1 });
      else {
        sum.count++;
        sum.last = event.at;
      }
    },
    report() {
      const batch = sums;
      sums = new Map();
      for (const [key, { first, last, count }] of batch) {
        // The rest are of different tenants, stages and codes: it may carry the name of none of them.
        const { tenantId, stage, code, permission } = key === "rest" ? SEVERAL : first;
        const lacked = permission === undefined ? {} : { permission };
        options.emit({
          type: "refusal_summary",
          at: last,
          since: first.at,
          tenantId,
          stage,
          code,
          ...lacked,
          count,
        });
        if (tenantId === null) continue;
        options.record({
          tenantId,
          kind: "refusals",
          operationId: null,
          at: last,
          actor: null,
          action: stage,
          target: null,
          outcome: "refused",
          code,
          durationMs: null,
          details: { count, since: new Date(first.at).toISOString(), ...lacked },
        });
      }
    },
  };
}
