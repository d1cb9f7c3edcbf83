import { createWriteStream, fstatSync } from "node:fs";
import { Socket } from "node:net";
import type { Writable } from "node:stream";

const STANDARD_OUTPUT = 1;
/** Longest wait for a client to take the last messages, in milliseconds. */
const FINISH_MS = 500;

/** Standard output for messages alone. */
export type MessageOutput = Writable & {
  /** Resolves when everything is written, or nobody takes it. */
  finish(): Promise<void>;
};

/**
 * Takes standard output for messages: whatever else this process prints there goes to standard error from here on. Where it
 * is a pipe nobody waits for the client: one that stops reading would stop everything.
 */
export function messageOutput(): MessageOutput {
  const kind = fstatSync(STANDARD_OUTPUT);
  const output: Writable =
    kind.isFIFO() || kind.isSocket()
      ? new Socket({ fd: STANDARD_OUTPUT, readable: false, writable: true })
      : createWriteStream("", { fd: STANDARD_OUTPUT, autoClose: false });
  process.stdout.write = process.stderr.write.bind(process.stderr);
  return Object.assign(output, {
    finish: () =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, FINISH_MS);
        const done = (): void => {
          clearTimeout(timer);
          resolve();
        };
        if (output.destroyed) return done();
        output.once("close", done);
        output.end(done);
      }),
  });
}
