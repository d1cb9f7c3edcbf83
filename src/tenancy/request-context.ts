import type { EventSink } from "../core/event.ts";
import type { OperationId } from "../core/ids.ts";
import type { Change, Client, TraceContext } from "./client.ts";
import type { BeginLiving, ContinuableContext, Continuation, LivingLink } from "./living-call.ts";
import type { Principal } from "./principal.ts";
import type { Tenant, TenantContext, TenantLog, TenantSql, TenantStore } from "./tenant-context.ts";
import type { TenantSnapshot } from "./tenant-snapshot.ts";

/** What a handler's `ctx.audit` may add. */
export type AuditNotes = Readonly<Record<string, string | number | boolean | null>>;

/** What a context needs besides who and where: opened only when the handler asks for it. */
export interface ContextPorts {
  readonly openSql: (signal: AbortSignal) => TenantSql;
  readonly openStore: (sql: TenantSql) => TenantStore;
  readonly emit: EventSink;
  readonly now: () => number;
  /** Tells those of the tenant who listen. */
  readonly announce: (change: Change) => void;
}

const MAX_NOTES = 20;
/** Characters of a note's name and of its text. */
const MAX_NOTE = 200;
/** Longest text of a handler's log line. */
const MAX_MESSAGE = 8_192;

/** The context of one operation of one caller. Made for it, and never used for another. */
export class RequestContext implements ContinuableContext {
  readonly operationId: OperationId;
  readonly #snapshot: TenantSnapshot;
  readonly #caller: Principal;
  // Made when they are first asked for: most handlers ask for neither.
  #tenant: Tenant | null = null;
  #principal: Principal | null = null;
  readonly #signal: () => AbortSignal;
  readonly #link: LivingLink;
  readonly #ports: ContextPorts;
  #sql: TenantSql | undefined;
  #store: TenantStore | undefined;
  #notes: Map<string, AuditNotes[string]> | null = null;

  constructor(of: {
    readonly snapshot: TenantSnapshot;
    readonly principal: Principal;
    readonly operationId: OperationId;
    /** Made when it is first asked for: most handlers never do. */
    readonly signal: () => AbortSignal;
    readonly link: LivingLink;
    readonly ports: ContextPorts;
  }) {
    this.#snapshot = of.snapshot;
    this.#caller = of.principal;
    this.operationId = of.operationId;
    this.#signal = of.signal;
    this.#link = of.link;
    this.#ports = of.ports;
    Object.freeze(this);
  }

  get tenant(): Tenant {
    if (this.#tenant === null) {
      // A snapshot has all that a tenant shows a handler, and more that it need not know: hence its own object.
      const { id, slug, name, plan, limits, settings } = this.#snapshot;
      this.#tenant = Object.freeze({ id, slug, name, plan, limits, settings });
    }
    return this.#tenant;
  }

  get principal(): Principal {
    // The set is a copy: the principal's own is remembered with the token, for its next requests.
    this.#principal ??= Object.freeze({
      ...this.#caller,
      permissions: new Set(this.#caller.permissions),
    });
    return this.#principal;
  }

  get signal(): AbortSignal {
    return this.#signal();
  }

  get client(): Client {
    return this.#link.client;
  }

  get trace(): TraceContext | null {
    return this.#link.trace;
  }

  // Functions of their own, and not methods: handlers take contexts apart.
  get progress(): TenantContext["progress"] {
    return (progress) => this.#link.progress(progress);
  }

  get message(): TenantContext["message"] {
    return (level, data, logger) => this.#link.message(level, data, logger);
  }

  get elicit(): TenantContext["elicit"] {
    return (key, request) => this.#link.elicit(key, request);
  }

  get sample(): TenantContext["sample"] {
    return (key, request) => this.#link.sample(key, request);
  }

  get roots(): TenantContext["roots"] {
    return (key) => this.#link.roots(key);
  }

  get step(): TenantContext["step"] {
    return (key, run) => this.#link.step(key, run);
  }

  get changed(): TenantContext["changed"] {
    return (change) => this.#ports.announce(change);
  }

  get detach(): TenantContext["detach"] {
    return (options) => this.#link.detach(options?.retryMs);
  }

  get sql(): TenantSql {
    this.#sql ??= this.#ports.openSql(this.#signal());
    return this.#sql;
  }

  get store(): TenantStore {
    this.#store ??= this.#ports.openStore(this.sql);
    return this.#store;
  }

  get log(): TenantLog {
    const write =
      (level: "debug" | "info" | "warn" | "error") =>
      (message: string, fields: Readonly<Record<string, unknown>> | null = null): void =>
        this.#ports.emit({
          type: "tool_log",
          at: this.#ports.now(),
          tenantId: this.tenant.id,
          operationId: this.operationId,
          level,
          message: String(message).slice(0, MAX_MESSAGE),
          fields,
        });
    return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
  }

  /** Runs a handler that cannot be run from the top again. See {@link LivingLink.live}. */
  live(begin: BeginLiving): Promise<unknown> {
    return this.#link.live(this, begin);
  }

  continued({
    signal,
    snapshot,
    rights,
    link,
  }: Continuation & { readonly link: LivingLink }): RequestContext {
    if (snapshot.id !== this.tenant.id) throw new TypeError("A call goes on in its own tenant.");
    return new RequestContext({
      snapshot,
      principal: { ...this.principal, ...rights },
      operationId: this.operationId,
      signal: () => signal,
      link,
      ports: this.#ports,
    });
  }

  readonly audit = (notes: AuditNotes): void => {
    this.#notes ??= new Map();
    for (const [key, value] of Object.entries(notes)) {
      const name = storableText(key);
      if (this.#notes.size < MAX_NOTES || this.#notes.has(name)) this.#notes.set(name, storableNote(value));
    }
  };

  /** What the handler noted for the audit outcome. */
  notes(): AuditNotes | null {
    return this.#notes === null ? null : Object.fromEntries(this.#notes);
  }
}

/** A note as the audit trail can hold it, whatever a handler without types gave: one that it cannot would hold up all rows. */
function storableNote(value: unknown): AuditNotes[string] {
  switch (typeof value) {
    case "string":
      return storableText(value);
    case "number":
    case "boolean":
      return value;
    case "bigint":
      return storableText(String(value));
    default:
      return null;
  }
}

/** PostgreSQL's jsonb takes neither NUL nor half a surrogate pair, which cutting a text can leave. */
function storableText(text: string): string {
  return text.slice(0, MAX_NOTE).toWellFormed().replaceAll("\0", "\uFFFD");
}
