import type { ChildProcess } from "node:child_process";
import { open, readFile, rename, stat } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "../../core/fault.ts";
import type { ClusterPlace } from "./cluster-place.ts";
import type { ListenAddress } from "./listen-address.ts";
import { readPidFile } from "./pid-file.ts";
import type { PostgresInstallation } from "./postgres-installation.ts";
import { runProgram, startProgram } from "./run-program.ts";

/** A running server that we started. */
export interface Postmaster {
  readonly pid: number;
  /** Resolves when it has ended, with how. */
  readonly ended: Promise<string>;
  /** Stops it: within a second as a rule, within 16 seconds in any case. */
  stop(): Promise<void>;
}

interface PostmasterOptions {
  readonly durable: boolean;
  readonly listen: ListenAddress;
}

/** How long recovery after a crash may take, in milliseconds. */
const START_TIMEOUT = 120_000;
/** How long a fast, then an immediate shutdown may take, in milliseconds. */
const STOP_TIMEOUTS = [12_000, 4_000] as const;
/** When a log is put aside at the next start, in bytes. Two are kept. */
const LONGEST_LOG = 10 * 1024 * 1024;

/**
 * Starts the server of a place's cluster and waits until it takes connections.
 *
 * @throws Fault `embedded_failed` with the end of the server's log.
 */
export async function startPostmaster(
  installation: PostgresInstallation,
  place: ClusterPlace,
  options: PostmasterOptions,
): Promise<Postmaster> {
  const cluster = join(place.directory, "data");
  const logPath = join(place.directory, "server.log");
  const logged = await rotate(logPath);
  const { child, ended } = await launch(installation, place, {
    logPath,
    args: serverArguments(cluster, options),
  });
  const pid = child.pid ?? 0;
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const stop = async (): Promise<void> => {
    for (const [index, mode] of (["fast", "immediate"] as const).entries()) {
      if (hasEnded()) {
        return;
      }
      if (process.platform === "win32") {
        // There are no signals on Windows: pg_ctl writes to a pipe of the server's.
        await runProgram(installation, place, ["pg_ctl", "stop", "-D", cluster, "-m", mode, "-W"]);
      } else {
        child.kill(mode === "fast" ? "SIGINT" : "SIGQUIT");
      }
      await Promise.race([ended, delay(STOP_TIMEOUTS[index], undefined, { ref: false })]);
    }
    child.kill("SIGKILL");
    await ended;
  };
  const deadline = performance.now() + START_TIMEOUT;
  for (;;) {
    const file = await readPidFile(cluster);
    // The file may still be that of a run that was killed.
    if (file?.ready && file.pid === pid) {
      return { pid, ended, stop };
    }
    if (hasEnded() || performance.now() > deadline) {
      await stop();
      throw new Fault("embedded_failed", {
        detail: `PostgreSQL: ${await ended}. Its log, ${logPath}, ends:\n${await endOf(logPath, logged)}`,
      });
    }
    await delay(5);
  }
}

async function launch(
  installation: PostgresInstallation,
  place: ClusterPlace,
  what: { readonly logPath: string; readonly args: readonly string[] },
): Promise<{ child: ChildProcess; ended: Promise<string> }> {
  const log = await open(what.logPath, "a", 0o600);
  try {
    const child = await startProgram(installation, place, {
      command: ["postgres", ...what.args],
      stdio: ["ignore", log.fd, log.fd],
    });
    const ended = new Promise<string>((resolve) => {
      child.once("exit", (status, signal) =>
        resolve(signal === null ? `exit status ${status}` : `signal ${signal}`),
      );
    });
    return { child, ended };
  } finally {
    await log.close();
  }
}

function serverArguments(cluster: string, options: PostmasterOptions): string[] {
  const { host, port } = options.listen;
  const onSocket = isAbsolute(host);
  const settings: Record<string, string> = {
    // A quoted list element: the path may contain commas and spaces.
    unix_socket_directories: onSocket ? `"${host.replaceAll('"', '""')}"` : "",
    unix_socket_permissions: "0700",
    listen_addresses: onSocket ? "" : host,
    port: String(port),
    // Two cores and many connections, in the memory of a developer's machine.
    max_connections: "200",
    shared_buffers: "96MB",
    wal_level: "minimal",
    max_wal_senders: "0",
    min_wal_size: "32MB",
    max_wal_size: "256MB",
    random_page_cost: "1.1",
    jit: "off",
    // Files are in the system's cache: worker processes for reading them cost more than they bring.
    io_method: "sync",
    logging_collector: "off",
    log_destination: "stderr",
    log_line_prefix: "%m [%p] ",
    log_timezone: "UTC",
    timezone: "UTC",
    lc_messages: "C",
    ...(options.durable ? {} : { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }),
  };
  return ["-D", cluster, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])];
}

/** The length of the log before this start, in bytes. */
async function rotate(path: string): Promise<number> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size <= LONGEST_LOG) {
    return size;
  }
  await rename(path, `${path}.1`);
  return 0;
}

async function endOf(path: string, from: number): Promise<string> {
  const log = await readFile(path).catch(() => Buffer.alloc(0));
  return log.subarray(from).toString().slice(-2_000).trim();
}
