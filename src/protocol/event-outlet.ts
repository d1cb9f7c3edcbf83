import type { ServerResponse } from "node:http";
import { EventStream } from "./event-stream.ts";
import type { Outlet } from "./outlet.ts";

/** How one kind of stream says things in events. */
export interface EventWords {
  /** Gives the bytes of the first message; 0 where there is none. */
  begin(events: EventStream): number;
  notify(events: EventStream, method: string, params: string): void;
  end(events: EventStream): void;
}

/** Bytes that may wait for a reader who is told much at once, before it gets more. */
const ENOUGH_WAITING = 65_536;

/** A stream of changes as the answer to one HTTP request. */
export class EventOutlet implements Outlet {
  readonly #res: ServerResponse;
  readonly #words: EventWords;
  readonly #events: EventStream;

  /** Writes the head. */
  constructor(res: ServerResponse, words: EventWords) {
    this.#res = res;
    this.#words = words;
    this.#events = new EventStream(res);
  }

  get gone(): boolean {
    return this.#res.destroyed || this.#res.writableEnded;
  }

  begin(): number {
    return this.#words.begin(this.#events);
  }

  notify(method: string, params: string): void {
    this.#words.notify(this.#events, method, params);
  }

  keepAlive(): void {
    this.#events.keepAlive();
  }

  end(): void {
    this.#words.end(this.#events);
  }

  destroy(): void {
    this.#events.destroy();
  }

  drained(): Promise<void> | null {
    const res = this.#res;
    if (this.gone || res.writableLength <= ENOUGH_WAITING) return null;
    return new Promise((resolve) => {
      const done = (): void => {
        res.off("drain", done);
        res.off("close", done);
        resolve();
      };
      res.on("drain", done);
      res.on("close", done);
    });
  }

  onClosed(listener: () => void): void {
    this.#res.once("close", listener);
  }
}
