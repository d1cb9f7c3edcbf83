import { spawn } from "node:child_process";
import type { Cleanup } from "./cleanup.ts";

/**
 * Runs a program to its end and gives what it printed.
 * @throws Error with what it printed where it fails, is stopped, or takes longer than `timeoutMs`.
 */
export async function runProgram(
  command: readonly string[],
  how: { readonly timeoutMs: number; readonly cleanup: Cleanup; readonly cwd?: string },
): Promise<string> {
  const [file = "", ...args] = command;
  const child = spawn(file, args, {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: how.timeoutMs,
    ...(how.cwd === undefined ? {} : { cwd: how.cwd }),
  });
  let printed = "";
  let errors = "";
  child.stdout.on("data", (chunk: Buffer) => {
    printed += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const ended = new Promise<string | null>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (status, signal) =>
      resolve(status === 0 ? null : (signal ?? `exit status ${status}`)),
    );
  });
  const stop = await how.cleanup.add(async () => {
    child.kill();
    await ended;
  });
  const failure = await ended;
  await stop();
  if (failure !== null) throw new Error(`${command.join(" ")}: ${failure}\n${errors}${printed}`);
  return printed;
}
