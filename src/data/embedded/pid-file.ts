import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** What a server writes about itself (PostgreSQL's pidfile.h: one fact a line). */
export interface PidFile {
  readonly pid: number;
  readonly port: number;
  /** Null when the server listens on TCP only. */
  readonly socketFolder: string | null;
  /** True once it takes connections. */
  readonly ready: boolean;
}

/** Null when there is none, or not yet a whole one. */
export async function readPidFile(cluster: string): Promise<PidFile | null> {
  const text = await readFile(join(cluster, "postmaster.pid"), "utf8").catch(() => "");
  const [pid = "", , , port = "", socketFolder = "", , , status = ""] = text.split("\n");
  if (!/^-?[1-9][0-9]{0,9}$/.test(pid)) {
    return null;
  }
  return {
    // Negative for a server that runs alone.
    pid: Math.abs(Number(pid)),
    port: Number(port),
    socketFolder: socketFolder === "" ? null : socketFolder,
    ready: status.trim() === "ready",
  };
}
