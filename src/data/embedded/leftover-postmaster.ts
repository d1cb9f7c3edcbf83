import { execFile } from "node:child_process";
import { lstat, readdir, readFile, readlink, realpath, rm, rmdir, unlink } from "node:fs/promises";
import { createConnection } from "node:net";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { Fault } from "../../core/fault.ts";
import { systemErrorCode } from "./data-dir-fault.ts";
import { type PidFile, readPidFile } from "./pid-file.ts";
import { processStart } from "./process-identity.ts";
import { PRIVATE_SOCKET_FOLDER, socketFile } from "./socket-file.ts";

/** How long each way of stopping is given before the next harder one, in milliseconds. */
const PATIENCE = 10_000;

/**
 * Stops what a killed run left at a cluster: its postmaster, and on Linux backends that outlived their postmaster. A pid
 * that belongs to another program by now is not touched.
 *
 * @throws Fault `data_dir_in_use` if a server answers that is not among the processes that we can see.
 */
export async function stopLeftover(cluster: string): Promise<void> {
  const file = await readPidFile(cluster);
  if (file === null) {
    return;
  }
  const path = await realpath(cluster);
  const find = () => serversOf(path, file.pid);
  // Fast (roll back and disconnect), immediate (recover at the next start), and by force.
  for (const signal of ["SIGINT", "SIGQUIT", "SIGKILL"] as const) {
    const found = await find();
    for (const pid of found) {
      signalUnlessGone(pid, signal);
    }
    if (found.length === 0 || (await waitUntilNone(find))) {
      break;
    }
  }
  await refuseIfAnswering(path, file);
  await forgetRecycledPid(path, file);
  await removePrivateSocketFolder(file, cluster);
}

/** The processes that certainly are PostgreSQL servers of this cluster; a pid from a file proves nothing. */
async function serversOf(cluster: string, pid: number): Promise<number[]> {
  if (process.platform !== "linux") {
    return (await isServerByCommand(cluster, pid)) ? [pid] : [];
  }
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (/^[0-9]+$/.test(name) && (await isServerByProc(cluster, name))) {
      found.push(Number(name));
    }
  }
  // The postmaster alone as long as it lives: it sees to its backends.
  return found.includes(pid) ? [pid] : found;
}

async function isServerByProc(cluster: string, pid: string): Promise<boolean> {
  try {
    // A server stays in its data directory. The link ends in " (deleted)" when the binary was replaced.
    const program = basename(await readlink(`/proc/${pid}/exe`));
    return program.split(" ")[0] === "postgres" && (await readlink(`/proc/${pid}/cwd`)) === cluster;
  } catch {
    return false;
  }
}

async function isServerByCommand(cluster: string, pid: number): Promise<boolean> {
  try {
    const { stdout } = await promisify(execFile)("/bin/ps", ["-ww", "-o", "command=", "-p", String(pid)]);
    // As we start it.
    return stdout.includes(`/postgres -D ${cluster} -c `);
  } catch {
    return false;
  }
}

function signalUnlessGone(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (systemErrorCode(error) !== "ESRCH") {
      throw error;
    }
  }
}

async function waitUntilNone(find: () => Promise<number[]>): Promise<boolean> {
  const end = performance.now() + PATIENCE;
  while (performance.now() < end) {
    await delay(20);
    if ((await find()).length === 0) {
      return true;
    }
  }
  return false;
}

/** A server in another container shows by its socket only; PostgreSQL's own check does not see it either. */
async function refuseIfAnswering(cluster: string, file: PidFile): Promise<void> {
  if (file.socketFolder === null) {
    return;
  }
  const answers = await new Promise<boolean>((resolve) => {
    const socket = createConnection(socketFile(file.socketFolder ?? "", file.port));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
  if (answers) {
    throw new Fault("data_dir_in_use", {
      detail: `A PostgreSQL that is not among this machine's visible processes serves ${cluster}.`,
      remedy:
        "Stop the container that uses this data directory, or choose another directory with --data-dir.",
    });
  }
}

/**
 * PostgreSQL replaces the files of a dead server, but gives up if any process of the same user has the pid that they
 * name. By now it is known that no such process is a server of this cluster.
 */
async function forgetRecycledPid(cluster: string, file: PidFile): Promise<void> {
  if ((await processStart(file.pid)) === null) {
    return;
  }
  await rm(join(cluster, "postmaster.pid"), { force: true });
  const lock = file.socketFolder === null ? null : `${socketFile(file.socketFolder, file.port)}.lock`;
  // The folder's name comes from a file that the server's user can write: nothing but such a lock is removed.
  if (lock !== null && (await readFile(lock, "utf8").catch(() => "")).startsWith(`${file.pid}\n`)) {
    await rm(lock, { force: true });
  }
}

async function removePrivateSocketFolder(file: PidFile, cluster: string): Promise<void> {
  if (file.socketFolder === null || !PRIVATE_SOCKET_FOLDER.test(basename(file.socketFolder))) {
    return;
  }
  // The path comes from a file that the server's user can write, so nothing of another user's is removed.
  const [found, owner] = await Promise.all([lstat(file.socketFolder).catch(() => null), lstat(cluster)]);
  if (found?.isDirectory() && found.uid === owner.uid) {
    const socket = socketFile(file.socketFolder, file.port);
    await Promise.all([unlink(socket).catch(() => {}), unlink(`${socket}.lock`).catch(() => {})]);
    await rmdir(file.socketFolder).catch(() => {});
  }
}
