import { randomBytes } from "node:crypto";
import { link, readdir, readFile, realpath, truncate, unlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Fault } from "../../core/fault.ts";
import { dataDirFault, systemErrorCode } from "./data-dir-fault.ts";
import { makeDirectory } from "./make-directory.ts";
import { isStillRunning, processStart, UNKNOWN_START } from "./process-identity.ts";

/** A held lock. */
export interface DataDirLock {
  /** Gives the directory free. Does nothing the second time. */
  release(): Promise<void>;
}

interface Holder {
  readonly pid: number;
  readonly start: string;
  /** ISO 8601. */
  readonly since: string;
}

const LOCK_NAME = /^lock\.([1-9][0-9]{0,14})$/;

/**
 * Takes a data directory for this process, and makes it (mode 0700) if it is not there. What a killed process held is
 * taken over. Processes in other containers are not seen here; PostgreSQL's own socket shows those that matter.
 *
 * Every taking makes the file `lock.<n+1>`, where n is the highest there is, and that file stays, emptied, after the
 * release: a number is never used twice, so two that find the same dead holder cannot both succeed it, which removing
 * the dead one's file would allow.
 *
 * @throws Fault `data_dir_in_use` naming the process, or `data_dir_unwritable`.
 */
export async function lockDataDir(dataDir: string): Promise<DataDirLock> {
  const asked = resolve(dataDir);
  try {
    await makeDirectory(asked, 0o700);
    const directory = await realpath(asked);
    const start = (await processStart(process.pid)) ?? UNKNOWN_START;
    const holder: Holder = { pid: process.pid, start, since: new Date().toISOString() };
    for (;;) {
      const highest = await highestLock(directory);
      await refuseIfHeld(directory, highest);
      const file = await tryToTake(directory, highest + 1, holder);
      if (file !== null) {
        return { release: once(() => truncate(file).catch(ignoreMissing)) };
      }
    }
  } catch (error) {
    throw dataDirFault(asked, error);
  }
}

async function highestLock(directory: string): Promise<number> {
  const numbers = (await readdir(directory)).map((name) => Number(LOCK_NAME.exec(name)?.[1] ?? 0));
  return Math.max(0, ...numbers);
}

async function refuseIfHeld(directory: string, number: number): Promise<void> {
  if (number === 0) {
    return;
  }
  const holder = parseHolder(await readFile(join(directory, `lock.${number}`), "utf8").catch(ignoreMissing));
  if (holder !== null && (await isStillRunning(holder.pid, holder.start))) {
    throw new Fault("data_dir_in_use", {
      detail: `${directory} is held by process ${holder.pid} since ${holder.since}.`,
      remedy: `Stop process ${holder.pid}, or choose another directory with --data-dir.`,
    });
  }
}

/** The path of the lock; null if somebody else was quicker. */
async function tryToTake(directory: string, number: number, holder: Holder): Promise<string | null> {
  const file = join(directory, `lock.${number}`);
  const draft = join(directory, `lock.draft-${randomBytes(8).toString("hex")}`);
  // Linked into place, so that it is never seen half written. Readable, so that it can be judged by whoever may enter.
  await writeFile(draft, JSON.stringify(holder), { flag: "wx", mode: 0o644 });
  try {
    await link(draft, file);
  } catch (error) {
    // EEXIST: this number is taken. ENOENT: a quicker one swept our draft away.
    if (["EEXIST", "ENOENT"].includes(systemErrorCode(error) ?? "")) {
      return null;
    }
    throw error;
  } finally {
    await unlink(draft).catch(ignoreMissing);
  }
  // Numbers below the highest are swept away, so ours may have been free although higher ones exist.
  if ((await highestLock(directory)) > number) {
    await unlink(file).catch(ignoreMissing);
    return null;
  }
  for (const name of await readdir(directory)) {
    const isLower = Number(LOCK_NAME.exec(name)?.[1] ?? number) < number;
    if (isLower || name.startsWith("lock.draft-")) {
      await unlink(join(directory, name)).catch(ignoreMissing);
    }
  }
  return file;
}

/** Null for a lock that was released (empty) or damaged. */
function parseHolder(text: string | undefined): Holder | null {
  try {
    const { pid, start, since } = JSON.parse(text ?? "") as Partial<Record<keyof Holder, unknown>>;
    return typeof pid === "number" && Number.isSafeInteger(pid) && pid > 0 && typeof start === "string"
      ? { pid, start, since: String(since) }
      : null;
  } catch {
    return null;
  }
}

function ignoreMissing(error: unknown): undefined {
  if (systemErrorCode(error) !== "ENOENT") {
    throw error;
  }
}

function once(act: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= act();
    return running;
  };
}
