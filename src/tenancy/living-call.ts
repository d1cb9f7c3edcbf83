import type { OperationId } from "../core/ids.ts";
import type { Client, ClientLink, TraceContext } from "./client.ts";
import type { Principal, Rights } from "./principal.ts";
import type { Tenant, TenantContext, TenantLog, TenantSql, TenantStore } from "./tenant-context.ts";
import type { TenantSnapshot } from "./tenant-snapshot.ts";

/**
 * A call whose handler cannot be run from the top again: it lives on while its client is asked, and serves one request
 * after the other until it ends.
 */
export interface LivingCall {
  /**
   * The context of the request that waits for the handler now.
   * @throws Fault `context_missing` while none does.
   */
  current(): TenantContext;
  /** Aborted when nobody will wait for the handler again. */
  readonly signal: AbortSignal;
}

/** Begins the handler. What it comes to is JSON: it may have to be told to another instance. */
export type BeginLiving = (call: LivingCall) => Promise<unknown>;

/** What a later request of a call has of its own: its signal, the tenant as it is now, and what its credential gives. */
export interface Continuation {
  readonly signal: AbortSignal;
  readonly snapshot: TenantSnapshot;
  readonly rights: Rights;
}

/** A context of which another can be made, for the same call and its next request. */
export interface ContinuableContext extends TenantContext {
  continued(of: Continuation & { readonly link: LivingLink }): TenantContext;
}

/** A link whose client can be asked by a handler that lives on. */
export interface LivingLink extends ClientLink {
  /** What the handler came to. Rejects where the request ends before it, with a question for the client. */
  live(ctx: ContinuableContext, begin: BeginLiving): Promise<unknown>;
}

/** What a handler that lives on acts with: always the context of the request that waits for it now. */
export class LivingContext implements TenantContext {
  readonly #call: LivingCall;

  constructor(call: LivingCall) {
    this.#call = call;
  }

  get tenant(): Tenant {
    return this.#call.current().tenant;
  }

  get principal(): Principal {
    return this.#call.current().principal;
  }

  get operationId(): OperationId {
    return this.#call.current().operationId;
  }

  get sql(): TenantSql {
    return this.#call.current().sql;
  }

  get store(): TenantStore {
    return this.#call.current().store;
  }

  get log(): TenantLog {
    return this.#call.current().log;
  }

  get audit(): TenantContext["audit"] {
    return this.#call.current().audit;
  }

  /** Of the whole call: a request may end with a question, and the handler goes on with the next. */
  get signal(): AbortSignal {
    return this.#call.signal;
  }

  get client(): Client {
    return this.#call.current().client;
  }

  get trace(): TraceContext | null {
    return this.#call.current().trace;
  }

  get progress(): TenantContext["progress"] {
    return this.#call.current().progress;
  }

  get message(): TenantContext["message"] {
    return this.#call.current().message;
  }

  get elicit(): TenantContext["elicit"] {
    return this.#call.current().elicit;
  }

  get sample(): TenantContext["sample"] {
    return this.#call.current().sample;
  }

  get roots(): TenantContext["roots"] {
    return this.#call.current().roots;
  }

  get step(): TenantContext["step"] {
    return this.#call.current().step;
  }

  get changed(): TenantContext["changed"] {
    return this.#call.current().changed;
  }

  get detach(): TenantContext["detach"] {
    return this.#call.current().detach;
  }
}
