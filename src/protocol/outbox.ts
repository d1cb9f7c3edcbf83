import type { ServerResponse } from "node:http";
import { answerJson } from "./answers.ts";

/**
 * Writes answers that come in the same turn of the event loop one right after the other: whoever reads them is asleep, and
 * waking it is paid for by the write (docs/performance.md); the first of several writes wakes it for all.
 */
export interface Outbox {
  /**
   * Answers 200 with a JSON text: now or, where it is short, when this turn of the event loop ends at the latest. Never
   * throws.
   */
  answer(res: ServerResponse, text: string): void;
}

/** Answers that wait for each other at the most. */
const TOGETHER = 16;
/** Characters. Whether the reader of a long answer keeps up is to be seen as soon as it has been given. */
const SHORT = 16_384;

/**
 * @param onFault told of an answer that could not be written, and whose response was dropped for that: a framework's
 * middleware began it, or broke it.
 */
export function createOutbox(onFault: (cause: unknown) => void): Outbox {
  let waiting: { readonly res: ServerResponse; readonly text: string }[] = [];
  let isDue = false;
  const send = (res: ServerResponse, text: string): void => {
    // The others are other callers', and so is whoever gives the last one: none of them is to hear of it.
    try {
      answerJson(res, 200, text);
    } catch (cause) {
      res.destroy();
      onFault(cause);
    }
  };
  const write = (): void => {
    const ready = waiting;
    waiting = [];
    for (const { res, text } of ready) send(res, text);
  };
  const atEnd = (): void => {
    isDue = false;
    write();
  };
  return {
    answer(res, text) {
      if (text.length > SHORT) {
        send(res, text);
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
