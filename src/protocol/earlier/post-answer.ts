import type { ServerResponse } from "node:http";
import type { Refusal } from "../../core/refusal.ts";
import { answerRefusal } from "../answers.ts";
import { EventStream } from "../event-stream.ts";
import type { Outbox } from "../outbox.ts";
import type { Session } from "../session.ts";
import type { PostStream } from "./post-stream.ts";

/**
 * The answer to a POST of one request or of several: JSON, unless something is to be said before all is answered; then a
 * stream, on which everything is said. Its connection is not the life of the requests.
 */
export class PostAnswer {
  readonly #res: ServerResponse;
  readonly #session: Session;
  readonly #batch: boolean;
  readonly #takesEvents: boolean;
  readonly #challengeOf: (refusal: Refusal) => string | undefined;
  readonly #begin: (res: ServerResponse, session: Session, retryMs?: number) => PostStream;
  readonly #outbox: Outbox;
  readonly #now: () => number;
  #left: number;
  readonly #answers: string[] = [];
  #refusal: Refusal | null = null;
  #stream: PostStream | null = null;

  constructor(
    res: ServerResponse,
    of: {
      readonly session: Session;
      /** How many requests it answers; null: one that did not come in a batch. */
      readonly batchOf: number | null;
      readonly takesEvents: boolean;
      /** The WWW-Authenticate value of a refusal. */
      readonly challengeOf: (refusal: Refusal) => string | undefined;
      readonly begin: (res: ServerResponse, session: Session, retryMs?: number) => PostStream;
      readonly outbox: Outbox;
      /** Milliseconds of a clock that never goes back. */
      readonly now: () => number;
    },
  ) {
    this.#res = res;
    this.#session = of.session;
    this.#batch = of.batchOf !== null;
    this.#left = of.batchOf ?? 1;
    this.#takesEvents = of.takesEvents;
    this.#challengeOf = of.challengeOf;
    this.#begin = of.begin;
    this.#outbox = of.outbox;
    this.#now = of.now;
  }

  /** Says something ahead of the answers, given as JSON. False: nobody can hear it, now or later. */
  say(message: string): boolean {
    if (!this.#upgrade(undefined)) return false;
    this.#stream?.say(message, this.#now());
    return true;
  }

  /** The answer to one of the requests, given as JSON. @param refusal what it says, where it is an error. */
  answer(text: string, refusal: Refusal | null): void {
    if (this.#stream === null) this.#answers.push(text);
    else this.#stream.say(text, this.#now());
    this.#refusal = refusal;
    this.#done();
  }

  /** One of the requests is over without an answer: its client cancelled it. */
  skip(): void {
    this.#done();
  }

  detach(retryMs: number | undefined): void {
    if (this.#session.revision !== "2025-11-25" || !this.#upgrade(retryMs)) return;
    void this.#stream?.detach(retryMs);
  }

  #upgrade(retryMs: number | undefined): boolean {
    if (this.#stream !== null) return true;
    // A client that has gone before it had an id to come back with never hears of this stream.
    if (!this.#takesEvents || this.#res.destroyed) return false;
    const stream = this.#begin(this.#res, this.#session, retryMs);
    this.#stream = stream;
    for (const text of this.#answers.splice(0)) stream.say(text, this.#now());
    return true;
  }

  #done(): void {
    if (--this.#left > 0) return;
    const [only] = this.#answers;
    if (this.#stream !== null) this.#stream.end();
    else if (only === undefined) this.#sayNothing();
    else if (this.#batch) this.#outbox.answer(this.#res, `[${this.#answers.join(",")}]`);
    else if (this.#refusal === null) this.#outbox.answer(this.#res, only);
    else this.#refuse(this.#refusal, only);
  }

  #refuse(refusal: Refusal, text: string): void {
    const { revision } = this.#session;
    try {
      answerRefusal(this.#res, refusal, { text, challenge: this.#challengeOf(refusal), revision });
    } catch (cause) {
      // A framework's middleware broke it: whoever waits for this answer would wait for ever.
      this.#res.destroy();
      throw cause;
    }
  }

  /** Of the two forms of an answer a stream alone can do without a response. */
  #sayNothing(): void {
    if (!this.#res.destroyed) new EventStream(this.#res).close();
  }
}
