import type { ServerResponse } from "node:http";
import { answerJson } from "./answers.ts";

/**
 * Writes answers that come in the same turn of the event loop one right after the other. Whoever reads them is on another
 * core and asleep: waking it costs as much as a tenth of a call, and the first of several writes wakes it for all.
 */
export interface Outbox {
  /** Answers 200 with a JSON text: now or, where it is short, at the end of this turn at the latest. */
  answer(res: ServerResponse, text: string): void;
}

/** Answers that are written together at the most: how long one waits for the others is bounded by that. */
const TOGETHER = 16;
/** Characters. Whether the reader of a long answer keeps up is to be seen as soon as it has been given. */
const SHORT = 16_384;

export function createOutbox(): Outbox {
  let waiting: { readonly res: ServerResponse; readonly text: string }[] = [];
  let isDue = false;
  const write = (): void => {
    const ready = waiting;
    waiting = [];
    for (const { res, text } of ready) answerJson(res, 200, text);
  };
  const atEnd = (): void => {
    isDue = false;
    write();
  };
  return {
    answer(res, text) {
      if (text.length > SHORT) {
        answerJson(res, 200, text);
        return;
      }
      waiting.push({ res, text });
      if (waiting.length >= TOGETHER) write();
      else if (!isDue) {
        isDue = true;
        setImmediate(atEnd);
      }
    },
  };
}
