import type { Refusal } from "../core/refusal.ts";
import type { Signal, SignalTopic } from "../core/signal.ts";

/** The way to the other instances: the data room's port. See core/signal.ts for what is said. */
export interface SignalPort {
  /**
   * Nobody waits, nothing is promised. Refuses `body_too_large` where it is larger than a signal may be, and `rate_limited`
   * where it is large and the tenant has told too much of that: then it is not told.
   */
  publish(signal: Signal): Refusal | null;
  /** What others say, not this instance. Gives back what ends it. */
  subscribe<T extends SignalTopic>(topic: T, listener: (signal: Signal<T>) => void): () => void;
}
