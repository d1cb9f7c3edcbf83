import { lstat, realpath, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Fault } from "../../core/fault.ts";
import { type ClusterRecord, newRecord, RECORD_FILE, readRecord, writeRecord } from "./cluster-record.ts";
import { dataDirFault, systemErrorCode } from "./data-dir-fault.ts";
import { makeDirectory } from "./make-directory.ts";
import { openSharedPlace, type ServerUser } from "./shared-place.ts";

/** Where a cluster's files lie, and as whom its server runs. */
export interface ClusterPlace {
  /** Contains data/ (the cluster), run/ (its socket) and server.log. Only its subfolders belong to the server's user. */
  readonly directory: string;
  /** The folder of what all data directories share, when the server runs as another user than we. */
  readonly shared: string;
  /** Null: the server runs as we do. */
  readonly runAs: ServerUser | null;
  readonly password: string;
  /** Removes the cluster and the data directory's record of it. */
  remove(): Promise<void>;
}

/** Where root's clusters live: the one folder for a system's programs that an unprivileged user can always reach. */
const SHARED_FOLDER = "/var/lib/bulkhead";

/**
 * Finds the place of a data directory's cluster, or chooses one, and makes its folders. PostgreSQL refuses to run as
 * root, so root's clusters lie outside the data directory, which may be below a folder that only root may enter.
 *
 * @param uid ours; undefined on Windows.
 * @throws Fault `data_dir_unwritable` or `embedded_failed`
 */
export async function openClusterPlace(
  dataDir: string,
  uid: number | undefined,
  sharedFolder: string = SHARED_FOLDER,
): Promise<ClusterPlace> {
  const asked = resolve(dataDir);
  try {
    await makeDirectory(asked, 0o700);
    const directory = await realpath(asked);
    return uid === 0 ? await openAsRoot(directory, sharedFolder) : await openAsUser(directory);
  } catch (error) {
    throw dataDirFault(asked, error);
  }
}

async function openAsUser(dataDir: string): Promise<ClusterPlace> {
  const directory = insideOf(dataDir);
  const kept = await readRecord(dataDir);
  if (kept === null && (await ownerOf(join(directory, "data"))) !== null) {
    throw new Fault("embedded_failed", {
      detail: `${join(dataDir, RECORD_FILE)} with the database's password is missing.`,
      remedy: `Restore that file, or remove ${directory} to start with an empty database.`,
    });
  }
  if (kept !== null && kept.place !== null) {
    throw otherUsers(dataDir, 0);
  }
  const record = kept ?? newRecord();
  if (kept === null) {
    await writeRecord(dataDir, record);
  }
  await makeDirectory(join(directory, "run"), 0o700);
  return placeAt(dataDir, record, { directory, shared: dataDir, runAs: null });
}

async function openAsRoot(dataDir: string, sharedFolder: string): Promise<ClusterPlace> {
  const owner = await ownerOf(insideOf(dataDir));
  if (owner !== null && owner !== 0) {
    throw otherUsers(dataDir, owner);
  }
  const opened = await openSharedPlace(dataDir, await readRecord(dataDir), {
    sharedFolder,
    insideOf: insideOf(dataDir),
  });
  return placeAt(dataDir, opened.record, opened);
}

function placeAt(
  dataDir: string,
  record: ClusterRecord,
  where: Pick<ClusterPlace, "directory" | "shared" | "runAs">,
): ClusterPlace {
  return {
    directory: where.directory,
    shared: where.shared,
    runAs: where.runAs,
    password: record.password,
    remove: async () => {
      await rm(where.directory, { recursive: true, force: true });
      await rm(join(dataDir, RECORD_FILE), { force: true });
    },
  };
}

function insideOf(dataDir: string): string {
  return join(dataDir, "postgresql");
}

async function ownerOf(path: string): Promise<number | null> {
  try {
    return (await lstat(path)).uid;
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") {
      return null;
    }
    throw error;
  }
}

function otherUsers(dataDir: string, owner: number): Fault {
  return new Fault("data_dir_unwritable", {
    detail: `The database in ${dataDir} was made by user id ${owner}.`,
    remedy: "Run bulkhead as that user, or choose another directory with --data-dir.",
  });
}
