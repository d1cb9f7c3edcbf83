import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { watch } from "node:fs";
import { access } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join, resolve, sep } from "node:path";
import { Fault } from "../core/fault.ts";
import { ensureDatabase } from "../data/ensure-database.ts";
import { lockDataDir } from "../data/embedded/data-dir-lock.ts";
import { startEmbeddedPostgres } from "../data/embedded/embedded-postgres.ts";
import { devBanner } from "./dev-banner.ts";
import type { ChildReport, ServeOrder } from "./dev-messages.ts";
import type { Environment } from "./environment.ts";
import { printReport } from "./report-error.ts";
import { onStopSignal } from "./stop-signals.ts";

/** Longest wait for the serving child to stop by itself, in milliseconds. */
const STOP_MS = 9_000;
/** Pause before a child that died is replaced, in milliseconds: doubled each time it dies young, up to the second. */
const RESTART_MS = { first: 200, most: 10_000, young: 5_000 };
/** Changes of files within this long are one change, in milliseconds. */
const SETTLE_MS = 150;

export interface DevOptions {
  /** The command's own file, which the child runs. */
  readonly main: string;
  readonly module: string;
  readonly port: number;
  readonly dataDir: string;
  readonly json: boolean;
  readonly env: Environment;
}

/**
 * `bulkhead dev`: the supervisor. It owns the data directory and PostgreSQL; a child serves, and is replaced when the
 * module changes or the child dies.
 */
export async function dev(options: DevOptions): Promise<void> {
  const module = resolve(options.module);
  await access(module).catch((cause) => {
    throw new Fault("module_not_found", { detail: `There is no ${module}.`, cause });
  });
  const port = await freePort(options.port);
  const lock = await lockDataDir(options.dataDir);
  const undo: (() => Promise<unknown>)[] = [() => lock.release()];
  const stopAll = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  let stopRequested = false;
  let onStop: () => void = () => {};
  onStopSignal(() => {
    stopRequested = true;
    onStop();
  });
  try {
    const url = await database(options, undo);
    if (stopRequested) return;
    const order: ServeOrder = {
      type: "serve",
      module,
      port,
      databaseUrl: url,
      operatorToken: `bko_${randomBytes(32).toString("base64url")}`,
      logFile: options.json ? null : join(resolve(options.dataDir), "bulkhead.log"),
    };
    const stopped = new Promise<void>((resolveStop) => {
      onStop = resolveStop;
    });
    const failed = await supervise(options, order, stopped);
    if (failed !== null) process.exitCode = failed;
  } finally {
    await stopAll();
  }
}

/** The database of this data directory, or the one in DATABASE_URL if it is marked for development or empty. */
async function database(options: DevOptions, undo: (() => Promise<unknown>)[]): Promise<string> {
  const given = options.env.DATABASE_URL;
  if (given !== undefined && given !== "") return given;
  const postgres = await startEmbeddedPostgres({ dataDir: options.dataDir });
  undo.push(() => postgres.stop());
  postgres.onExit((detail) => {
    printReport({ code: "embedded_failed", message: `PostgreSQL ended by itself. ${detail}`, remedy: "Start bulkhead dev again." }, options.json);
    process.kill(process.pid, "SIGTERM");
  });
  const url = postgres.urlOf("bulkhead");
  await ensureDatabase(postgres.adminUrl, "bulkhead");
  return url;
}

/** Keeps one child serving until `stopped`. Gives an exit status, or null for a clean end. */
async function supervise(options: DevOptions, order: ServeOrder, stopped: Promise<void>): Promise<number | null> {
  let ready = false;
  let ending = false;
  let replace: (() => void) | null = null;
  let pause = RESTART_MS.first;
  const watcher = watchModule(order.module, resolve(options.dataDir), () => replace?.());
  stopped.then(() => {
    ending = true;
    replace?.();
  });
  try {
    while (!ending) {
      const started = performance.now();
      const child = startChild(options, order);
      const exited = new Promise<void>((done) => child.once("exit", () => done()));
      let failure = false;
      child.on("message", (message) => {
        const report = message as ChildReport;
        if (report.type === "failed") {
          failure = true;
          printReport(report.error, options.json);
        } else if (!ready) {
          ready = true;
          process.stdout.write(
            options.json ? `${JSON.stringify(report.line)}\n` : `${devBanner(report.line, { module: options.module, logFile: order.logFile ?? "standard error" })}\n`,
          );
        } else {
          process.stderr.write(`bulkhead: serving again, on port ${order.port}\n`);
        }
      });
      let wanted = false;
      const changed = new Promise<void>((done) => {
        replace = () => {
          wanted = true;
          done();
        };
      });
      if (ending) wanted = true;
      await Promise.race([exited, changed]);
      if (wanted) await stopChild(child, exited);
      if (ending) break;
      if (wanted) continue;
      // It ended by itself. Before the first success that is the answer; later the next change of a file may mend it.
      if (!ready) return 1;
      if (failure) {
        process.stderr.write("bulkhead: waiting for the module to change\n");
        await changed;
        continue;
      }
      pause = performance.now() - started < RESTART_MS.young ? Math.min(pause * 2, RESTART_MS.most) : RESTART_MS.first;
      process.stderr.write(`bulkhead: the serving process died (${describeExit(child)}); starting it again\n`);
      await Promise.race([new Promise((done) => setTimeout(done, pause)), changed]);
    }
    return null;
  } finally {
    watcher.close();
  }
}

function startChild(options: DevOptions, order: ServeOrder): ChildProcess {
  const child = fork(options.main, ["dev-child"], {
    execArgv: process.execArgv,
    // Secrets reach it over the channel; a tool's code must not find them in its environment.
    env: { ...options.env, DATABASE_URL: undefined, BULKHEAD_OPERATOR_TOKEN: undefined },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  child.send(order);
  return child;
}

async function stopChild(child: ChildProcess, exited: Promise<void>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  if (child.connected) child.send({ type: "stop" });
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await exited;
  clearTimeout(timer);
}

/** Tells of changes below the module's directory, but for dependencies, hidden files and our own data. */
function watchModule(module: string, dataDir: string, onChange: () => void): { close(): void } {
  const root = dirname(module);
  let timer: NodeJS.Timeout | null = null;
  const watcher = watch(root, { recursive: true }, (_event, name) => {
    if (name === null || !/\.([cm]?[jt]sx?|json|sql)$/.test(name)) return;
    const parts = name.split(sep);
    if (parts.some((part) => part === "node_modules" || part.startsWith("."))) return;
    if (join(root, name).startsWith(dataDir + sep)) return;
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(onChange, SETTLE_MS);
  });
  watcher.on("error", () => {});
  return {
    close() {
      if (timer !== null) clearTimeout(timer);
      watcher.close();
    },
  };
}

/** The port itself, or a free one for 0. Known before anything else is started. */
function freePort(port: number): Promise<number> {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.once("error", (cause: NodeJS.ErrnoException) =>
      fail(
        cause.code === "EADDRINUSE" || cause.code === "EACCES"
          ? new Fault("port_taken", { detail: `It is 127.0.0.1:${port} (${cause.code}).`, cause })
          : cause,
      ),
    );
    probe.listen(port, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => done(typeof address === "object" && address !== null ? address.port : port));
    });
  });
}

function describeExit(child: ChildProcess): string {
  return child.signalCode ?? `exit status ${child.exitCode}`;
}
