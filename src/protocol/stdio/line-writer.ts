import type { Writable } from "node:stream";

/** Bytes that may wait for the client before what it can do without is left out. */
const MAX_WAITING = 262_144;
/** Bytes that may wait for it when there is more to say: past it the client has stopped reading. */
const MAX_HELD = 67_108_864;

/** Messages to a client, a line each. */
export class LineWriter {
  readonly #output: Writable;
  readonly #onStalled: () => void;
  #over = false;

  /** @param onStalled told once when the client reads no more: nothing is sent from then on. */
  constructor(output: Writable, onStalled: () => void) {
    this.#output = output;
    this.#onStalled = onStalled;
  }

  /** Sends a message, given as JSON, which has no line break. Gives the bytes written; 0 where it is over. */
  send(json: string): number {
    if (this.#over || this.#output.destroyed || this.#output.writableEnded) return 0;
    // Looked at beforehand: one answer may be larger, and its reader no slower than others.
    if (this.#output.writableLength > MAX_HELD) {
      this.#over = true;
      this.#onStalled();
      return 0;
    }
    this.#output.write(`${json}\n`);
    return Buffer.byteLength(json) + 1;
  }

  /** Resolves when the client has taken what waits for it, or is gone; null: nothing much waits. */
  drained(): Promise<void> | null {
    const output = this.#output;
    if (output.destroyed || output.writableLength <= MAX_WAITING) return null;
    return new Promise((resolve) => {
      const done = (): void => {
        output.off("drain", done);
        output.off("close", done);
        resolve();
      };
      output.on("drain", done);
      output.on("close", done);
    });
  }

  /** Sends what the client can do without, unless more is waiting for it than it reads. */
  offer(json: string): void {
    if (this.#output.writableLength <= MAX_WAITING) this.send(json);
  }
}
