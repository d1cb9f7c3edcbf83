import { randomBytes } from "node:crypto";
import {
  chmod,
  chown,
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../core/fault.ts";
import type { ClusterPlace } from "./cluster-place.ts";
import { systemErrorCode } from "./data-dir-fault.ts";
import { type PostgresInstallation, programPath } from "./postgres-installation.ts";
import { type ProgramEnd, runProgram } from "./run-program.ts";

const CLUSTER_DRAFT = "data.new-";
const PROGRAM_DRAFT = "initdb-";
const PASSWORD_FILE = "initdb-password";
const DRAFTS = [CLUSTER_DRAFT, PROGRAM_DRAFT, PASSWORD_FILE];

/**
 * Makes the cluster `data` at a place unless it is there. It appears whole or not at all, but lasts beyond a crash of
 * the system only after {@link syncCluster}.
 *
 * @returns whether it was made now.
 * @throws Fault `embedded_failed` when initdb fails, or the cluster is another major version's.
 */
export async function initializeCluster(
  installation: PostgresInstallation,
  place: ClusterPlace,
  version: string,
): Promise<boolean> {
  const cluster = join(place.directory, "data");
  const found = await readFile(join(cluster, "PG_VERSION"), "utf8").catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") {
      return null;
    }
    throw error;
  });
  if (found !== null) {
    refuseOtherMajor(found.trim(), version, cluster);
    return false;
  }
  // What a killed first start left. Should its initdb still be running, the next start removes it.
  for (const name of await readdir(place.directory)) {
    if (DRAFTS.some((draft) => name.startsWith(draft))) {
      await rm(join(place.directory, name), { recursive: true, force: true }).catch(() => {});
    }
  }
  const draft = join(place.directory, CLUSTER_DRAFT + randomBytes(6).toString("hex"));
  const passwordFile = join(place.directory, PASSWORD_FILE);
  try {
    await mkdir(draft, { mode: 0o700 });
    await rm(passwordFile, { force: true });
    await writeFile(passwordFile, place.password, { flag: "wx", mode: 0o600 });
    if (place.runAs !== null) {
      await chown(draft, place.runAs.uid, place.runAs.gid);
      await chown(passwordFile, place.runAs.uid, place.runAs.gid);
    }
    const end = await initdb(installation, place, [
      ...["-D", draft, "--username=postgres", `--pwfile=${passwordFile}`, "--auth=scram-sha-256"],
      // PostgreSQL's own locale: sorted by code point, the same on every system, and independent of what is installed.
      ...["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"],
      ...["--no-instructions", "--no-sync"],
    ]);
    if (end.status !== 0) {
      throw new Fault("embedded_failed", {
        detail: `initdb: ${end.output.trim().slice(-2_000)}`,
        remedy: "Correct what initdb says, or give DATABASE_URL.",
      });
    }
    await rename(draft, cluster);
    return true;
  } finally {
    await rm(passwordFile, { force: true });
    await rm(draft, { recursive: true, force: true });
  }
}

/**
 * Brings a new cluster's files to the disk, which may take seconds and may be done while its server runs. Should the
 * system crash within that time, the cluster may have to be made anew.
 */
export async function syncCluster(installation: PostgresInstallation, place: ClusterPlace): Promise<void> {
  await runProgram(installation, place, ["initdb", "--sync-only", "-D", join(place.directory, "data")]);
  if (process.platform !== "win32") {
    const folder = await open(place.directory, "r");
    await folder.sync().finally(() => folder.close());
  }
}

async function initdb(
  installation: PostgresInstallation,
  place: ClusterPlace,
  args: readonly string[],
): Promise<ProgramEnd> {
  // A user that we chose ourselves is not in the passwd file; any other may be.
  if (process.platform !== "linux" || place.runAs === null) {
    const end = await runProgram(installation, place, ["initdb", ...args]);
    if (process.platform !== "linux" || !end.output.includes("could not look up effective user ID")) {
      return end;
    }
  }
  const draft = join(place.directory, PROGRAM_DRAFT + randomBytes(6).toString("hex"));
  try {
    return await runProgram(await withoutPasswd(installation, draft), place, ["initdb", ...args]);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/**
 * initdb, and `postgres --single` which it starts, want the name of their user and fail for one that the passwd file
 * does not list, as those of containers often are not; the server itself does not ask. They do nothing with the name
 * once --username is given, so any will do: in a passing copy of the two programs the imported function getpwuid is
 * renamed to getpwent, which has as many letters and returns the passwd file's first entry.
 */
async function withoutPasswd(
  installation: PostgresInstallation,
  folder: string,
): Promise<PostgresInstallation> {
  const copy = { ...installation, root: folder };
  await mkdir(folder);
  await mkdir(join(folder, "bin"));
  for (const path of [folder, join(folder, "bin")]) {
    await chmod(path, 0o755); // whatever mask we run under
  }
  for (const shared of ["lib", "share"]) {
    await symlink(join(installation.root, shared), join(folder, shared));
  }
  for (const name of ["initdb", "postgres"] as const) {
    const path = programPath(copy, name);
    await copyFile(programPath(installation, name), path);
    await chmod(path, 0o755);
    await renameImport(path);
  }
  return copy;
}

async function renameImport(path: string): Promise<void> {
  const program = await readFile(path);
  const at = program.indexOf("\0getpwuid\0");
  if (at !== -1) {
    const file = await open(path, "r+");
    try {
      await file.write("\0getpwent\0", at);
    } finally {
      await file.close();
    }
  }
}

function refuseOtherMajor(found: string, version: string, cluster: string): void {
  const ours = version.split(".")[0];
  if (found !== ours) {
    throw new Fault("embedded_failed", {
      detail: `${cluster} was made by PostgreSQL ${found}; this is ${version}.`,
      remedy: `Use the version of bulkhead that made it, or choose another directory with --data-dir.`,
    });
  }
}
