import type { Refusal } from "../core/refusal.ts";

/** The way back to whoever sent a request: one for each, whatever it came by. */
export interface Reply {
  /**
   * Sends a notification that belongs to the request, ahead of its answer. Dropped where nobody can take it.
   *
   * @param params JSON of an object.
   */
  notify(method: string, params: string): void;
  /**
   * The answer: a whole JSON-RPC response, and the last thing that is sent.
   *
   * @param refusal what it says, where it is an error: for the status and the headers of an answer by HTTP.
   */
  answer(text: string, refusal: Refusal | null): void;
  /** True when nobody waits for the answer any more, or somebody said so: what runs may stop. */
  readonly gone: boolean;
  /** Sets who is told, once, when that comes about; at once where it already has. Null: nobody. */
  onGone(listener: (() => void) | null): void;
  /** Ends the stream of the request, if it has one to which its client can come back. */
  detach(retryMs: number | undefined): void;
}
