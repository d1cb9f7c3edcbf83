/** What a bucket answers: the number of milliseconds until the next token when there is none now. */
export type BucketAnswer =
  | { readonly admitted: true; readonly remaining: number }
  | { readonly admitted: false; readonly retryAfterMs: number };

/** Size of a bucket, and tokens that flow into it per second. */
export interface BucketRate {
  readonly capacity: number;
  readonly perSecond: number;
}

/**
 * A token bucket: smooth, O(1), two numbers. The time is handed in, milliseconds of a clock that never goes back; a
 * changed rate applies from the next call on, with the tokens there are, at most the new capacity.
 */
export class TokenBucket {
  #tokens: number;
  #at: number;

  constructor(rate: BucketRate, now: number) {
    this.#tokens = rate.capacity;
    this.#at = now;
  }

  /** Takes one token. */
  take(rate: BucketRate, now: number): BucketAnswer {
    this.#refill(rate, now);
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return { admitted: true, remaining: Math.floor(this.#tokens) };
    }
    return { admitted: false, retryAfterMs: this.#wait(rate) };
  }

  /** Says what {@link take} would, and takes nothing. */
  peek(rate: BucketRate, now: number): BucketAnswer {
    this.#refill(rate, now);
    return this.#tokens >= 1
      ? { admitted: true, remaining: Math.floor(this.#tokens) }
      : { admitted: false, retryAfterMs: this.#wait(rate) };
  }

  #refill(rate: BucketRate, now: number): void {
    const elapsed = Math.max(0, now - this.#at);
    this.#at = Math.max(this.#at, now);
    this.#tokens = Math.min(rate.capacity, this.#tokens + (elapsed / 1000) * rate.perSecond);
  }

  #wait(rate: BucketRate): number {
    // A rate of nothing never has a token: an hour is as good an answer as any.
    if (rate.perSecond <= 0 || rate.capacity < 1) return 3_600_000;
    return Math.ceil(((1 - this.#tokens) / rate.perSecond) * 1000);
  }
}
