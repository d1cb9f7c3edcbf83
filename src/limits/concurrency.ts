import type { TenantId } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";

/** Counts each tenant's operations in flight on this instance. */
export interface ConcurrencyLimiter {
  /** Enters, or says why not. Every entry is left exactly once, when the work has really ended. */
  enter(tenantId: TenantId, limit: number | null): Refusal | null;
  leave(tenantId: TenantId): void;
}

/** What a client is told to wait when its tenant's operations fill the limit, in milliseconds. */
const RETRY_MS = 1_000;

export function createConcurrencyLimiter(): ConcurrencyLimiter {
  // Only tenants with something in flight have an entry.
  const inFlight = new Map<TenantId, number>();
  return {
    enter(tenantId, limit) {
      const count = inFlight.get(tenantId) ?? 0;
      if (limit !== null && count >= limit) {
        return refuse("rate_limited", {
          retryAfterMs: RETRY_MS,
          data: { limit: "maxConcurrency", value: limit },
        });
      }
      inFlight.set(tenantId, count + 1);
      return null;
    },
    leave(tenantId) {
      const count = (inFlight.get(tenantId) ?? 0) - 1;
      if (count > 0) inFlight.set(tenantId, count);
      else inFlight.delete(tenantId);
    },
  };
}
