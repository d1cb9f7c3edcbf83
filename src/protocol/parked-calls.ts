import type { InstanceId, TenantId } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { Continuation } from "../tenancy/living-call.ts";
import type { TenantContext } from "../tenancy/tenant-context.ts";
import type { ParkedCall } from "./parked-call.ts";

/** Whose a call is. */
export interface CallOwner {
  readonly tenantId: TenantId;
  readonly principal: string;
}

/** Makes a context for a request of a call that came to another instance. */
export type StandIn = (of: Continuation & { readonly end: () => void }) => TenantContext;

/** A call that is parked here. */
export interface HeldCall {
  readonly id: string;
  readonly owner: CallOwner;
  readonly call: ParkedCall;
  /** What of its request is kept for it, in bytes or thereabouts. */
  readonly weight: number;
  readonly standIn: StandIn;
}

/**
 * The calls that are parked on this instance: bounded in number and weight for each caller, each tenant and in all, and in
 * time.
 */
export interface ParkedCalls {
  /**
   * Keeps a call from now on, until it is taken. The refusal where there are too many: then it ended. Where the instance
   * is full, a call of the tenant that has the most ends instead, unless this one's tenant would have as many.
   */
  park(held: HeldCall): Refusal | null;
  /** Takes a call out, to serve a request of it. Null where this caller has none of this id, or a request has it already. */
  take(id: string, owner: CallOwner): HeldCall | null;
  newId(): string;
  isOurs(id: string): boolean;
  /** Ends all. */
  close(): void;
}

/** How long a client has for its answers, in milliseconds: as long as the state is good that names the call. */
const PARKED_MS = 15 * 60_000;
const OF_TENANT: Bound = { calls: 100, weight: 32 * 1_048_576 };
const IN_ALL: Bound = { calls: 1_000, weight: 256 * 1_048_576 };
/** What one caller may have of what its tenant may: no user takes the places of all the others. */
const SHARE_OF_CALLER = 0.5;

/** What may be parked. The weight is for requests: a hundred of 4 MB would be 400 MB that one tenant makes all pay. */
interface Bound {
  readonly calls: number;
  readonly weight: number;
}

export function createParkedCalls(options: {
  readonly instanceId: InstanceId;
  readonly random: (bytes: number) => Uint8Array;
  /** Defaults: a quarter of an hour, 100 calls of 32 MB, and 1,000 of 256 MB. */
  readonly bounds?: { readonly parkedMs?: number; readonly ofTenant?: Bound; readonly inAll?: Bound };
}): ParkedCalls {
  const { instanceId, random } = options;
  const { parkedMs = PARKED_MS, ofTenant = OF_TENANT, inAll = IN_ALL } = options.bounds ?? {};
  const parked = new Map<string, { readonly held: HeldCall; readonly timer: NodeJS.Timeout }>();
  const ofCaller = { calls: ofTenant.calls * SHARE_OF_CALLER, weight: ofTenant.weight * SHARE_OF_CALLER };
  /** What there is in all, of each tenant, and of each caller, by {@link holdersOf}. Without those that have none. */
  const loads = new Map<string, Bound>();
  const loadOf = (holder: string): Bound => loads.get(holder) ?? NOTHING;

  const count = (held: HeldCall, by: 1 | -1): void => {
    for (const holder of Object.values(holdersOf(held))) {
      const { calls, weight } = loadOf(holder);
      if (calls + by === 0) loads.delete(holder);
      else loads.set(holder, { calls: calls + by, weight: weight + by * held.weight });
    }
  };
  const remove = (id: string): HeldCall | null => {
    const found = parked.get(id);
    if (found === undefined) return null;
    clearTimeout(found.timer);
    parked.delete(id);
    count(found.held, -1);
    return found.held;
  };

  /** Of the tenant that has the most, and there of the caller, what frees the most: of several the oldest. */
  const dearest = (by: keyof Bound): HeldCall | null => {
    let found: { readonly held: HeldCall; readonly rank: readonly number[] } | null = null;
    for (const { held } of parked.values()) {
      const { tenant, caller } = holdersOf(held);
      const rank = [loadOf(tenant)[by], loadOf(caller)[by], sizeOf(held)[by]];
      if (found === null || isAbove(rank, found.rank)) found = { held, rank };
    }
    return found?.held ?? null;
  };

  /** Or else ten tenants could have all places, for as long as they like. False: none has more than this one would. */
  const makeRoom = (held: HeldCall): boolean => {
    for (;;) {
      const by = lacking(loadOf(ALL), inAll, held);
      if (by === null) return true;
      const victim = dearest(by);
      if (victim === null) return false;
      const wanted = loadOf(held.owner.tenantId)[by] + sizeOf(held)[by];
      // Nobody gives way to whom it could drive out in turn.
      if (loadOf(victim.owner.tenantId)[by] <= wanted) return false;
      remove(victim.id)?.call.end();
    }
  };

  return {
    park(held) {
      const { tenant, caller } = holdersOf(held);
      const isOver =
        lacking(loadOf(caller), ofCaller, held) !== null || lacking(loadOf(tenant), ofTenant, held) !== null;
      if (isOver || !makeRoom(held)) {
        held.call.end();
        return tooManyParked();
      }
      const timer = setTimeout(() => remove(held.id)?.call.end(), parkedMs).unref();
      parked.set(held.id, { held, timer });
      count(held, 1);
      return null;
    },
    take(id, owner) {
      const found = parked.get(id)?.held.owner;
      // The state that names it was sealed for its owner; this is for a key that has come to be known.
      if (found?.tenantId !== owner.tenantId || found.principal !== owner.principal) return null;
      return remove(id);
    },
    newId: () => `${instanceId}.${Buffer.from(random(16)).toString("base64url")}`,
    isOurs: (id) => id.startsWith(`${instanceId}.`),
    close() {
      for (const id of [...parked.keys()]) remove(id)?.call.end();
    },
  };
}

const NOTHING: Bound = Object.freeze({ calls: 0, weight: 0 });

const ALL = "";

/** Whom a call counts for. Ids of tenants have no space, so that no caller is called as a tenant is. */
function holdersOf({ owner: { tenantId, principal } }: HeldCall) {
  return { all: ALL, tenant: tenantId, caller: `${tenantId} ${principal}` };
}

function sizeOf({ weight }: HeldCall): Bound {
  return { calls: 1, weight };
}

/** What there is too little of for one more; null: nothing. */
function lacking(load: Bound, bound: Bound, { weight }: HeldCall): keyof Bound | null {
  if (load.calls + 1 > bound.calls) return "calls";
  return load.weight + weight > bound.weight ? "weight" : null;
}

function isAbove(one: readonly number[], other: readonly number[]): boolean {
  const at = one.findIndex((value, index) => value !== other[index]);
  return at >= 0 && Number(one[at]) > Number(other[at]);
}

/** On whichever instance a call was to be parked. */
export function tooManyParked(): Refusal {
  return refuse("rate_limited", { retryAfterMs: 10_000, data: { limit: "parkedCalls" } });
}
