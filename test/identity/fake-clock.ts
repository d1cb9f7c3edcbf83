import type { Clock } from "../../src/core/clock.ts";

/** A clock that stands still until it is moved. */
export interface FakeClock extends Clock {
  advance(milliseconds: number): void;
}

export function createFakeClock(now = 1_800_000_000_000): FakeClock {
  let passed = 0;
  return {
    now: () => now + passed,
    monotonic: () => passed,
    advance: (milliseconds) => {
      passed += milliseconds;
    },
  };
}
