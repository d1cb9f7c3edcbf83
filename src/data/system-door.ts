import pg from "pg";
import { Fault } from "../core/fault.ts";
import type { ConnectionSettings } from "./connection-settings.ts";

/**
 * Why the system door is used: the whole list. A new reason is a decision for review, and test/data/system-door.test.ts
 * lists the files that may name one.
 */
export type SystemReason =
  | "read configuration"
  | "change configuration"
  | "issue a tenant claim"
  | "write audit rows"
  | "close orphaned intents"
  | "keep the instance alive"
  | "erase a tenant"
  | "check isolation"
  | "remove what has expired"
  | "set up development";

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

export function createSystemDoor(
  settings: ConnectionSettings,
  options: { readonly connections: number },
): SystemDoor {
  const pool = new pg.Pool({
    ...settings,
    max: options.connections,
    idleTimeoutMillis: 30_000,
    allowExitOnIdle: false,
  });
  // A broken idle connection is replaced by the pool; without a listener its error would end the process.
  pool.on("error", () => {});

  const run = async <R>(_reason: SystemReason, work: (db: SystemConnection) => Promise<R>): Promise<R> => {
    const client = await connect(pool);
    let broken = false;
    try {
      return await work({ query: (text, values) => client.query(text, values as unknown[] | undefined) });
    } catch (error) {
      // A server error leaves the connection usable; anything else (cut, timed out) does not.
      broken = !(error instanceof pg.DatabaseError) || error.severity === "FATAL";
      throw isConnectionTrouble(error) ? new Fault("database_unavailable", { cause: error }) : error;
    } finally {
      client.release(broken);
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
          await db.query("ROLLBACK");
          throw error;
        }
      }),
    close: () => pool.end(),
  };
}

async function connect(pool: pg.Pool): Promise<pg.PoolClient> {
  try {
    return await pool.connect();
  } catch (cause) {
    throw new Fault("database_unavailable", { cause });
  }
}

/**
 * True for errors that say nothing about the statement but that the server or the way to it is gone: Node's socket
 * errors, and SQLSTATE classes 08 (connection), 57P (shutdown) and 53300 (too many connections).
 */
export function isConnectionTrouble(error: unknown): boolean {
  if (typeof error !== "object" || error === null) return false;
  const code = (error as { code?: unknown }).code;
  if (typeof code === "string") return /^(08...|57P..|53300|ECONN\w+|EPIPE|ENOENT|ETIMEDOUT)$/.test(code);
  return (
    error instanceof Error && /connection terminated|not queryable|connection error/i.test(error.message)
  );
}
