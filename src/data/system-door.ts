import { AsyncLocalStorage } from "node:async_hooks";
import pg from "pg";
import { Fault } from "../core/fault.ts";
import type { ConnectionSettings } from "./connection-settings.ts";
import { isConnectionTrouble } from "./connection-trouble.ts";

/**
 * Why the system door is used: the whole list. A new reason is a decision for review, and test/data/system-door.test.ts
 * lists the files that may name one.
 */
export type SystemReason =
  | "watch configuration"
  | "read configuration"
  | "change configuration"
  | "issue a tenant claim"
  | "remember a used proof"
  | "write audit rows"
  | "close orphaned intents"
  | "keep the instance alive"
  | "erase a tenant"
  | "check isolation"
  | "remove what has expired"
  | "signal other instances"
  | "keep sessions"
  | "keep streams"
  | "keep tasks"
  | "keep state keys"
  | "set up development"
  | "serve development clients";

/**
 * How long a statement may take for these reasons, in milliseconds: others wait for them, and a connection whose other
 * end has gone silent must not make them wait for ever. The rest (erasing, setting up, migrating) takes what it takes.
 */
const TIMEOUT_MS: Partial<Record<SystemReason, number>> = {
  "watch configuration": 3_000,
  "read configuration": 3_000,
  "issue a tenant claim": 3_000,
  "remember a used proof": 3_000,
  "keep the instance alive": 3_000,
  "write audit rows": 10_000,
  "signal other instances": 3_000,
  "keep sessions": 3_000,
  "keep streams": 10_000,
  "keep tasks": 10_000,
  "keep state keys": 3_000,
};

/** The part of a connection that work behind the system door uses. */
export interface SystemConnection {
  query<T extends pg.QueryResultRow = pg.QueryResultRow>(
    text: string,
    values?: readonly unknown[],
  ): Promise<pg.QueryResult<T>>;
}

/** The door that crosses tenants, by policies for its own role. Not for tools, nor for anything that acts for a tenant. */
export interface SystemDoor {
  /** Runs `work` on a connection of its own. */
  run<R>(reason: SystemReason, work: (db: SystemConnection) => Promise<R>): Promise<R>;
  /** Runs `work` in one transaction: commits when it resolves, rolls back when it rejects. */
  transaction<R>(reason: SystemReason, work: (db: SystemConnection) => Promise<R>): Promise<R>;
  close(): Promise<void>;
}

/**
 * @param options.connections most that there are at once, and one more, by which alone the configuration is watched: an
 *   instance that cannot do that serves nobody, so whoever keeps all the others busy must not keep it from that.
 */
export function createSystemDoor(
  settings: ConnectionSettings,
  options: { readonly connections: number },
): SystemDoor {
  const general = createPool(settings, options.connections);
  const watching = createPool(settings, 1);
  // A connection outlives the request that opens it. Opened in its async context it would keep all that stands there: of a
  // request to the development authorization server, what the client sent.
  const outside = AsyncLocalStorage.snapshot();

  const run = async <R>(reason: SystemReason, work: (db: SystemConnection) => Promise<R>): Promise<R> => {
    const client = await outside(connect, reason === "watch configuration" ? watching : general);
    let broken = false;
    try {
      const limit = TIMEOUT_MS[reason];
      return await work({
        query: (text, values = []) =>
          client.query({
            text,
            values: [...values],
            ...(limit === undefined ? {} : { query_timeout: limit }),
          }),
      });
    } catch (error) {
      // A server error leaves the connection usable; anything else (cut, timed out) does not.
      broken = !(error instanceof pg.DatabaseError) || error.severity === "FATAL";
      throw isConnectionTrouble(error) ? new Fault("database_unavailable", { cause: error }) : error;
    } finally {
      // Outside as well: it may open the next one, and sets the idle one's timer.
      outside(() => client.release(broken));
    }
  };

  return {
    run,
    transaction: (reason, work) =>
      run(reason, async (db) => {
        await db.query("BEGIN");
        try {
          const result = await work(db);
          await db.query("COMMIT");
          return result;
        } catch (error) {
          await db.query("ROLLBACK").catch(() => {});
          throw error;
        }
      }),
    async close() {
      await Promise.all([general.end(), watching.end()]);
    },
  };
}

function createPool(settings: ConnectionSettings, max: number): pg.Pool {
  const pool = new pg.Pool({ ...settings, max, idleTimeoutMillis: 30_000, allowExitOnIdle: false });
  // A broken idle connection is replaced by the pool; without a listener its error would end the process.
  pool.on("error", () => {});
  // Nor does the pool listen while a connection is in use: its statement rejects, and that is how it is told.
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

async function connect(pool: pg.Pool): Promise<pg.PoolClient> {
  try {
    return await pool.connect();
  } catch (cause) {
    throw new Fault("database_unavailable", { cause });
  }
}
