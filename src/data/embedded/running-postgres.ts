import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { readRecord } from "./cluster-record.ts";
import { readPidFile } from "./pid-file.ts";
import { isStillRunning, processStart } from "./process-identity.ts";

/** A PostgreSQL that another process owns, in a data directory that it has locked. */
export interface RunningPostgres {
  /** URL of a database as superuser, with its password. */
  urlOf(database: string): string;
  /** Calls the listener once the server has ended, now or when it does. */
  onExit(listener: () => void): void;
  /** Looks no more whether it still runs. Leaves it running. */
  leave(): void;
}

/** How often it is looked at, in milliseconds. */
const LOOK_MS = 200;

/**
 * The PostgreSQL that serves from a data directory at this moment; null where none does, or not yet.
 * @throws Fault `embedded_failed` for a damaged record; the error of a failed file operation.
 */
export async function findRunningPostgres(dataDir: string): Promise<RunningPostgres | null> {
  const record = await readRecord(dataDir);
  if (record === null) return null;
  const directory = record.place ?? join(dataDir, "postgresql");
  const file = await readPidFile(join(directory, "data"));
  if (file?.ready !== true) return null;
  const { pid } = file;
  const start = await processStart(pid);
  if (start === null) return null;
  const query = new URLSearchParams({ host: file.socketFolder ?? "127.0.0.1", port: String(file.port) });
  const leaving = new AbortController();
  return {
    urlOf: (database) =>
      `postgres://postgres:${encodeURIComponent(record.password)}@localhost/${encodeURIComponent(database)}?${query}`,
    onExit(listener) {
      void watch(pid, start, leaving.signal).then((ended) => {
        if (ended) listener();
      });
    },
    leave: () => leaving.abort(),
  };
}

/** True once the process has ended; false where nobody asks any more. */
async function watch(pid: number, start: string, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    if (!(await isStillRunning(pid, start))) return true;
    await delay(LOOK_MS, undefined, { ref: false });
  }
  return false;
}
