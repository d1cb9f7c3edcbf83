import type { Clock } from "../core/clock.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import { TokenBucket } from "./token-bucket.ts";

/**
 * Slows down addresses that send requests which fail authentication. Only failures are counted: many tenants' clients
 * may share one address behind a proxy, and a good token costs its address nothing.
 */
export interface AddressLimiter {
  /** Refuses when the address has used up its failures. */
  check(address: string): Refusal | null;
  /** Counts a failure of this address. */
  failed(address: string): void;
}

/** A thousand failures at once, then a hundred a second: a table of hostile tokens passes, a flood does not. */
const RATE = { capacity: 1000, perSecond: 100 };
/** Addresses remembered; the one that failed longest ago is forgotten first. */
const MAX_ADDRESSES = 10_000;

export function createAddressLimiter(clock: Clock): AddressLimiter {
  const buckets = new Map<string, TokenBucket>();
  return {
    check(address) {
      const answer = buckets.get(address)?.peek(RATE, clock.monotonic());
      if (answer === undefined || answer.admitted) return null;
      return refuse("rate_limited", {
        retryAfterMs: answer.retryAfterMs,
        data: { limit: "failedAuthentications" },
      });
    },
    failed(address) {
      const bucket = buckets.get(address) ?? new TokenBucket(RATE, clock.monotonic());
      bucket.take(RATE, clock.monotonic());
      buckets.delete(address);
      buckets.set(address, bucket);
      const oldest = buckets.size > MAX_ADDRESSES ? buckets.keys().next().value : undefined;
      if (oldest !== undefined) buckets.delete(oldest);
    },
  };
}
