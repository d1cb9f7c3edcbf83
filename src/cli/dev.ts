import { randomBytes } from "node:crypto";
import { access, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { BulkheadOptions } from "../bulkhead-options.ts";
import { Fault } from "../core/fault.ts";
import { lockDataDir } from "../data/embedded/data-dir-lock.ts";
import { devBanner } from "./dev-banner.ts";
import type { Environment } from "./environment.ts";
import { freePort } from "./free-port.ts";
import { type OwnDatabase, startOwnDatabase } from "./own-database.ts";
import { printNotice, printReport } from "./report-error.ts";
import { removeServerFile, writeServerFile } from "./server-file.ts";
import { onStopSignal } from "./stop-signals.ts";
import { supervise } from "./supervise.ts";

export interface DevOptions {
  /** The command's own file, which the child runs. */
  readonly main: string;
  readonly module: string;
  readonly port: number;
  readonly dataDir: string;
  readonly json: boolean;
  readonly logLevel: NonNullable<BulkheadOptions["logLevel"]>;
  readonly env: Environment;
}

/**
 * `bulkhead dev`: the supervisor. It owns the data directory and PostgreSQL; a child serves, and is replaced when the
 * module changes or the child dies.
 * @returns the exit status.
 * @throws Fault for what keeps it from starting.
 */
export async function dev(options: DevOptions): Promise<number> {
  const notice = (text: string): void => printNotice(text, options.json);
  const module = resolve(options.module);
  const dataDir = resolve(options.dataDir);
  await access(module).catch((cause) => {
    throw new Fault("module_not_found", { detail: `There is no ${module}.`, cause });
  });
  const port = await freePort(options.port);
  const stop = new AbortController();
  const hurry = new AbortController();
  onStopSignal(
    () => {
      if (!options.json) notice("stopping");
      stop.abort();
    },
    () => hurry.abort(),
  );
  const lock = await lockDataDir(dataDir);
  try {
    const database = await openDatabase(options);
    try {
      let lost = false;
      database.onLost((detail) => {
        lost = true;
        const message = `PostgreSQL ended by itself: ${detail}.`;
        printReport({ code: "embedded_failed", message, remedy: "Start bulkhead dev again." }, options.json);
        stop.abort();
      });
      const masterKey = await developmentMasterKey(dataDir);
      const logFile = options.json ? null : join(dataDir, "bulkhead.log");
      const status = await supervise({
        main: options.main,
        env: options.env,
        order: {
          type: "serve",
          module,
          port,
          databaseUrl: database.url,
          operatorToken: `bko_${randomBytes(32).toString("base64url")}`,
          masterKey,
          soleInstance: database.own,
          logFile,
          logLevel: options.logLevel,
        },
        dataDir,
        stop: stop.signal,
        hurry: hurry.signal,
        on: {
          ready(line) {
            writeServerFile(dataDir, { url: line.url, token: line.admin.token });
            process.stdout.write(
              logFile === null
                ? `${JSON.stringify(line)}\n`
                : devBanner(line, {
                    module: options.module,
                    logFile,
                    dataDir: database.own ? dataDir : null,
                  }),
            );
          },
          notice,
          error: (report) => printReport(report, options.json),
        },
      });
      return lost ? 1 : status;
    } finally {
      removeServerFile(dataDir);
      await database.close();
    }
  } finally {
    await lock.release();
  }
}

/** Kept with the data, as long as what it seals. The caller holds the directory's lock. */
async function developmentMasterKey(dataDir: string): Promise<string> {
  const path = join(dataDir, "master.key");
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const key = randomBytes(32).toString("base64url");
  await writeFile(path, `${key}\n`, { mode: 0o600, flag: "wx", flush: true });
  return key;
}

interface DevelopmentDatabase extends OwnDatabase {
  /** True for the embedded one. */
  readonly own: boolean;
}

/** The database in DATABASE_URL, which the server refuses unless it is empty or marked for development; or our own. */
async function openDatabase(options: DevOptions): Promise<DevelopmentDatabase> {
  const given = options.env.DATABASE_URL;
  if (given !== undefined && given !== "")
    return { url: given, own: false, onLost: () => {}, close: async () => {} };
  if (!options.json) printNotice(`starting PostgreSQL, its data in ${resolve(options.dataDir)}`, false);
  return { ...(await startOwnDatabase(options.dataDir)), own: true };
}
