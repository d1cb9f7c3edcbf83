import { createHash } from "node:crypto";
import { chmod, chown, lstat, readdir, readFile, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Fault } from "../../core/fault.ts";
import { type ClusterRecord, newRecord, readRecord, replaceFile, writeRecord } from "./cluster-record.ts";
import { systemErrorCode } from "./data-dir-fault.ts";
import { stopLeftover } from "./leftover-postmaster.ts";
import { makeDirectory } from "./make-directory.ts";

/** An unprivileged user. Neither the passwd nor the group file need know it. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

interface SharedPlace {
  readonly directory: string;
  readonly shared: string;
  readonly runAs: ServerUser;
  readonly record: ClusterRecord;
}

/** In a place: which data directory, at which path, it belongs to. */
const OWNER_FILE = "owner.json";
const PLACE_NAME = /^[0-9a-f]{16}$/;
interface Owner {
  readonly id: string;
  readonly dataDir: string;
}

/** How long the cluster of a data directory that is gone is kept: it may only have been moved. In milliseconds. */
const KEEP_ORPHANS = 7 * 24 * 3_600_000;

/**
 * The place of a data directory whose user is root, with its folders made.
 *
 * A data directory that was moved keeps its cluster; one that was copied gets an empty cluster of its own; one that was
 * removed leaves its cluster, whose server is stopped when the path is used again, and which goes after a week. Where
 * root may not write the shared folder, the cluster lies inside the data directory if other users can reach that.
 */
export async function openSharedPlace(
  dataDir: string,
  kept: ClusterRecord | null,
  options: { sharedFolder: string; insideOf: string },
): Promise<SharedPlace> {
  const { sharedFolder, insideOf } = options;
  if (kept !== null && (await isOurs(dataDir, kept, sharedFolder))) {
    const directory = kept.place ?? insideOf;
    if (await tryToMake(directory)) {
      return prepare(dataDir, directory, kept);
    }
  }
  const record = newRecord();
  const outside = join(sharedFolder, placeName(dataDir, record.id));
  if (await tryToMake(outside)) {
    await sweep(sharedFolder, dataDir);
    await writeRecord(dataDir, { ...record, place: outside });
    return prepare(dataDir, outside, { ...record, place: outside });
  }
  if (await isReachableByAll(dirname(dataDir))) {
    // Others pass through; what is in it has modes of its own.
    await chmod(dataDir, (await stat(dataDir)).mode | 0o001);
    if (await tryToMake(insideOf)) {
      await writeRecord(dataDir, record);
      return prepare(dataDir, insideOf, record);
    }
  }
  throw new Fault("data_dir_unwritable", {
    detail: `PostgreSQL does not run as root, ${sharedFolder} cannot be written or reached by other users, and neither can ${dataDir}.`,
    remedy: `Run bulkhead as an ordinary user, make ${sharedFolder} writable, or choose a directory that every user can reach with --data-dir.`,
  });
}

async function prepare(dataDir: string, directory: string, record: ClusterRecord): Promise<SharedPlace> {
  if ((await readOwner(directory))?.dataDir !== dataDir) {
    const owner: Owner = { id: record.id, dataDir };
    await replaceFile(join(directory, OWNER_FILE), JSON.stringify(owner));
  }
  const runAs = await serverUser(directory, record.id);
  const run = join(directory, "run");
  await makeDirectory(run, 0o700);
  await chown(run, runAs.uid, runAs.gid).catch(notPermitted);
  return { directory, shared: dirname(directory), runAs, record };
}

/** False if the record came here by a copy of the data directory that it was written for, or is not one of root's. */
async function isOurs(dataDir: string, record: ClusterRecord, sharedFolder: string): Promise<boolean> {
  if (record.place === null) {
    return true;
  }
  if (dirname(record.place) !== sharedFolder || !PLACE_NAME.test(basename(record.place))) {
    return false;
  }
  const owner = await readOwner(record.place);
  if (owner === null) {
    // Cleaned away: the place is made anew.
    return true;
  }
  if (owner.id !== record.id || owner.dataDir === dataDir) {
    return owner.id === record.id;
  }
  return (await readRecord(owner.dataDir).catch(() => null))?.id !== record.id;
}

/**
 * The user who owns the cluster, or one chosen by its id, so that clusters of different data directories cannot read
 * each other. 60706 to 61183 are ids that systemd's list of reserved ranges leaves to nobody, and below 65536, beyond
 * which containers often map none. On macOS initdb needs a listed user: 216 is its own `_postgres`.
 */
async function serverUser(directory: string, id: string): Promise<ServerUser> {
  const made = await stat(join(directory, "data")).catch(() => null);
  if (made !== null && made.uid !== 0) {
    return { uid: made.uid, gid: made.gid };
  }
  const uid = process.platform === "darwin" ? 216 : 60_706 + (Number.parseInt(id.slice(0, 8), 16) % 478);
  return { uid, gid: uid };
}

function placeName(dataDir: string, id: string): string {
  return createHash("sha256").update(`${dataDir}\0${id}`).digest("hex").slice(0, 16);
}

/** Whether the folder is there now, is root's alone to change, and can be passed by every user. */
async function tryToMake(directory: string): Promise<boolean> {
  const parent = dirname(directory);
  try {
    if (await makeDirectory(parent, 0o755)) {
      await chmod(parent, 0o755); // whatever mask we run under
    }
    await makeDirectory(directory, 0o700);
    for (const folder of [parent, directory]) {
      const found = await lstat(folder);
      if (!found.isDirectory() || found.uid !== 0 || (found.mode & 0o022) !== 0) {
        return false;
      }
    }
    await chmod(directory, 0o711);
    return await isReachableByAll(directory);
  } catch (error) {
    if (
      ["EACCES", "EPERM", "EROFS", "ENOENT", "ENOTDIR", "EEXIST", "ENOSPC"].includes(
        systemErrorCode(error) ?? "",
      )
    ) {
      return false;
    }
    throw error;
  }
}

async function isReachableByAll(folder: string): Promise<boolean> {
  const { mode } = await stat(folder);
  const above = dirname(folder);
  return (mode & 0o001) !== 0 && (above === folder || isReachableByAll(above));
}

/**
 * Sees to the clusters of data directories that were at this path before. Those of other paths are left alone: a data
 * directory that is not there may be on a disk that is not mounted.
 */
async function sweep(sharedFolder: string, dataDir: string): Promise<void> {
  for (const name of await readdir(sharedFolder)) {
    const directory = join(sharedFolder, name);
    if (!PLACE_NAME.test(name) || (await readOwner(directory))?.dataDir !== dataDir) {
      continue;
    }
    const stopped = await stopLeftover(join(directory, "data")).then(
      () => true,
      () => false, // in use by somebody we cannot see: none of our business
    );
    const lastRun = await stat(join(directory, "server.log")).catch(() => null);
    if (stopped && lastRun !== null && Date.now() - lastRun.mtimeMs > KEEP_ORPHANS) {
      await rm(directory, { recursive: true, force: true });
    }
  }
}

async function readOwner(directory: string): Promise<Owner | null> {
  try {
    const { id, dataDir } = JSON.parse(await readFile(join(directory, OWNER_FILE), "utf8")) as Partial<
      Record<keyof Owner, unknown>
    >;
    return typeof id === "string" && typeof dataDir === "string" ? { id, dataDir } : null;
  } catch {
    return null;
  }
}

/** Root without the right to hand files to others, as in a container that dropped its capabilities. */
function notPermitted(cause: unknown): never {
  throw new Fault("embedded_failed", {
    detail: "PostgreSQL does not run as root, and this root may not act as another user.",
    remedy: "Run bulkhead as an ordinary user, or give DATABASE_URL.",
    cause,
  });
}
