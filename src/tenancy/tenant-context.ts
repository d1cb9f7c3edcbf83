import { AsyncLocalStorage } from "node:async_hooks";
import { Fault } from "../core/fault.ts";
import type { OperationId, Slug, TenantId } from "../core/ids.ts";
import type { Limits } from "./limits.ts";
import type { Principal } from "./principal.ts";

/** What a handler may know about its tenant. */
export interface Tenant {
  readonly id: TenantId;
  readonly slug: Slug;
  readonly name: string;
  readonly plan: string;
  readonly limits: Limits;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** A row as PostgreSQL gave it, keyed by column name. */
export type Row = Record<string, unknown>;

/** A value that can be bound to a parameter. Objects and arrays are sent as JSON by `sql.json`. */
export type SqlValue =
  | string
  | number
  | bigint
  | boolean
  | Date
  | Uint8Array
  | null
  | readonly (string | number | boolean | null)[]
  | SqlJson;

/** JSON bound as one parameter, made by `sql.json`. */
export interface SqlJson {
  readonly kind: "json";
  readonly text: string;
}

/** A statement that runs when it is awaited, or becomes a part of the statement it is placed into. */
export interface SqlStatement<T extends Row = Row> extends PromiseLike<T[]> {
  readonly kind: "sql";
}

/**
 * The tenant door: one statement at a time, as a role that row-level security binds, on a connection that has entered
 * this tenant. Placed values become parameters.
 *
 * @example
 * const rows = await ctx.sql<{ subject: string }>`SELECT subject FROM tickets WHERE status = ${status}`;
 * @throws Fault `sql_refused` for a statement a tenant's SQL may not be; `sql_failed` with the database's error as cause;
 *   `database_unavailable`.
 */
export interface TenantSql {
  <T extends Row = Row>(
    strings: TemplateStringsArray,
    ...values: (SqlValue | SqlStatement)[]
  ): SqlStatement<T>;
  /** Runs a text that was put together elsewhere. It may be no more than any other statement here. */
  unsafe<T extends Row = Row>(text: string, values?: readonly SqlValue[]): SqlStatement<T>;
  /** Binds a value as JSON. */
  json(value: unknown): SqlJson;
  /** Runs `work` in one transaction on one connection: commits when it resolves, rolls back when it rejects. */
  transaction<R>(work: (sql: TenantSql) => Promise<R>): Promise<R>;
}

/** The tenant's own key-value store. Keys: 1 to 512 characters. Values: JSON of at most 1 MB. */
export interface TenantStore {
  get<T = unknown>(key: string): Promise<T | undefined>;
  put(key: string, value: unknown): Promise<void>;
  /** True where there was such a key. */
  delete(key: string): Promise<boolean>;
  /** Keys that begin with `prefix`, in byte order, at most `limit` (default 100, at most 1,000), after `after`. */
  list(prefix?: string, options?: { limit?: number; after?: string }): Promise<string[]>;
}

/** Writes log lines that carry the tenant and the operation. */
export interface TenantLog {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Everything a handler acts with: one per operation, immutable, of one tenant and one caller. */
export interface TenantContext {
  readonly tenant: Tenant;
  readonly principal: Principal;
  /** The id of this operation in answers, logs and audit rows. */
  readonly operationId: OperationId;
  readonly sql: TenantSql;
  readonly store: TenantStore;
  readonly log: TenantLog;
  /** Adds facts to this operation's audit outcome, for example the id of what was changed. At most 20, of 200 characters. */
  readonly audit: (notes: Readonly<Record<string, string | number | boolean | null>>) => void;
  /** Aborted when the caller goes away, the time limit passes or the server stops. */
  readonly signal: AbortSignal;
}

/** The one piece of state that async context needs; it holds nothing outside `runInTenant`. */
const storage = new AsyncLocalStorage<TenantContext>();

/** Runs `work` with `context` as the tenant context of everything below it. */
export function runInTenant<R>(context: TenantContext, work: () => R): R {
  return storage.run(context, work);
}

/**
 * The context of the operation that this code runs for.
 * @throws Fault `context_missing` outside a request: code without a tenant is refused, not defaulted.
 */
export function currentTenant(): TenantContext {
  const context = storage.getStore();
  if (context === undefined) throw new Fault("context_missing");
  return context;
}
