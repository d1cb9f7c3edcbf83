import { AsyncLocalStorage } from "node:async_hooks";
import { Fault } from "../core/fault.ts";
import type { OperationId, Slug, TenantId } from "../core/ids.ts";
import type { SchemaLike, Validated } from "../core/schema.ts";
import type {
  Change,
  Client,
  ElicitAnswer,
  ElicitRequest,
  MessageLevel,
  Progress,
  Root,
  SampleAnswer,
  SampleRequest,
  TraceContext,
} from "./client.ts";
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

/** Writes log lines of the operator's, which carry the tenant and the operation. The client sees none of them. */
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
  /** Aborted when the caller goes away or cancels, the time limit passes or the server stops. */
  readonly signal: AbortSignal;
  /** The program that calls, and what it can be asked. */
  readonly client: Client;
  /** Where the call belongs in a distributed trace; null where the client sent nothing, or nothing valid. */
  readonly trace: TraceContext | null;
  /** Tells the client how far the call is, where it asked to be told. */
  readonly progress: (progress: Progress) => void;
  /** Sends the client a message of its log, where it asked for messages of that level. Not for the operator's eyes only. */
  readonly message: (level: MessageLevel, data: unknown, logger?: string) => void;
  /**
   * Asks the user. On 2026-07-28 the run ends here, and the handler is run again from the top when the answer is there:
   * then this gives it at once. What must happen only once stands in {@link TenantContext.step}. On earlier revisions, and
   * in their sessions, this waits for the answer. Several may be asked at once, with `Promise.all`.
   *
   * @param key names the question within the call: 1 to 64 characters of A-Z, a-z, 0-9, `_`, `-`, `.`.
   * @throws Refusal-like end of the call `client_capability_missing` where the client cannot ask its user.
   */
  readonly elicit: <S extends SchemaLike>(
    key: string,
    request: ElicitRequest<S>,
  ) => Promise<ElicitAnswer<Validated<S>>>;
  /** Lets the client's model answer. As {@link TenantContext.elicit}. */
  readonly sample: (key: string, request: SampleRequest) => Promise<SampleAnswer>;
  /** The client's roots. As {@link TenantContext.elicit}. */
  readonly roots: (key: string) => Promise<readonly Root[]>;
  /**
   * Runs something once in a call, however often its handler is run from the top, and remembers what it gave: JSON of at
   * most 64 KB. The memory goes to the client and comes back, sealed.
   *
   * @param key as for {@link TenantContext.elicit}; names of steps and of questions are apart.
   */
  readonly step: <T>(key: string, run: () => T | Promise<T>) => Promise<T>;
  /**
   * Tells everybody of this tenant who asked to be told that something has changed, on every instance. The first change of
   * a while is told at once; what follows within 50 ms is told together after them, the same change once. Of a tenant 20
   * different changes are told in 50 ms, and at most 1,000 wait for that: what is beyond is lost.
   *
   * @example
   * ctx.changed({ resource: `tickets://${id}` });
   * @throws TypeError for what is no change.
   */
  readonly changed: (change: Change) => void;
  /**
   * Ends the stream of this call while the handler goes on; the client comes back for the answer (2025-11-25, "Sending
   * Messages to the Server"). Does nothing where the client cannot come back.
   */
  readonly detach: (options?: { readonly retryMs?: number }) => void;
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
