import { runProgram } from "../run-program.ts";
import type { LoadOrder } from "./load-generator.ts";

/** How much longer than its round a load generator may take, in milliseconds: no load outlives its round. */
const GRACE_MS = 20_000;

/** Runs a load generator to its end and gives the JSON on the last line of what it printed. */
export async function runGenerator(command: readonly string[], order: LoadOrder): Promise<unknown> {
  const printed = await runProgram([...order.prefix, ...command], {
    timeoutMs: order.seconds * 1000 + GRACE_MS,
    cleanup: order.cleanup,
  });
  return JSON.parse(printed.trim().split("\n").pop() ?? "");
}
