import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TenantId } from "../../src/core/ids.ts";
import { createAddressLimiter } from "../../src/limits/address-limiter.ts";
import { createConcurrencyLimiter } from "../../src/limits/concurrency.ts";
import { bucketRate, createTenantRateLimiter } from "../../src/limits/tenant-rate-limiter.ts";
import { TokenBucket } from "../../src/limits/token-bucket.ts";
import { DEFAULT_LIMITS, effectiveLimits } from "../../src/tenancy/limits.ts";

const A = "tnt_a" as TenantId;
const B = "tnt_b" as TenantId;

function fakeClock() {
  let time = 0;
  const advance = (ms: number): void => {
    time += ms;
  };
  return { clock: { now: () => time, monotonic: () => time }, advance };
}

describe("a token bucket", () => {
  test("never admits more than its capacity and what flows in, whatever the arrivals", () => {
    fc.assert(
      fc.property(
        fc.record({
          capacity: fc.integer({ min: 1, max: 50 }),
          perSecond: fc.double({ min: 0.1, max: 100, noNaN: true }),
        }),
        fc.array(fc.integer({ min: -50, max: 2_000 }), { maxLength: 200 }),
        (rate, gaps) => {
          let now = 0;
          let latest = 0;
          let admitted = 0;
          const bucket = new TokenBucket(rate, 0);
          for (const gap of gaps) {
            // A clock that goes back gives nothing.
            now += gap;
            latest = Math.max(latest, now);
            const answer = bucket.take(rate, now);
            if (answer.admitted) admitted++;
            else expect(answer.retryAfterMs).toBeGreaterThan(0);
            expect(admitted).toBeLessThanOrEqual(rate.capacity + (latest / 1000) * rate.perSecond + 1e-6);
          }
        },
      ),
    );
  });

  test("says when the next token is there, and has it then", () => {
    const rate = { capacity: 2, perSecond: 1 };
    const bucket = new TokenBucket(rate, 0);
    bucket.take(rate, 0);
    bucket.take(rate, 0);
    expect(bucket.peek(rate, 0)).toEqual({ admitted: false, retryAfterMs: 1000 });
    expect(bucket.take(rate, 500)).toEqual({ admitted: false, retryAfterMs: 500 });
    expect(bucket.take(rate, 1000)).toEqual({ admitted: true, remaining: 0 });
  });
});

describe("tenants' rates", () => {
  test("one tenant's use takes nothing from another", () => {
    const { clock } = fakeClock();
    const limiter = createTenantRateLimiter(clock);
    const limits = effectiveLimits({ requestsPerMinute: 3 }, {});
    expect([1, 2, 3, 4].map(() => limiter.consume(A, limits)?.code ?? "admitted")).toEqual([
      "admitted",
      "admitted",
      "admitted",
      "rate_limited",
    ]);
    expect(limiter.consume(B, limits)).toBeNull();
    expect(limiter.consume(A, limits)).toMatchObject({
      retryAfterMs: 20_000,
      data: { limit: "requestsPerMinute", value: 3 },
    });
  });

  test("peek takes nothing, null is no limit, and 0 admits nobody", () => {
    const { clock, advance } = fakeClock();
    const limiter = createTenantRateLimiter(clock);
    const one = effectiveLimits({ requestsPerMinute: 1 }, {});
    for (let i = 0; i < 10; i++) expect(limiter.peek(A, one)).toBeNull();
    expect(limiter.consume(A, one)).toBeNull();
    expect(limiter.peek(A, one)?.code).toBe("rate_limited");
    advance(60_000);
    limiter.sweep();
    expect(limiter.consume(A, one)).toBeNull();
    for (let i = 0; i < 5_000; i++)
      expect(limiter.consume(B, effectiveLimits({ requestsPerMinute: null }, {}))).toBeNull();
    expect(limiter.consume(B, effectiveLimits({ requestsPerMinute: 0 }, {}))?.code).toBe("rate_limited");
  });

  test("a changed plan applies from the next request on, whether it gives more or less", () => {
    const { clock, advance } = fakeClock();
    const limiter = createTenantRateLimiter(clock);
    const admitted = (limits: Parameters<typeof limiter.consume>[1]): number =>
      Array.from({ length: 100 }, () => limiter.consume(A, limits)).filter((each) => each === null).length;
    const [small, large] = [6, 60].map((requestsPerMinute) => effectiveLimits({ requestsPerMinute }, {}));
    if (small === undefined || large === undefined) throw new TypeError("There are two.");
    expect(admitted(small)).toBe(6);
    expect(limiter.peek(A, large)?.retryAfterMs).toBe(1_000);
    advance(30_000);
    expect(admitted(large)).toBe(30);
    advance(60_000);
    expect(admitted(small)).toBe(6);
    advance(6_000);
    expect(admitted(large)).toBe(6);
  });

  test("a burst is as stated, or the window's share of the sustained rate", () => {
    expect(bucketRate(600, { burst: 5, rateWindowSeconds: 60 })).toEqual({ perSecond: 10, capacity: 5 });
    expect(bucketRate(600, { burst: null, rateWindowSeconds: 6 })).toEqual({ perSecond: 10, capacity: 60 });
    expect(bucketRate(1, { burst: null, rateWindowSeconds: 1 })).toEqual({ perSecond: 1 / 60, capacity: 1 });
  });
});

test("limits: the override, else the plan, else the default; null is a value", () => {
  expect(effectiveLimits({}, {})).toEqual(DEFAULT_LIMITS);
  const limits = effectiveLimits(
    { requestsPerMinute: 60, maxTools: 5, quotas: { pages: { limit: 1, period: "day" } } },
    { maxTools: null, quotas: { mails: { limit: 2, period: "month" } } },
  );
  expect(limits).toMatchObject({
    requestsPerMinute: 60,
    maxTools: null,
    maxResources: 1000,
    storageMb: 1024,
  });
  expect(Object.keys(limits.quotas)).toEqual(["pages", "mails"]);
  expect([
    DEFAULT_LIMITS.maxTools,
    DEFAULT_LIMITS.maxResources,
    DEFAULT_LIMITS.requestsPerMinute,
    DEFAULT_LIMITS.storageMb,
  ]).toEqual([100, 1000, 1000, 1024]);
});

test("operations in flight are counted for each tenant by itself, and a place is left once", async () => {
  const limiter = createConcurrencyLimiter();
  const first = limiter.enter(A, 2);
  const second = limiter.enter(A, 2);
  expect([first.kind, second.kind]).toEqual(["place", "place"]);
  expect(limiter.enter(A, 2)).toMatchObject({
    code: "rate_limited",
    data: { limit: "maxConcurrency", value: 2 },
  });
  expect(limiter.enter(B, 2).kind).toBe("place");
  if (first.kind === "place" && second.kind === "place") {
    first.leave();
    first.leave();
    expect([limiter.enter(A, 2).kind, limiter.enter(A, 2).kind]).toEqual(["place", "refusal"]);
    let end: () => void = () => {};
    second.keepUntil(
      new Promise<void>((resolve) => {
        end = resolve;
      }),
    );
    second.leave();
    expect(limiter.enter(A, 2).kind).toBe("refusal");
    end();
    await expect.poll(() => limiter.enter(A, 2).kind).toBe("place");
  }
  expect(limiter.enter(A, null).kind).toBe("place");
});

test("an address that keeps failing is slowed down; others and its good requests before are not", () => {
  const { clock, advance } = fakeClock();
  const limiter = createAddressLimiter(clock);
  for (let i = 0; i < 1000; i++) {
    expect(limiter.check("10.0.0.1")).toBeNull();
    limiter.failed("10.0.0.1");
  }
  expect(limiter.check("10.0.0.1")).toMatchObject({
    code: "rate_limited",
    data: { limit: "failedAuthentications" },
  });
  expect(limiter.check("10.0.0.2")).toBeNull();
  advance(1_000);
  expect(limiter.check("10.0.0.1")).toBeNull();
});
