import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Runs a load generator to its end and gives the JSON on the last line of what it printed. */
export async function runGenerator(command: readonly string[], seconds: number): Promise<unknown> {
  const [file = "", ...args] = command;
  // Killed by its own time limit should it hang: no load outlives its round.
  const { stdout } = await run(file, args, { timeout: (seconds + 20) * 1000, maxBuffer: 16 << 20 });
  return JSON.parse(stdout.trim().split("\n").pop() ?? "");
}
