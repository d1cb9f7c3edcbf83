import type { InstanceId, TenantId } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { TenantContext } from "../tenancy/tenant-context.ts";
import type { ParkedCall } from "./parked-call.ts";

/** Whose a call is. */
export interface CallOwner {
  readonly tenantId: TenantId;
  readonly principal: string;
}

/** Makes a context for a request of a call that came to another instance. */
export type StandIn = (of: { readonly signal: AbortSignal; readonly end: () => void }) => TenantContext;

/** A call that is parked here. */
export interface HeldCall {
  readonly id: string;
  readonly owner: CallOwner;
  readonly call: ParkedCall;
  readonly standIn: StandIn;
}

/** The calls that are parked on this instance: bounded in number for each tenant and in all, and in time. */
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
const MAX_OF_TENANT = 100;
const MAX = 1_000;

export function createParkedCalls(options: {
  readonly instanceId: InstanceId;
  readonly random: (bytes: number) => Uint8Array;
  /** Defaults: a quarter of an hour, 100 and 1,000. */
  readonly bounds?: { readonly parkedMs?: number; readonly ofTenant?: number; readonly inAll?: number };
}): ParkedCalls {
  const { instanceId, random } = options;
  const { parkedMs = PARKED_MS, ofTenant = MAX_OF_TENANT, inAll = MAX } = options.bounds ?? {};
  const parked = new Map<string, { readonly held: HeldCall; readonly timer: NodeJS.Timeout }>();
  const counts = new Map<TenantId, number>();

  const count = (tenantId: TenantId, by: 1 | -1): void => {
    const now = (counts.get(tenantId) ?? 0) + by;
    if (now === 0) counts.delete(tenantId);
    else counts.set(tenantId, now);
  };
  const remove = (id: string): HeldCall | null => {
    const found = parked.get(id);
    if (found === undefined) return null;
    clearTimeout(found.timer);
    parked.delete(id);
    count(found.held.owner.tenantId, -1);
    return found.held;
  };

  return {
    park(held) {
      const { tenantId } = held.owner;
      if (parked.size >= inAll || (counts.get(tenantId) ?? 0) >= ofTenant) {
        held.call.end();
        return refuse("rate_limited", { retryAfterMs: 10_000, data: { limit: "parkedCalls" } });
      }
      const timer = setTimeout(() => remove(held.id)?.call.end(), parkedMs).unref();
      parked.set(held.id, { held, timer });
      count(tenantId, 1);
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
