import type { ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { EventStream } from "../event-stream.ts";
import type { StreamLog, StreamName, StreamPage } from "../stream-log.ts";
import { eventId } from "./event-id.ts";

/** What coming back to a stream led to. `over`: the client has had all of it. */
export type Resumption = "resumed" | "over" | "unknown";

/** A client may come back before the instance that it left has written: that takes some hundredths of a second. */
const WRITTEN_MS = 250;
/** Bytes that may wait for the reader before more is read from the log for it. */
const ENOUGH_WAITING = 65_536;
/** A connection that was quiet for this long gets a comment: proxies commonly give up after 30 or 60 s. */
const KEEP_ALIVE_MS = 15_000;
/** Time for a reader to take what waits for it, in milliseconds. */
const STALLED_MS = 30_000;

/**
 * The rest of a stream, as its client comes back for it: out of the log alone, and so the same on every instance, whichever
 * of them runs what is said there.
 */
export class ResumedStream {
  readonly #res: ServerResponse;
  readonly #name: StreamName;
  readonly #log: Pick<StreamLog, "read">;
  readonly #onFault: (cause: unknown) => void;
  #events: EventStream | null = null;
  #seq: number;
  #closed = false;
  #reading = false;
  #wanted = false;
  #lookedAt: number;
  #sentAt: number;

  constructor(
    res: ServerResponse,
    of: {
      readonly name: StreamName;
      readonly after: number;
      readonly log: Pick<StreamLog, "read">;
      readonly now: number;
      /** The log could not be read: the connection ends, and the client may come back. */
      readonly onFault: (cause: unknown) => void;
    },
  ) {
    this.#res = res;
    this.#name = of.name;
    this.#log = of.log;
    this.#seq = of.after;
    this.#lookedAt = of.now;
    this.#sentAt = of.now;
    this.#onFault = of.onFault;
  }

  /** Answers with what the client has missed, and stays open for the rest. @throws Fault `database_unavailable`. */
  async begin(): Promise<Resumption> {
    // Whoever hears of more meanwhile makes a note of it.
    this.#reading = true;
    let page = await this.#log.read(this.#name, this.#seq);
    if (page === null) {
      await pause(WRITTEN_MS);
      page = await this.#log.read(this.#name, this.#seq);
    }
    if (page === null) return "unknown";
    if (this.#res.destroyed) return "resumed";
    if (page.events[0]?.message === null) return "over";
    this.#events = new EventStream(this.#res);
    // The head alone, where there is nothing to say yet: its client has come back, and shall know it.
    this.#res.flushHeaders();
    if (!this.#send(page)) this.#wanted = true;
    // Before there was anything to close.
    if (this.#closed) this.close();
    this.#reading = false;
    if (this.#wanted) this.look(this.#lookedAt);
    return "resumed";
  }

  /** There is more in the log, or may be. @param now on the monotonic clock. */
  look(now: number): void {
    this.#lookedAt = now;
    this.#wanted = true;
    if (this.#reading) return;
    this.#reading = true;
    this.#follow().catch((cause: unknown) => {
      this.#onFault(cause);
      this.destroy();
    });
  }

  /** Keeps a quiet connection alive, and drops one whose reader has stopped reading. @param now on the monotonic clock. */
  tend(now: number): void {
    const quiet = now - this.#sentAt;
    if (this.#res.writableLength > 0) {
      if (quiet >= STALLED_MS) this.destroy();
    } else if (quiet >= KEEP_ALIVE_MS) {
      this.#sentAt = now;
      this.#events?.keepAlive();
    }
  }

  /** Milliseconds since the log was last looked at, on the monotonic clock. */
  unseenFor(now: number): number {
    return now - this.#lookedAt;
  }

  /** Ends the connection, and not the stream: its client may come back for the rest. */
  close(): void {
    this.#closed = true;
    this.#events?.close();
  }

  destroy(): void {
    this.#res.destroy();
  }

  async #follow(): Promise<void> {
    try {
      while (this.#wanted && this.#isOpen()) {
        this.#wanted = false;
        if (this.#res.writableLength > ENOUGH_WAITING) await this.#drained();
        const page = await this.#log.read(this.#name, this.#seq);
        // Of a session that has ended, or too old: there is no rest.
        if (page === null) this.#events?.close();
        else if (!this.#send(page)) this.#wanted = true;
      }
    } finally {
      this.#reading = false;
    }
  }

  /** False where there is more. Where the reader has enough for now it is read again, and not held until then. */
  #send({ events, more }: StreamPage): boolean {
    for (const { seq, message } of events) {
      if (this.#res.writableLength > ENOUGH_WAITING) return false;
      this.#seq = seq;
      this.#sentAt = this.#lookedAt;
      if (message === null) this.#events?.close();
      else this.#events?.event(eventId(this.#name.streamId, seq), message);
    }
    return !more;
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#res.off("drain", done);
        this.#res.off("close", done);
        resolve();
      };
      this.#res.on("drain", done);
      this.#res.on("close", done);
      if (!this.#isOpen()) done();
    });
  }

  #isOpen(): boolean {
    return !this.#res.destroyed && !this.#res.writableEnded;
  }
}
