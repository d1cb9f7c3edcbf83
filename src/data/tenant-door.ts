import pg from "pg";
import { Fault } from "../core/fault.ts";
import type { Row, TenantSql } from "../tenancy/tenant-context.ts";
import { sendCancelRequest } from "./cancel-request.ts";
import type { ConnectionSettings } from "./connection-settings.ts";
import { type BoundStatement, createSqlTemplate } from "./sql-template.ts";
import { checkStatement } from "./statement-rules.ts";
import { isConnectionTrouble } from "./system-door.ts";
import type { EntryMode, TenantConnection, TenantConnections } from "./tenant-connections.ts";

/** The only way to the database for tools and for anything that acts for a tenant. */
export interface TenantDoor {
  /** SQL that acts as one tenant, until `signal` aborts. */
  open(mode: EntryMode, signal?: AbortSignal): TenantSql;
  close(): Promise<void>;
}

export function createTenantDoor(options: {
  readonly connections: TenantConnections;
  /** For cancel requests, which PostgreSQL takes on a connection of their own. */
  readonly settings: ConnectionSettings;
}): TenantDoor {
  const { connections, settings } = options;

  /** Runs one statement on a connection that has entered. Says whether the connection may be used again. */
  const runOn = async (
    connection: TenantConnection,
    statement: BoundStatement,
    signal: AbortSignal | undefined,
  ): Promise<{ rows: Row[] } | { error: unknown; usable: boolean }> => {
    const { client } = connection;
    let cancelled = false;
    const result = new Promise<Row[]>((resolve, reject) => {
      // "extended": PostgreSQL itself then refuses a text that holds more than one statement.
      const query = new pg.Query<Row, unknown[]>({
        text: statement.text,
        values: [...statement.values],
        queryMode: "extended",
      } as pg.QueryConfig<unknown[]>);
      const onAbort = (): void => {
        cancelled = true;
        sendCancelRequest(settings, client);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      const rows: Row[] = [];
      query.on("row", (row) => rows.push(row));
      query.on("error", (error) => {
        signal?.removeEventListener("abort", onAbort);
        reject(error);
      });
      query.on("end", () => {
        signal?.removeEventListener("abort", onAbort);
        resolve(rows);
      });
      client.query(query);
    });
    try {
      const rows = await result;
      // Cancelled too late to matter; the cancel request may still hit the next statement, so the connection goes.
      return cancelled ? { error: signal?.reason, usable: false } : { rows };
    } catch (error) {
      if (cancelled) return { error: signal?.reason, usable: false };
      if (isConnectionTrouble(error))
        return { error: new Fault("database_unavailable", { cause: error }), usable: false };
      return { error: sqlFailed(error), usable: isHarmless(error) };
    }
  };

  return {
    open(mode, signal) {
      const run = async (statement: BoundStatement): Promise<Row[]> => {
        const refusal = checkStatement(statement.text);
        if (refusal !== null)
          throw new Fault("sql_refused", refusal.detail === undefined ? {} : { detail: refusal.detail });
        const connection = await connections.acquire(mode, signal);
        const outcome = await runOn(connection, statement, signal);
        if ("rows" in outcome) {
          connection.release(false);
          return outcome.rows;
        }
        connection.release(!outcome.usable);
        throw outcome.error;
      };

      const transaction = async <R>(work: (sql: TenantSql) => Promise<R>): Promise<R> => {
        const connection = await connections.acquire(mode, signal);
        let usable = true;
        let over = false;
        // Statements of one transaction run one after another even where the work starts several at once.
        let last: Promise<unknown> = Promise.resolve();
        const runInside = (statement: BoundStatement): Promise<Row[]> => {
          const refusal = checkStatement(statement.text);
          if (refusal !== null)
            return Promise.reject(
              new Fault("sql_refused", refusal.detail === undefined ? {} : { detail: refusal.detail }),
            );
          const next = last.then(async () => {
            if (over) throw new Fault("sql_refused", { detail: "The transaction is over." });
            const outcome = await runOn(connection, statement, signal);
            if ("rows" in outcome) return outcome.rows;
            usable &&= outcome.usable;
            throw outcome.error;
          });
          last = next.catch(() => {});
          return next;
        };
        const nested = (): Promise<never> =>
          Promise.reject(new Fault("sql_refused", { detail: "A transaction cannot begin inside another." }));
        try {
          await connection.client.query("BEGIN");
          const result = await work(createSqlTemplate(runInside, nested));
          await last;
          over = true;
          signal?.throwIfAborted();
          await connection.client.query("COMMIT");
          connection.release(!usable);
          return result;
        } catch (error) {
          await last;
          over = true;
          // ROLLBACK gives back what the transaction holds; where even that fails, ending the connection does.
          const rolledBack = await connection.client.query("ROLLBACK").then(
            () => true,
            () => false,
          );
          connection.release(!usable || !rolledBack);
          throw error instanceof pg.DatabaseError ? sqlFailed(error) : error;
        }
      };

      return createSqlTemplate(run, transaction);
    },
    close: () => connections.close(),
  };
}

/** An error of the statement, for the handler: the database's own text is in it, so it must not reach a caller. */
function sqlFailed(error: unknown): Fault {
  const detail =
    error instanceof pg.DatabaseError ? `${error.code ?? ""} ${error.message}`.trim() : String(error);
  return new Fault("sql_failed", { detail, cause: error });
}

/**
 * Errors after which a connection is as it was: data (22), constraints (23), syntax and rights (42), no data (21, 20),
 * raised by user code (P0), read-only (25006), serialisation and deadlock (40). Anything else leaves doubt.
 */
function isHarmless(error: unknown): boolean {
  return (
    error instanceof pg.DatabaseError &&
    error.severity === "ERROR" &&
    /^(2[0-3]|42|P0|40|25006|25P02)/.test(error.code ?? "")
  );
}
