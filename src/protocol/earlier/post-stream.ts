import type { ServerResponse } from "node:http";
import { EventStream } from "../event-stream.ts";
import type { StreamLog, StreamName } from "../stream-log.ts";
import { eventId } from "./event-id.ts";

/** What a client is told to wait before it comes back, unless a handler says otherwise, in milliseconds. */
const RETRY_MS = 1_000;
/** A connection that was quiet for this long gets a comment: proxies commonly give up after 30 or 60 s. */
const KEEP_ALIVE_MS = 15_000;
/** How often the log is told that there still is this stream, which it would forget after five quiet minutes. */
const NOTE_MS = 60_000;

/**
 * The stream that answers a POST. Every message has a number, and is noted in the log, whether or not anybody reads: a
 * connection that breaks is not the end of it ("Resumability and Redelivery"), as long as the log has room for it.
 */
export class PostStream {
  readonly #name: StreamName;
  readonly #log: Pick<StreamLog, "open" | "append" | "flush">;
  readonly #onSaid: () => void;
  readonly #onEnd: () => void;
  readonly #primed: boolean;
  /** Null once its client is to come back for the rest. */
  #events: EventStream | null;
  #seq = 0;
  /** False once there was no room for it in the log: then nobody can come back for it. */
  #kept = true;
  #saidAt: number;
  #notedAt: number;
  readonly #retryMs: number;

  /**
   * @param of.primed whether the client knows events without data: it does since 2025-11-25.
   * @param of.onSaid told of everything that is in the log then.
   */
  constructor(
    res: ServerResponse,
    of: {
      readonly name: StreamName;
      readonly log: Pick<StreamLog, "open" | "append" | "flush">;
      readonly onSaid: () => void;
      readonly onEnd: () => void;
      readonly primed: boolean;
      /** What a handler that detaches at once says of coming back. */
      readonly retryMs: number | undefined;
      readonly now: number;
    },
  ) {
    this.#name = of.name;
    this.#log = of.log;
    this.#onSaid = of.onSaid;
    this.#onEnd = of.onEnd;
    this.#primed = of.primed;
    this.#saidAt = of.now;
    this.#notedAt = of.now;
    this.#retryMs = of.retryMs ?? RETRY_MS;
    this.#events = new EventStream(res);
    if (!of.primed) return;
    this.#kept = of.log.open(of.name);
    this.#events.prime(eventId(of.name.streamId, 0), this.#retryMs);
  }

  /** Sends a message, given as JSON. @param now on the monotonic clock. */
  say(message: string, now: number): void {
    this.#saidAt = now;
    const seq = this.#note(message);
    this.#events?.event(eventId(this.#name.streamId, seq), message);
    this.#onSaid();
  }

  /** Nothing follows. */
  end(): void {
    this.#note(null);
    this.#events?.close();
    this.#events = null;
    this.#onSaid();
    this.#onEnd();
  }

  /** Closes the connection as soon as its client finds everything on any instance. Only where it can come back. */
  async detach(retryMs: number | undefined): Promise<void> {
    const events = this.#events;
    if (!this.#primed || !this.#kept || events === null) return;
    this.#events = null;
    if (retryMs !== undefined && retryMs !== this.#retryMs) events.retry(retryMs);
    // What cannot be written is lost in any case.
    await this.#log.flush().catch(() => {});
    events.close();
  }

  /** Its client has come back for it: what is said goes over one connection alone ("Multiple Connections"). */
  dropReader(): void {
    this.#events?.destroy();
    this.#events = null;
  }

  /** To be called again and again: a call may wait for its user for longer than proxies and the log do. */
  tend(now: number): void {
    if (now - this.#saidAt >= KEEP_ALIVE_MS) {
      this.#saidAt = now;
      this.#events?.keepAlive();
    }
    if (this.#kept && now - this.#notedAt >= NOTE_MS) {
      this.#notedAt = now;
      this.#kept = this.#log.open(this.#name);
    }
  }

  #note(message: string | null): number {
    const seq = ++this.#seq;
    if (this.#kept) this.#kept = this.#log.append({ ...this.#name, seq, message });
    return seq;
  }
}
