import type { TenantId } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";

/** As much of a caller as the registry looks at itself. */
export interface WorkingCaller {
  readonly snapshot: TenantSnapshot;
}

/** What one caller began and what is not over: a request from the moment its caller is known, or a stream. */
export interface Work {
  /** Why it must end; null as long as it may go on. */
  readonly ended: Refusal | null;
  /** Sets who is told, once, when it must end; at once where it already must. Replaces whoever was set before. */
  onEnd(listener: (why: Refusal) => void): void;
  /** It is over. */
  finish(): void;
  /** It is over when this settles, which never rejects, and not at {@link Work.finish}: for what outlives its request. */
  keepUntil(closed: Promise<unknown>): void;
}

/** Everything that callers have under way on this instance, so that it ends when their credentials do. */
export interface OpenWork<Caller extends WorkingCaller> {
  begin(caller: Caller): Work;
  /** Whether a tenant has anything under way. */
  has(tenantId: TenantId): boolean;
  /** The tenants that have. */
  tenants(): Iterable<TenantId>;
  /**
   * Ends, with `credentials_ended`, what no longer holds under a newer snapshot of its tenant.
   *
   * @param snapshot null: the tenant is gone, and all of its work ends.
   */
  check(
    tenantId: TenantId,
    snapshot: TenantSnapshot | null,
    stillHolds: (snapshot: TenantSnapshot, caller: Caller) => boolean,
  ): void;
  /** Ends all that is under way now. */
  endAll(why: Refusal): void;
}

const CREDENTIALS_ENDED = Object.freeze(refuse("credentials_ended"));

export function createOpenWork<Caller extends WorkingCaller>(): OpenWork<Caller> {
  // Only tenants with something under way have an entry, and each entry is bounded by the tenant's limits.
  const byTenant: Register<Caller> = new Map();
  return {
    begin: (caller) => new BegunWork(caller, byTenant),
    has: (tenantId) => byTenant.has(tenantId),
    tenants: () => byTenant.keys(),
    check(tenantId, snapshot, stillHolds) {
      for (const work of byTenant.get(tenantId) ?? []) {
        if (snapshot === null || !stillHolds(snapshot, work.caller)) work.end(CREDENTIALS_ENDED);
        else work.holdsUnder(snapshot);
      }
    },
    endAll(why) {
      for (const works of byTenant.values()) for (const work of works) work.end(why);
    },
  };
}

type Register<Caller extends WorkingCaller> = Map<TenantId, Set<BegunWork<Caller>>>;

/** An object with its own place in the register, since every request makes one: no closure, no look-up but its tenant's. */
class BegunWork<Caller extends WorkingCaller> implements Work {
  /** As it was last found to hold: a stream would keep the tenant's oldest configuration, and what was made of it. */
  caller: Caller;
  readonly #register: Register<Caller>;
  #ended: Refusal | null = null;
  #listener: ((why: Refusal) => void) | null = null;
  #kept = false;

  constructor(caller: Caller, register: Register<Caller>) {
    this.caller = caller;
    this.#register = register;
    const works = register.get(caller.snapshot.id);
    if (works === undefined) register.set(caller.snapshot.id, new Set([this]));
    else works.add(this);
  }

  get ended(): Refusal | null {
    return this.#ended;
  }

  onEnd(listener: (why: Refusal) => void): void {
    if (this.#ended === null) this.#listener = listener;
    else listener(this.#ended);
  }

  end(why: Refusal): void {
    if (this.#ended !== null) return;
    this.#ended = why;
    const listener = this.#listener;
    this.#listener = null;
    listener?.(why);
  }

  holdsUnder(snapshot: TenantSnapshot): void {
    if (this.caller.snapshot !== snapshot) this.caller = { ...this.caller, snapshot };
  }

  finish(): void {
    if (!this.#kept) this.#leave();
  }

  keepUntil(closed: Promise<unknown>): void {
    this.#kept = true;
    closed.finally(() => this.#leave());
  }

  #leave(): void {
    const { id } = this.caller.snapshot;
    const works = this.#register.get(id);
    this.#listener = null;
    // An emptied set is not in the register any more: nobody may take one out that came after it.
    if (works?.delete(this) === true && works.size === 0) this.#register.delete(id);
  }
}
