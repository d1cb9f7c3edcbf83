import type { Signal, SignalTopic } from "../core/signal.ts";

/** The way to the other instances: the data room's port. See core/signal.ts for what is said. */
export interface SignalPort {
  /** Nobody waits, nothing is promised. False: it is larger than a signal may be, and is not told. */
  publish(signal: Signal): boolean;
  /** What others say, not this instance. Gives back what ends it. */
  subscribe<T extends SignalTopic>(topic: T, listener: (signal: Signal<T>) => void): () => void;
}
