import type { TenantId } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";

/** Counts each tenant's operations in flight on this instance. */
export interface ConcurrencyLimiter {
  /** A place among them, or the refusal that says why not. */
  enter(tenantId: TenantId, limit: number | null): HeldPlace | Refusal;
}

/** A place among a tenant's operations in flight, left exactly once. */
export interface HeldPlace {
  readonly kind: "place";
  leave(): void;
  /** Leaves it when the work has ended, not when the answer has: a handler that ignores its signal still counts. */
  keepUntil(work: Promise<unknown>): void;
}

/** What a client is told to wait when its tenant's operations fill the limit, in milliseconds. */
const RETRY_MS = 1_000;

export function createConcurrencyLimiter(): ConcurrencyLimiter {
  // Only tenants with something in flight have an entry.
  const inFlight = new Map<TenantId, number>();
  const leave = (tenantId: TenantId): void => {
    const count = (inFlight.get(tenantId) ?? 0) - 1;
    if (count > 0) inFlight.set(tenantId, count);
    else inFlight.delete(tenantId);
  };
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
      return new Place(() => leave(tenantId));
    },
  };
}

class Place implements HeldPlace {
  readonly kind = "place";
  readonly #leave: () => void;
  #held = true;

  constructor(leave: () => void) {
    this.#leave = leave;
  }

  leave(): void {
    if (this.#held) this.#leave();
    this.#held = false;
  }

  keepUntil(work: Promise<unknown>): void {
    if (!this.#held) return;
    this.#held = false;
    work.finally(this.#leave);
  }
}
