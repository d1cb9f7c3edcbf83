import type { Refusal } from "../../core/refusal.ts";
import type { Reply } from "../reply.ts";
import type { ClientLine } from "./live-conversation.ts";
import type { PostAnswer } from "./post-answer.ts";
import type { Cancellable } from "./running-requests.ts";

/**
 * The way back to whoever sent a request of the previous generation by HTTP. Only its cancellation ends the request:
 * "Disconnection SHOULD NOT be interpreted as the client cancelling its request".
 */
export class EarlierReply implements Reply, ClientLine, Cancellable {
  readonly #post: PostAnswer;
  #cancelled = false;
  #answered = false;
  #onGone: (() => void) | null = null;

  constructor(post: PostAnswer) {
    this.#post = post;
  }

  get gone(): boolean {
    return this.#cancelled;
  }

  onGone(listener: (() => void) | null): void {
    this.#onGone = listener;
    if (this.#cancelled) listener?.();
  }

  cancel(): void {
    if (this.#cancelled || this.#answered) return;
    this.#cancelled = true;
    this.#onGone?.();
  }

  notify(method: string, params: string): void {
    this.say(`{"jsonrpc":"2.0","method":"${method}","params":${params}}`);
  }

  say(message: string): boolean {
    return !this.#cancelled && !this.#answered && this.#post.say(message);
  }

  answer(text: string, refusal: Refusal | null): void {
    if (this.#answered) return;
    this.#answered = true;
    // "Not send a response for the cancelled request" (Cancellation).
    if (this.#cancelled) this.#post.skip();
    else this.#post.answer(text, refusal);
  }

  detach(retryMs: number | undefined): void {
    if (!this.#cancelled && !this.#answered) this.#post.detach(retryMs);
  }
}
