import { AsyncLocalStorage } from "node:async_hooks";
import { Socket } from "node:net";
import pg from "pg";
import type { Clock } from "../core/clock.ts";
import { Fault } from "../core/fault.ts";
import type { TenantId } from "../core/ids.ts";
import type { ConnectionSettings } from "./connection-settings.ts";
import type { TenantClaims } from "./tenant-claims.ts";

/** How a tenant's statements run: part of what a connection has entered with. */
export interface EntryMode {
  readonly tenantId: TenantId;
  readonly readOnly: boolean;
  /** `statement_timeout` in milliseconds, an integer; 0: none. */
  readonly statementTimeoutMs: number;
}

/** A connection that has entered a tenant, lent to one user at a time. */
export interface TenantConnection {
  readonly client: pg.Client;
  /** What comes from the server, before the driver reads it: to bound it, and to cut it off. */
  readonly socket: Socket;
  /** Gives it back. `destroy`: where there is any doubt about its state. */
  release(destroy: boolean): void;
}

export interface TenantConnections {
  /** @throws Fault `database_unavailable` when none becomes free in time; the signal's reason when it aborts. */
  acquire(mode: EntryMode, signal?: AbortSignal): Promise<TenantConnection>;
  close(): Promise<void>;
}

/**
 * Takes from a connection all that its last tenant may have left on it, as DISCARD ALL does but for the plan cache.
 * One message in the simple protocol: one round trip, and all or nothing.
 */
const CLEAN_CONNECTION = [
  "SET SESSION AUTHORIZATION DEFAULT",
  "RESET ALL",
  "DEALLOCATE ALL",
  "CLOSE ALL",
  "UNLISTEN *",
  "SELECT pg_catalog.pg_advisory_unlock_all()",
  "DISCARD TEMP",
  "DISCARD SEQUENCES",
].join("; ");

interface Slot {
  readonly client: pg.Client;
  readonly socket: Socket;
  entered: { readonly mode: EntryMode; readonly claim: string; readonly useUntil: number } | null;
  dead: boolean;
}

interface Waiter {
  readonly tenantId: TenantId;
  /** False when the waiter has gone meanwhile: the slot is then still the giver's. */
  resolve(slot: Slot): boolean;
  reject(error: unknown): void;
}

/**
 * The bounded set of connections behind the tenant door. A connection stays entered for the tenant it last served, so
 * that the next statement of that tenant costs one round trip; before another tenant it is cleaned. One tenant may hold
 * half of them at the most, and a connection that becomes free goes to the waiting tenant that holds the fewest, so that
 * slow statements of one tenant do not keep the others from the database.
 */
export function createTenantConnections(options: {
  readonly settings: ConnectionSettings;
  readonly claims: TenantClaims;
  readonly clock: Clock;
  readonly connections: number;
  readonly acquireTimeoutMs: number;
}): TenantConnections {
  const { settings, claims, clock } = options;
  const share = Math.max(1, Math.ceil(options.connections / 2));
  const all = new Set<Slot>();
  const idle: Slot[] = [];
  const waiting: Waiter[] = [];
  /** Connections each tenant holds or is about to hold; tenants with none have no entry. */
  const held = new Map<TenantId, number>();
  let opening = 0;
  let closed = false;
  // A connection outlives the call that opens it, and must not keep that call's context, which is another tenant's soon.
  const outside = AsyncLocalStorage.snapshot();

  const heldBy = (tenantId: TenantId): number => held.get(tenantId) ?? 0;
  const take = (tenantId: TenantId): void => void held.set(tenantId, heldBy(tenantId) + 1);
  const leave = (tenantId: TenantId): void => {
    const left = heldBy(tenantId) - 1;
    if (left > 0) held.set(tenantId, left);
    else held.delete(tenantId);
  };

  const open = async (): Promise<Slot> => {
    opening++;
    const socket = new Socket();
    const client = new pg.Client({ ...settings, stream: () => socket } as pg.ClientConfig);
    const slot: Slot = { client, socket, entered: null, dead: false };
    client.on("error", () => discard(slot));
    client.on("end", () => discard(slot));
    try {
      await outside(() => client.connect());
      if (closed || slot.dead) throw new Fault("stopping");
      all.add(slot);
      return slot;
    } catch (cause) {
      slot.dead = true;
      client.end().catch(() => {});
      throw cause instanceof Fault ? cause : new Fault("database_unavailable", { cause });
    } finally {
      opening--;
    }
  };

  const discard = (slot: Slot): void => {
    if (slot.dead) return;
    slot.dead = true;
    all.delete(slot);
    const at = idle.indexOf(slot);
    if (at >= 0) idle.splice(at, 1);
    slot.client.end().catch(() => {});
    slot.socket.destroy();
    serveWaiters();
  };

  const giveBack = (slot: Slot): void => {
    if (slot.dead) return;
    idle.push(slot);
    serveWaiters();
  };

  /** The waiter to serve next: of those whose tenant may hold one more, the one whose tenant holds the fewest. */
  const nextWaiter = (): Waiter | undefined => {
    let best: Waiter | undefined;
    for (const waiter of waiting) {
      const count = heldBy(waiter.tenantId);
      if (count < share && (best === undefined || count < heldBy(best.tenantId))) best = waiter;
    }
    return best;
  };

  const serveWaiters = (): void => {
    while (!closed) {
      const waiter = nextWaiter();
      if (waiter === undefined) return;
      const slot = takeIdle(waiter.tenantId, null);
      if (slot !== undefined) {
        waiter.resolve(slot);
      } else {
        if (all.size + opening >= options.connections) return;
        // Whoever waits longest by then gets it: this waiter may have gone while it was being opened.
        open().then(giveBack, (error: unknown) => nextWaiter()?.reject(error));
        return;
      }
    }
  };

  /** An idle slot, best first: entered just so, then of the same tenant, then, where no more may be opened, any. */
  const takeIdle = (tenantId: TenantId, mode: EntryMode | null): Slot | undefined => {
    let best = -1;
    for (let i = idle.length - 1; i >= 0; i--) {
      const entered = idle[i]?.entered;
      if (entered?.mode.tenantId !== tenantId) continue;
      best = i;
      if (mode === null || sameMode(entered.mode, mode)) break;
    }
    if (best < 0 && idle.length > 0 && all.size + opening >= options.connections) best = 0;
    return best < 0 ? undefined : idle.splice(best, 1)[0];
  };

  const wait = (tenantId: TenantId, signal: AbortSignal | undefined): Promise<Slot> =>
    new Promise((resolve, reject) => {
      let over = false;
      const settle = (): boolean => {
        if (over) return false;
        over = true;
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        const at = waiting.indexOf(waiter);
        if (at >= 0) waiting.splice(at, 1);
        return true;
      };
      const waiter: Waiter = {
        tenantId,
        resolve: (slot) => {
          if (!settle()) return false;
          take(tenantId);
          resolve(slot);
          return true;
        },
        reject: (error) => {
          if (settle()) reject(error);
        },
      };
      const onAbort = (): void => waiter.reject(signal?.reason);
      const timer = setTimeout(
        () =>
          waiter.reject(new Fault("database_unavailable", { detail: "No connection became free in time." })),
        options.acquireTimeoutMs,
      );
      signal?.addEventListener("abort", onAbort, { once: true });
      waiting.push(waiter);
      serveWaiters();
    });

  const enter = async (slot: Slot, mode: EntryMode): Promise<void> => {
    const pending = claims.claimFor(mode.tenantId);
    const claim = pending instanceof Promise ? await pending : pending;
    const entered = slot.entered;
    const sameTenant = entered !== null && entered.mode.tenantId === mode.tenantId;
    const settled = sameTenant && entered.claim === claim.secret && entered.useUntil > clock.now();
    if (settled && sameMode(entered.mode, mode)) return;
    const cleaning = entered === null || sameTenant ? [] : [CLEAN_CONNECTION];
    slot.entered = null;
    await slot.client.query(
      [
        ...cleaning,
        `SET bulkhead.claim = '${claim.secret}'`,
        `SET default_transaction_read_only = ${mode.readOnly ? "on" : "off"}`,
        `SET statement_timeout = ${Math.trunc(mode.statementTimeoutMs)}`,
      ].join("; "),
    );
    slot.entered = { mode, claim: claim.secret, useUntil: claim.useUntil };
  };

  /** A slot for a tenant that is counted as holding it. */
  const slotFor = async (mode: EntryMode, signal: AbortSignal | undefined): Promise<Slot> => {
    const { tenantId } = mode;
    if (heldBy(tenantId) >= share) return wait(tenantId, signal);
    const slot = takeIdle(tenantId, mode);
    if (slot === undefined && all.size + opening >= options.connections) return wait(tenantId, signal);
    take(tenantId);
    if (slot !== undefined) return slot;
    try {
      return await open();
    } catch (error) {
      leave(tenantId);
      // The place it did not take is free for another's try.
      serveWaiters();
      throw error;
    }
  };

  return {
    async acquire(mode, signal) {
      if (closed) throw new Fault("stopping");
      signal?.throwIfAborted();
      const slot = await slotFor(mode, signal);
      let lent = true;
      const release = (destroy: boolean): void => {
        if (!lent) return;
        lent = false;
        leave(mode.tenantId);
        if (destroy || closed) discard(slot);
        else giveBack(slot);
        serveWaiters();
      };
      try {
        await enter(slot, mode);
      } catch (cause) {
        release(true);
        throw cause instanceof Fault ? cause : new Fault("database_unavailable", { cause });
      }
      if (signal?.aborted === true) {
        release(false);
        throw signal.reason;
      }
      return { client: slot.client, socket: slot.socket, release };
    },
    async close() {
      closed = true;
      for (const waiter of [...waiting]) waiter.reject(new Fault("stopping"));
      await Promise.all([...all].map((slot) => slot.client.end().catch(() => {})));
      all.clear();
    },
  };
}

function sameMode(a: EntryMode, b: EntryMode): boolean {
  return (
    a.tenantId === b.tenantId && a.readOnly === b.readOnly && a.statementTimeoutMs === b.statementTimeoutMs
  );
}
