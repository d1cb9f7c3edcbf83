import pg from "pg";
import { Fault } from "../core/fault.ts";
import type { Row, TenantSql } from "../tenancy/tenant-context.ts";
import type { ConnectionSettings } from "./connection-settings.ts";
import { isConnectionTrouble } from "./connection-trouble.ts";
import { runStatement, sqlFailed } from "./run-statement.ts";
import { type BoundStatement, createSqlTemplate } from "./sql-template.ts";
import { checkStatement } from "./statement-rules.ts";
import type { EntryMode, TenantConnections } from "./tenant-connections.ts";

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
  return {
    open(mode, signal) {
      const { statementTimeoutMs } = mode;

      const run = async (statement: BoundStatement): Promise<Row[]> => {
        mustBeAllowed(statement);
        const connection = await connections.acquire(mode, signal);
        const outcome = await runStatement({ connection, settings, statementTimeoutMs, signal }, statement);
        connection.release("error" in outcome && !outcome.usable);
        if ("error" in outcome) throw outcome.error;
        return outcome.rows;
      };

      const transaction = async <R>(work: (sql: TenantSql) => Promise<R>): Promise<R> => {
        const connection = await connections.acquire(mode, signal);
        let usable = true;
        let over = false;
        // Statements of one transaction run one after another even where the work starts several at once.
        let last: Promise<unknown> = Promise.resolve();
        const runInside = (statement: BoundStatement): Promise<Row[]> => {
          const next = last.then(async () => {
            mustBeAllowed(statement);
            if (over) throw new Fault("sql_refused", { detail: "The transaction is over." });
            const outcome = await runStatement(
              { connection, settings, statementTimeoutMs, signal },
              statement,
            );
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
          const { command } = await connection.client.query("COMMIT");
          // COMMIT of a transaction in which a statement failed rolls it back, and says so only in this word.
          if (command !== "COMMIT") {
            throw new Fault("sql_failed", {
              detail: "A statement of the transaction had failed, so nothing of it was kept.",
            });
          }
          connection.release(!usable);
          return result;
        } catch (error) {
          await last;
          over = true;
          // ROLLBACK gives back what the transaction holds; where even that fails, ending the connection does.
          const rolledBack =
            usable &&
            (await connection.client.query("ROLLBACK").then(
              () => true,
              () => false,
            ));
          connection.release(!rolledBack);
          if (isConnectionTrouble(error)) throw new Fault("database_unavailable", { cause: error });
          throw error instanceof pg.DatabaseError ? sqlFailed(error) : error;
        }
      };

      return createSqlTemplate(run, transaction);
    },
    close: () => connections.close(),
  };
}

function mustBeAllowed(statement: BoundStatement): void {
  const refusal = checkStatement(statement.text);
  if (refusal === null) return;
  throw new Fault("sql_refused", refusal.detail === undefined ? {} : { detail: refusal.detail });
}
