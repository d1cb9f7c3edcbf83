import pg from "pg";
import { Fault } from "../core/fault.ts";
import type { Row } from "../tenancy/tenant-context.ts";
import { sendCancelRequest } from "./cancel-request.ts";
import type { ConnectionSettings } from "./connection-settings.ts";
import { isConnectionTrouble } from "./connection-trouble.ts";
import type { BoundStatement } from "./sql-template.ts";
import type { TenantConnection } from "./tenant-connections.ts";

/** What a statement came to. `usable`: whether its connection is as it was. */
export type StatementOutcome =
  | { readonly rows: Row[] }
  | { readonly error: unknown; readonly usable: boolean };

/**
 * Largest answer of one statement, in bytes as the server sends them. The driver holds a whole result in memory, so
 * without a bound one `repeat('x', 600000000)` ends the process, and with it every tenant's calls.
 */
const MAX_ANSWER_BYTES = 32 * 1_048_576;
/** How long the server may take to say that a statement was cancelled, in milliseconds. */
const CANCEL_MS = 2_000;
/** How long after the statement's own limit the server's word is waited for: longer, and the way to it is gone. */
const SILENCE_MS = 5_000;

/** Runs one statement on a connection that has entered a tenant. Never rejects. */
export async function runStatement(
  on: {
    readonly connection: TenantConnection;
    readonly settings: ConnectionSettings;
    readonly statementTimeoutMs: number;
    readonly signal: AbortSignal | undefined;
  },
  statement: BoundStatement,
): Promise<StatementOutcome> {
  const { connection, settings, signal } = on;
  const { client, socket } = connection;
  if (signal?.aborted === true) return { error: signal.reason, usable: true };
  let cutOff: Fault | null = null;
  let cancelled = false;
  let received = 0;
  const cut = (why: Fault): void => {
    cutOff ??= why;
    socket.destroy();
  };
  const onData = (chunk: Buffer): void => {
    received += chunk.length;
    if (received > MAX_ANSWER_BYTES) {
      cut(new Fault("sql_failed", { detail: `The result is larger than ${MAX_ANSWER_BYTES} bytes.` }));
    }
  };
  const silent = (): void =>
    cut(new Fault("database_unavailable", { detail: "The database does not answer." }));
  let timer = on.statementTimeoutMs > 0 ? setTimeout(silent, on.statementTimeoutMs + SILENCE_MS) : undefined;
  const onAbort = (): void => {
    cancelled = true;
    sendCancelRequest(settings, client);
    clearTimeout(timer);
    timer = setTimeout(silent, CANCEL_MS);
  };
  socket.prependListener("data", onData);
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const rows = await send(client, statement);
    // Cancelled too late to matter; the cancel request may still hit the next statement, so the connection goes.
    return cancelled ? { error: signal?.reason, usable: false } : { rows };
  } catch (error) {
    if (cancelled) return { error: signal?.reason, usable: false };
    if (cutOff !== null) return { error: cutOff, usable: false };
    if (isConnectionTrouble(error))
      return { error: new Fault("database_unavailable", { cause: error }), usable: false };
    return { error: sqlFailed(error), usable: isHarmless(error) };
  } finally {
    clearTimeout(timer);
    socket.off("data", onData);
    signal?.removeEventListener("abort", onAbort);
  }
}

function send(client: pg.Client, statement: BoundStatement): Promise<Row[]> {
  return new Promise((resolve, reject) => {
    // "extended": PostgreSQL itself then refuses a text that holds more than one statement.
    const query = new pg.Query<Row, unknown[]>({
      text: statement.text,
      values: [...statement.values],
      queryMode: "extended",
    } as pg.QueryConfig<unknown[]>);
    const rows: Row[] = [];
    query.on("row", (row) => rows.push(row));
    query.on("error", reject);
    query.on("end", () => resolve(rows));
    client.query(query);
  });
}

/** An error of the statement, for the handler: the database's own text is in it, so it must not reach a caller. */
export function sqlFailed(error: unknown): Fault {
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
