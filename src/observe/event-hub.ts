import type { BulkheadEvent, EventSink } from "../core/event.ts";

/** Takes events on the request path and hands them, in batches and in order, to what makes log lines and metrics of them. */
export interface EventHub {
  readonly emit: EventSink;
  /** Hands over what is held, now. */
  flush(): void;
  close(): void;
}

/** Events handed over at once at the latest. */
const MAX_HELD = 512;
/** Longest time an event waits, in milliseconds. */
const LINGER_MS = 20;

export function createEventHub(consumers: readonly ((event: BulkheadEvent) => void)[]): EventHub {
  let held: BulkheadEvent[] = [];
  let timer: NodeJS.Timeout | null = null;
  let closed = false;

  const flush = (): void => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    const batch = held;
    held = [];
    for (const event of batch) for (const consume of consumers) consume(event);
  };

  return {
    emit(event) {
      held.push(event);
      if (closed || held.length >= MAX_HELD) flush();
      else timer ??= setTimeout(flush, LINGER_MS);
    },
    flush,
    close() {
      closed = true;
      flush();
    },
  };
}
