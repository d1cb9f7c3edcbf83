import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { systemErrorCode } from "./data-dir-fault.ts";

/** Stands for a living process whose start cannot be seen: another user's with a hidden /proc, or any on Windows. */
export const UNKNOWN_START = "unknown";
const ENDED = "ended";

/**
 * When a process started, as a text that no other process with this pid ever had on this machine; null when no such
 * process lives. A zombie does not live.
 */
export async function processStart(pid: number): Promise<string | null> {
  if (!exists(pid)) {
    return null;
  }
  const seen = process.platform === "linux" ? await startFromProc(pid) : await startFromPs(pid);
  if (seen === ENDED) {
    return null;
  }
  // It may have ended while we looked.
  return seen ?? (exists(pid) ? UNKNOWN_START : null);
}

/** Whether the process that had this start still lives. Doubt counts as life. */
export async function isStillRunning(pid: number, start: string): Promise<boolean> {
  const now = await processStart(pid);
  return now !== null && (now === start || now === UNKNOWN_START || start === UNKNOWN_START);
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) === "EPERM";
  }
}

async function startFromProc(pid: number): Promise<string | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    // proc_pid_stat(5): the second field may contain anything, so count from its closing parenthesis. State is field 3,
    // start time in ticks since boot field 22.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") {
      return ENDED;
    }
    const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
    return `${boot.trim()}/${fields[19]}`;
  } catch {
    return null;
  }
}

async function startFromPs(pid: number): Promise<string | null> {
  if (process.platform === "win32") {
    return null;
  }
  try {
    const { stdout } = await promisify(execFile)("/bin/ps", ["-o", "stat=,lstart=", "-p", String(pid)], {
      env: { LC_ALL: "C", TZ: "UTC" },
    });
    const [state = "", ...start] = stdout.trim().split(/\s+/);
    return state.startsWith("Z") ? ENDED : start.join(" ");
  } catch {
    return null;
  }
}
