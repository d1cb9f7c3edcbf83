import type { BulkheadEvent, EventSink } from "../core/event.ts";

/** Makes something of an event. `more`: others follow at once, so what is gathered may wait for the last of them. */
export type EventConsumer = (event: BulkheadEvent, more: boolean) => void;

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

export function createEventHub(consumers: readonly EventConsumer[]): EventHub {
  let held: BulkheadEvent[] = [];
  let timer: NodeJS.Timeout | null = null;
  let closed = false;

  const flush = (): void => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    const batch = held;
    held = [];
    let left = batch.length;
    for (const event of batch) {
      left--;
      for (const consume of consumers) hand(event, left > 0, consume);
    }
  };

  /** A consumer that throws loses its own line of this one event, and nobody else's. */
  const hand = (event: BulkheadEvent, more: boolean, consume: EventConsumer): void => {
    try {
      consume(event, more);
    } catch (cause) {
      // Once only: the report of a report that cannot be made would go on for ever.
      if (event.type === "fault" && event.where === "events") return;
      held.push({
        type: "fault",
        at: event.at,
        level: "error",
        where: "events",
        message: "An event could not be put on record.",
        cause,
      });
    }
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
