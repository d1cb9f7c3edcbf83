import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { inject } from "vitest";
import type { ReadyLine } from "../../src/cli/dev-messages.ts";
import { stopLeftover } from "../../src/data/embedded/leftover-postmaster.ts";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
export const HELPDESK = "examples/helpdesk/server.ts";

/** Path of a module of test/cli/fixtures, where the commands run. */
export function fixture(name: string): string {
  return join(inject("commandRoot"), "test/cli/fixtures", name);
}

export interface RunOptions {
  /** Beside PATH, HOME and a setting of tsx, which are all that it has otherwise. */
  readonly env?: Readonly<Record<string, string>>;
  /** An unprivileged user, instead of ours. */
  readonly uid?: number;
  /** Our source as it is, instead of the compiled command. */
  readonly fromSource?: boolean;
  /** Another checkout: `npm start` is run there, with the arguments added. */
  readonly checkout?: string;
  /** All of its standard input; none where absent. */
  readonly input?: string;
  /** Its standard input stays open, to be written to. */
  readonly talk?: boolean;
}

/** A running `bulkhead`, in a process group of its own as a terminal would give it. */
export interface RunningCommand {
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  /** The lines of standard error that are JSON, parsed. */
  errorLines(): Record<string, unknown>[];
  /** The first line of standard output, parsed. Rejects with standard error if it ends before. */
  ready(): Promise<ReadyLine>;
  /** Resolves when standard output or error contains the text. */
  says(text: string): Promise<void>;
  readonly ended: Promise<{ readonly status: number | null; readonly signal: NodeJS.Signals | null }>;
  /** To the process, or to its group as Ctrl-C does. */
  signal(signal: NodeJS.Signals, to?: "process" | "group"): void;
  /** Writes to its standard input, which {@link RunOptions.talk} has left open; null ends that. */
  say(text: string | null): void;
  /** Stops reading its output: whatever it writes then fails. */
  closeOutput(): void;
}

/** Runs commands and makes data directories, and leaves nothing of them. */
export interface CommandBench {
  run(args: readonly string[], options?: RunOptions): RunningCommand;
  /** An empty directory in which a data directory `data`, or a `checkout` with its own, may be made. */
  directory(): Promise<string>;
  close(): Promise<void>;
}

export function createCommandBench(): CommandBench {
  const running: RunningCommand[] = [];
  const directories: string[] = [];
  return {
    run(args, options = {}) {
      const command = start(args, options);
      running.push(command);
      return command;
    },
    async directory() {
      const directory = await mkdtemp(join(tmpdir(), "bulkhead-cli-test-"));
      directories.push(directory);
      return directory;
    },
    async close() {
      for (const command of running.splice(0)) {
        command.signal("SIGKILL", "group");
        await command.ended;
      }
      for (const directory of directories.splice(0)) {
        for (const dataDir of [join(directory, "data"), join(directory, "checkout/.bulkhead")]) {
          const place = await clusterPlace(dataDir);
          await stopLeftover(join(place, "data"));
          await rm(place, { recursive: true, force: true });
        }
        await rm(directory, { recursive: true, force: true });
      }
    },
  };
}

/** As the scripts of package.json do. */
const FROM_SOURCE = ["--conditions=bulkhead-source", "--import", "tsx", "src/cli/main.ts"];

function start(args: readonly string[], options: RunOptions): RunningCommand {
  const { checkout, fromSource = false, uid, input, talk = false } = options;
  const own = fromSource ? FROM_SOURCE : [inject("commandMain")];
  const [program, before] =
    checkout === undefined ? [process.execPath, own] : ["npm", ["start", "--silent", "--"]];
  const child = spawn(program, [...before, ...args], {
    cwd: checkout ?? (fromSource ? ROOT : inject("commandRoot")),
    detached: true,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      // Nobody would read again what it keeps of files at paths of this run.
      TSX_DISABLE_CACHE: "1",
      ...options.env,
    },
    stdio: [input === undefined && !talk ? "ignore" : "pipe", "pipe", "pipe"],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const { pid = 0, stdin, stdout: out, stderr: err } = child;
  if (out === null || err === null) throw new TypeError("Its output is not to be had.");
  // It may end without having read it.
  stdin?.on("error", () => {});
  if (!talk) stdin?.end(input);
  let stdout = "";
  let stderr = "";
  out.on("data", (chunk) => {
    stdout += chunk;
  });
  err.on("data", (chunk) => {
    stderr += chunk;
  });
  let hasEnded = false;
  const ended = new Promise<Awaited<RunningCommand["ended"]>>((resolve) => {
    child.once("close", (status, signal) => {
      hasEnded = true;
      resolve({ status, signal });
    });
  });
  const until = async (found: () => boolean, what: string): Promise<void> => {
    await waitFor(() => found() || hasEnded, what);
    if (!found()) throw new Error(`It ended before ${what}:\n${stdout}\n${stderr}`);
  };
  return {
    pid,
    stdout: () => stdout,
    stderr: () => stderr,
    errorLines: () =>
      stderr
        .split("\n")
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    async ready() {
      await until(() => stdout.includes("\n"), "it was ready");
      return JSON.parse(stdout.slice(0, stdout.indexOf("\n"))) as ReadyLine;
    },
    says: (text) => until(() => stdout.includes(text) || stderr.includes(text), `it said "${text}"`),
    ended,
    say(text) {
      if (text === null) stdin?.end();
      else stdin?.write(text);
    },
    closeOutput() {
      out.destroy();
      err.destroy();
    },
    signal(signal, to = "process") {
      try {
        process.kill(to === "group" ? -pid : pid, signal);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
    },
  };
}

/** Where the cluster of a data directory lies. */
export async function clusterPlace(dataDir: string): Promise<string> {
  const record = await readFile(join(dataDir, "postgresql.json"), "utf8").catch(() => "{}");
  return (JSON.parse(record) as { place?: string | null }).place ?? join(dataDir, "postgresql");
}

/** Looks again and again until it is so. */
export async function waitFor(
  isSo: () => boolean | Promise<boolean>,
  what: string,
  within = 20_000,
): Promise<void> {
  const deadline = performance.now() + within;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`Not within ${within} ms: ${what}.`);
    await delay(40);
  }
}
