import type { Outlet } from "../outlet.ts";
import type { LineWriter } from "./line-writer.ts";

/** How one kind of stream says things, each a message as JSON; null: nothing. */
export interface LineWords {
  acknowledgement(): string | null;
  /** @param params members of `params` as JSON, without braces; may be empty. */
  notification(method: string, params: string): string;
  result(): string | null;
}

/** The words of the previous generation, whose notifications belong to the one session of their channel. */
export const SESSION_WORDS: LineWords = Object.freeze({
  acknowledgement: () => null,
  notification: (method: string, params: string) =>
    `{"jsonrpc":"2.0","method":"${method}"${params === "" ? "" : `,"params":{${params}}`}}`,
  result: () => null,
});

/** A stream of changes on a channel that it shares with everything else: its messages say themselves whose they are. */
export class LineOutlet implements Outlet {
  readonly #writer: LineWriter;
  readonly #words: LineWords;
  readonly #onGone: () => void;
  readonly #onClosed: (() => void)[] = [];
  #gone = false;

  /** @param onGone told once, when nothing more is said. */
  constructor(writer: LineWriter, words: LineWords, onGone: () => void = () => {}) {
    this.#writer = writer;
    this.#words = words;
    this.#onGone = onGone;
  }

  get gone(): boolean {
    return this.#gone;
  }

  begin(): number {
    return this.#say(this.#words.acknowledgement());
  }

  notify(method: string, params: string): void {
    this.#say(this.#words.notification(method, params));
  }

  keepAlive(): void {
    // A pipe does not take silence for the end.
  }

  end(): void {
    this.#say(this.#words.result());
    this.destroy();
  }

  destroy(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#onGone();
    for (const listener of this.#onClosed) listener();
  }

  drained(): Promise<void> | null {
    return this.#writer.drained();
  }

  onClosed(listener: () => void): void {
    this.#onClosed.push(listener);
  }

  #say(message: string | null): number {
    return this.#gone || message === null ? 0 : this.#writer.send(message);
  }
}
