import type { Clock } from "../core/clock.ts";
import type { TenantId } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { Limits } from "../tenancy/limits.ts";
import { type BucketAnswer, type BucketRate, TokenBucket } from "./token-bucket.ts";

/** The rate limit of tenants on this instance: one bucket each, so that no tenant uses another's. */
export interface TenantRateLimiter {
  /** Takes one operation from the tenant's allowance, or says why not. */
  consume(tenantId: TenantId, limits: Limits): Refusal | null;
  /** As {@link consume}, but takes nothing: for an early refusal, before the body is read. */
  peek(tenantId: TenantId, limits: Limits): Refusal | null;
  /** Drops buckets that are full again, which are as good as new ones. */
  sweep(): void;
}

export function createTenantRateLimiter(clock: Clock): TenantRateLimiter {
  // One bucket for each tenant that was admitted by identity, so it is bounded by the number of tenants; sweep() drops
  // the idle ones.
  const buckets = new Map<TenantId, { readonly bucket: TokenBucket; limits: Limits; rate: BucketRate }>();

  const ask = (tenantId: TenantId, limits: Limits, how: "take" | "peek"): Refusal | null => {
    if (limits.requestsPerMinute === null) return null;
    const now = clock.monotonic();
    let entry = buckets.get(tenantId);
    if (entry === undefined) {
      const rate = bucketRate(limits.requestsPerMinute, limits);
      entry = { bucket: new TokenBucket(rate, now), limits, rate };
      buckets.set(tenantId, entry);
    } else if (entry.limits !== limits) {
      entry.limits = limits;
      entry.rate = bucketRate(limits.requestsPerMinute, limits);
    }
    const answer = how === "take" ? entry.bucket.take(entry.rate, now) : entry.bucket.peek(entry.rate, now);
    return toRefusal(answer, limits.requestsPerMinute);
  };

  return {
    consume: (tenantId, limits) => ask(tenantId, limits, "take"),
    peek: (tenantId, limits) => ask(tenantId, limits, "peek"),
    sweep() {
      const now = clock.monotonic();
      for (const [tenantId, { bucket, rate }] of buckets) {
        const answer = bucket.peek(rate, now);
        if (answer.admitted && answer.remaining >= Math.floor(rate.capacity)) buckets.delete(tenantId);
      }
    },
  };
}

/** A burst as stated, or else `rateWindowSeconds` (60) of the sustained rate. */
export function bucketRate(
  requestsPerMinute: number,
  limits: Pick<Limits, "burst" | "rateWindowSeconds">,
): BucketRate {
  const perSecond = requestsPerMinute / 60;
  return {
    perSecond,
    capacity:
      limits.burst ?? Math.max(requestsPerMinute > 0 ? 1 : 0, perSecond * (limits.rateWindowSeconds ?? 60)),
  };
}

function toRefusal(answer: BucketAnswer, requestsPerMinute: number): Refusal | null {
  if (answer.admitted) return null;
  return refuse("rate_limited", {
    retryAfterMs: answer.retryAfterMs,
    data: { limit: "requestsPerMinute", value: requestsPerMinute },
  });
}
