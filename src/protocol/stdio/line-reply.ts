import type { Reply } from "../reply.ts";
import type { LineWriter } from "./line-writer.ts";

/** The way back to a client that shares one channel among all its requests: stdio, of either generation. */
export class LineReply implements Reply {
  readonly #writer: LineWriter;
  #onGone: (() => void) | null = null;
  #gone = false;

  constructor(writer: LineWriter) {
    this.#writer = writer;
  }

  get gone(): boolean {
    return this.#gone;
  }

  onGone(listener: (() => void) | null): void {
    this.#onGone = listener;
    if (this.#gone) listener?.();
  }

  notify(method: string, params: string): void {
    if (!this.#gone) this.#writer.offer(`{"jsonrpc":"2.0","method":"${method}","params":${params}}`);
  }

  answer(text: string): void {
    if (!this.#gone) this.deliver(text);
  }

  /** Sends a message that is not about how far the request is. False: nobody can hear it. */
  say(message: string): boolean {
    return !this.#gone && this.#writer.send(message) > 0;
  }

  detach(): void {
    // There is no stream of one request that could be ended.
  }

  protected deliver(text: string): void {
    this.#writer.send(text);
  }

  /** The client waits no more: nothing is sent for this request from here on ("Cancellation" of stdio). */
  cancel(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#onGone?.();
  }
}

/** The way back for a member of a batch, whose answers go together (2025-03-26, "Batching"). */
export class MemberReply extends LineReply {
  #text: string | null = null;

  /** Null: it has none, since it was cancelled. */
  get text(): string | null {
    return this.#text;
  }

  protected override deliver(text: string): void {
    this.#text = text;
  }
}
