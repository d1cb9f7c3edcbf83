import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "../core/fault.ts";
import { lockDataDir } from "../data/embedded/data-dir-lock.ts";
import { findRunningPostgres } from "../data/embedded/running-postgres.ts";
import { ensureDatabase } from "../data/ensure-database.ts";
import { OWN_DATABASE, startOwnDatabase } from "./own-database.ts";

/** The database of a data directory: this process's own, or that of the process which holds the directory. */
export interface SharedDatabase {
  readonly url: string;
  /** Resolves when it is lost for good. It never does while the database is there, or comes back at the same place. */
  readonly lost: Promise<Fault>;
  close(): Promise<void>;
}

/** How long another process that holds the directory may take until its PostgreSQL serves, in milliseconds. */
const WAIT_MS = 20_000;
const LOOK_MS = 50;

interface Opened {
  readonly url: string;
  readonly own: boolean;
  onLost(listener: (detail: string) => void): void;
  close(): Promise<void>;
}

/**
 * Opens the database of a data directory, whether or not another process uses it: a client starts one `bulkhead stdio` for
 * each server that it has, and `bulkhead dev` may run besides. When the process that owns it ends, one of the others takes
 * over.
 *
 * @param options.stop aborted: waits no longer for another process.
 * @throws Fault `data_dir_in_use` where another process holds the directory and has no PostgreSQL there; what starting one throws.
 */
export async function openSharedDatabase(options: {
  readonly dataDir: string;
  readonly stop: AbortSignal;
  readonly notice: (text: string) => void;
}): Promise<SharedDatabase> {
  const dataDir = resolve(options.dataDir);
  let closing = false;
  let lose: (fault: Fault) => void = () => {};
  const lost = new Promise<Fault>((resolve) => {
    lose = resolve;
  });
  const first = await open(dataDir, options.stop);
  let current: Promise<Opened> = Promise.resolve(first);

  const follow = (database: Opened): void =>
    database.onLost((detail) => {
      if (closing) return;
      if (database.own) {
        lose(ended(detail));
        return;
      }
      options.notice(
        `the PostgreSQL in ${dataDir} ended with the process that had started it; going on with another`,
      );
      current = takeOver().catch((error: unknown) => {
        lose(error instanceof Fault ? error : ended(String(error)));
        return database;
      });
    });
  const takeOver = async (): Promise<Opened> => {
    const next = await open(dataDir, options.stop);
    // What is connected knows one address alone.
    if (next.url !== first.url) {
      await next.close();
      throw ended("it is at another place now");
    }
    follow(next);
    return next;
  };
  follow(first);

  return {
    url: first.url,
    lost,
    async close() {
      closing = true;
      await (await current).close();
    },
  };
}

async function open(dataDir: string, stop: AbortSignal): Promise<Opened> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const inUse = await own(dataDir).catch((error: unknown) => {
      if (error instanceof Fault && error.code === "data_dir_in_use") return error;
      throw error;
    });
    if (!(inUse instanceof Fault)) return inUse;
    const running = await findRunningPostgres(dataDir);
    if (running !== null) {
      await ensureDatabase(running.urlOf("postgres"), OWN_DATABASE).catch(() => {});
      return {
        url: running.urlOf(OWN_DATABASE),
        own: false,
        onLost: (listener) => running.onExit(() => listener("its owner has stopped it")),
        close: async () => running.leave(),
      };
    }
    if (stop.aborted || performance.now() > deadline) throw inUse;
    await delay(LOOK_MS);
  }
}

async function own(dataDir: string): Promise<Opened> {
  const lock = await lockDataDir(dataDir);
  try {
    const database = await startOwnDatabase(dataDir);
    return {
      url: database.url,
      own: true,
      onLost: database.onLost,
      async close() {
        await database.close();
        await lock.release();
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

function ended(detail: string): Fault {
  return new Fault("embedded_failed", {
    detail: `PostgreSQL ended by itself: ${detail}.`,
    remedy: "Let the client start this server again.",
  });
}
