import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import type { Cleanup } from "./cleanup.ts";

/** Longest wait for a child to answer an order, and to end, in milliseconds. */
const ANSWER_MS = 120_000;
const END_MS = 20_000;

/** A program of `children/` in a process of its own, which answers one order at a time. */
export interface ChildProgram {
  readonly pid: number;
  /** @throws Error with the child's own words where the order failed, and where the child has ended. */
  ask<Answer>(order: unknown): Promise<Answer>;
  stop(): Promise<void>;
}

export async function startChild(of: {
  readonly file: string;
  /** Command that runs the rest of its arguments, see cpu-placement.ts. */
  readonly prefix: readonly string[];
  /** File descriptor for its standard error; default: ours. */
  readonly stderr?: number;
  readonly cleanup: Cleanup;
}): Promise<ChildProgram> {
  const [command = process.execPath, ...args] = [...of.prefix, process.execPath, of.file];
  const child = spawn(command, args, { stdio: ["ignore", "inherit", of.stderr ?? "inherit", "ipc"] });
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (status, signal) => resolve(signal ?? `exit status ${status}`));
  });
  const stop = await of.cleanup.add(() => stopChild(child, ended));
  return {
    pid: child.pid ?? 0,
    async ask<Answer>(order: unknown): Promise<Answer> {
      const reply = await new Promise<ChildReply>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${of.file} does not answer.`)), ANSWER_MS);
        ended.then((how) => reject(new Error(`${of.file} ended: ${how}.`)));
        child.once("message", (message) => {
          clearTimeout(timer);
          resolve(message as ChildReply);
        });
        child.send(order as object, (error) => {
          if (error !== null) reject(error);
        });
      });
      if ("error" in reply) throw new Error(`${of.file}: ${reply.error}`);
      return reply.answer as Answer;
    },
    stop,
  };
}

/** What `children/answer-orders.ts` sends. */
export type ChildReply = { readonly answer: unknown } | { readonly error: string };

async function stopChild(child: ChildProcess, ended: Promise<string>): Promise<void> {
  if (child.connected) child.disconnect();
  const inTime = await Promise.race([ended, delay(END_MS, null, { ref: false })]);
  if (inTime !== null) return;
  child.kill("SIGKILL");
  await ended;
}
