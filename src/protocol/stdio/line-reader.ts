import { withPiece } from "../growing-buffer.ts";

/** Who is told what was read. */
export interface LineReaderOptions {
  /** Bytes that a line may have, without its line break: asked at each piece, since the limit may change. */
  readonly limit: () => number;
  /** A line without its line break; blank ones are left out. Good until the call returns, unless it is copied. */
  readonly onLine: (line: Buffer) => void;
  /** Called once for a line that is too long, as soon as it is. The rest of it is skipped. */
  readonly onTooLong: (limit: number) => void;
}

/** Room that is kept for the next line, in bytes. */
const MAX_KEPT = 16_384;
const LINE_FEED = 0x0a;

/**
 * Cuts a stream of bytes into lines (MCP, stdio: "delimited by newlines"). Holds at most one line that is not whole yet, in
 * one buffer, however small the pieces are in which it comes.
 */
export class LineReader {
  readonly #of: LineReaderOptions;
  #held: Buffer = Buffer.alloc(0);
  #length = 0;
  #skipping = false;

  constructor(of: LineReaderOptions) {
    this.#of = of;
  }

  push(chunk: Buffer): void {
    let from = 0;
    for (;;) {
      const at = chunk.indexOf(LINE_FEED, from);
      if (at === -1) break;
      this.#finish(chunk.subarray(from, at));
      from = at + 1;
    }
    if (from < chunk.length) this.#hold(chunk.subarray(from));
  }

  /** The stream has ended: what has no line break is a line as well. */
  end(): void {
    this.#finish(Buffer.alloc(0));
  }

  #finish(rest: Buffer): void {
    if (this.#length === 0 && !this.#skipping && rest.length <= this.#of.limit()) {
      this.#tell(rest);
      return;
    }
    this.#hold(rest);
    const [line, skipped] = [this.#held.subarray(0, this.#length), this.#skipping];
    this.#length = 0;
    this.#skipping = false;
    if (!skipped) this.#tell(line);
    // A long line is no reason to keep its room for ever.
    if (this.#held.length > MAX_KEPT) this.#held = Buffer.alloc(0);
  }

  #hold(piece: Buffer): void {
    if (this.#skipping) return;
    const limit = this.#of.limit();
    const length = this.#length + piece.length;
    if (length > limit) {
      this.#skipping = true;
      this.#held = Buffer.alloc(0);
      this.#length = 0;
      this.#of.onTooLong(limit);
      return;
    }
    this.#held = withPiece(this.#held, { length: this.#length, piece, most: limit });
    this.#length = length;
  }

  #tell(line: Buffer): void {
    if (!isBlank(line)) this.#of.onLine(line);
  }
}

function isBlank(line: Buffer): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}
