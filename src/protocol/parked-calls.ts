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

/** The calls that are parked on this instance: bounded in number and weight for each tenant and in all, and in time. */
export interface ParkedCalls {
  /** Keeps a call from now on, until it is taken. The refusal where there are too many: then it ended. */
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
  const loads = new Map<TenantId, Bound>();
  let whole = NOTHING;

  const count = ({ owner: { tenantId }, weight }: HeldCall, by: 1 | -1): void => {
    const plus = (load: Bound): Bound => ({ calls: load.calls + by, weight: load.weight + by * weight });
    whole = plus(whole);
    const now = plus(loads.get(tenantId) ?? NOTHING);
    if (now.calls === 0) loads.delete(tenantId);
    else loads.set(tenantId, now);
  };
  const remove = (id: string): HeldCall | null => {
    const found = parked.get(id);
    if (found === undefined) return null;
    clearTimeout(found.timer);
    parked.delete(id);
    count(found.held, -1);
    return found.held;
  };

  return {
    park(held) {
      const own = loads.get(held.owner.tenantId) ?? NOTHING;
      if (isFull(whole, inAll, held) || isFull(own, ofTenant, held)) {
        held.call.end();
        return refuse("rate_limited", { retryAfterMs: 10_000, data: { limit: "parkedCalls" } });
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

function isFull(load: Bound, bound: Bound, { weight }: HeldCall): boolean {
  return load.calls >= bound.calls || load.weight + weight > bound.weight;
}
