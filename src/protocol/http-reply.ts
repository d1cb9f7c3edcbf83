import type { ServerResponse } from "node:http";
import type { Refusal } from "../core/refusal.ts";
import { answerRefusal } from "./answers.ts";
import { EventStream } from "./event-stream.ts";
import type { Outbox } from "./outbox.ts";
import type { Reply } from "./reply.ts";
import { CURRENT } from "./revisions.ts";

/**
 * The answer to one POST on the current revision: JSON, unless something is to be said before it; then a stream of events
 * that the answer ends ("Receiving Messages"). Its end is the end of the request: who closes it has cancelled.
 */
export class HttpReply implements Reply {
  readonly #res: ServerResponse;
  readonly #challengeOf: (refusal: Refusal) => string | undefined;
  readonly #takesEvents: boolean;
  readonly #outbox: Outbox;
  #events: EventStream | null = null;
  #onGone: (() => void) | null = null;
  #listening = false;

  /** @param of.challengeOf the WWW-Authenticate value of a refusal. */
  constructor(
    res: ServerResponse,
    of: {
      readonly challengeOf: (refusal: Refusal) => string | undefined;
      /** Whether the client's Accept allows a stream. */
      readonly takesEvents: boolean;
      readonly outbox: Outbox;
    },
  ) {
    this.#res = res;
    this.#challengeOf = of.challengeOf;
    this.#takesEvents = of.takesEvents;
    this.#outbox = of.outbox;
  }

  get gone(): boolean {
    return this.#res.destroyed;
  }

  onGone(listener: (() => void) | null): void {
    this.#onGone = listener;
    if (listener === null || this.#listening) return;
    this.#listening = true;
    this.#res.once("close", () => this.#onGone?.());
  }

  notify(method: string, params: string): void {
    if (!this.#takesEvents) return;
    this.#events ??= new EventStream(this.#res);
    this.#events.message(`{"jsonrpc":"2.0","method":"${method}","params":${params}}`);
  }

  answer(text: string, refusal: Refusal | null): void {
    if (this.#events !== null) this.#events.end(text);
    else if (refusal === null) this.#outbox.answer(this.#res, text);
    else
      answerRefusal(this.#res, refusal, { text, challenge: this.#challengeOf(refusal), revision: CURRENT });
  }

  detach(): void {
    // Streams of this revision cannot be resumed.
  }
}
