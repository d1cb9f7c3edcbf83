import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { Fault } from "../../core/fault.ts";
import type { ClusterPlace } from "./cluster-place.ts";
import { type PostgresInstallation, programPath } from "./postgres-installation.ts";

/** How much of a program's output is kept, in characters. */
const LONGEST_OUTPUT = 65_536;

export interface ProgramEnd {
  /** Null when a signal ended it. */
  readonly status: number | null;
  /** Standard output and error, their end. */
  readonly output: string;
}

/** A program of PostgreSQL's and its arguments. */
type Command = readonly [name: "postgres" | "initdb" | "pg_ctl", ...args: string[]];

/** Runs a program to its end, as the place's user. */
export async function runProgram(
  installation: PostgresInstallation,
  place: ClusterPlace,
  command: Command,
): Promise<ProgramEnd> {
  const child = await startProgram(installation, place, { command, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-LONGEST_OUTPUT);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  return new Promise((resolve) => {
    child.once("close", (status) => resolve({ status, output }));
  });
}

/**
 * Starts a program as the place's user.
 *
 * @throws Fault `embedded_failed` if the system does not let us.
 */
export async function startProgram(
  installation: PostgresInstallation,
  place: ClusterPlace,
  what: { readonly command: Command; readonly stdio: StdioOptions },
): Promise<ChildProcess> {
  const [name, ...args] = what.command;
  const program = programPath(installation, name);
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      const [user, remedy] =
        place.runAs === null
          ? ["", "See that this user may run that file, or give DATABASE_URL."]
          : [` as user id ${place.runAs.uid}`, "Run bulkhead as an ordinary user, or give DATABASE_URL."];
      const detail = `${program} cannot be run${user}: ${cause instanceof Error ? cause.message : cause}.`;
      reject(new Fault("embedded_failed", { detail, remedy, cause }));
    };
    try {
      const child = spawn(program, args, {
        stdio: what.stdio,
        // The server's user may be unable to enter our own working directory.
        cwd: place.directory,
        ...(installation.env === undefined ? {} : { env: installation.env }),
        ...(place.runAs === null ? {} : { uid: place.runAs.uid, gid: place.runAs.gid }),
        // A process group of its own: Ctrl-C in the terminal is for us, who stop the database last.
        detached: process.platform !== "win32",
        windowsHide: true,
      });
      child.once("error", fail);
      child.once("spawn", () => resolve(child));
    } catch (cause) {
      // Node reports some failed system calls by an event and throws the others.
      fail(cause);
    }
  });
}
