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
  /** `statement_timeout` in milliseconds, an integer. */
  readonly statementTimeoutMs: number;
}

/** A connection that has entered a tenant, lent to one user at a time. */
export interface TenantConnection {
  readonly client: pg.Client;
  /** Gives it back. `destroy`: where there is any doubt about its state. */
  release(destroy: boolean): void;
}

export interface TenantConnections {
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
  entered: { readonly mode: EntryMode; readonly claim: string; readonly useUntil: number } | null;
  dead: boolean;
}

interface Waiter {
  readonly mode: EntryMode;
  readonly resolve: (slot: Slot) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The bounded set of connections behind the tenant door. A connection stays entered for the tenant it last served, so
 * that the next statement of that tenant costs one round trip; before another tenant it is cleaned. Waiting is first
 * come, first served, for at most `acquireTimeoutMs`.
 */
export function createTenantConnections(options: {
  readonly settings: ConnectionSettings;
  readonly claims: TenantClaims;
  readonly clock: Clock;
  readonly connections: number;
  readonly acquireTimeoutMs: number;
}): TenantConnections {
  const { settings, claims, clock } = options;
  const all = new Set<Slot>();
  const idle: Slot[] = [];
  const waiting: Waiter[] = [];
  let opening = 0;
  let closed = false;

  const discard = (slot: Slot): void => {
    if (slot.dead) return;
    slot.dead = true;
    all.delete(slot);
    const at = idle.indexOf(slot);
    if (at >= 0) idle.splice(at, 1);
    slot.client.end().catch(() => {});
    feedWaiter();
  };

  const open = async (): Promise<Slot> => {
    opening++;
    const client = new pg.Client(settings);
    const slot: Slot = { client, entered: null, dead: false };
    client.on("error", () => discard(slot));
    client.on("end", () => discard(slot));
    try {
      await client.connect();
      if (closed) {
        await client.end();
        throw new Fault("stopping");
      }
      all.add(slot);
      return slot;
    } catch (cause) {
      slot.dead = true;
      throw cause instanceof Fault ? cause : new Fault("database_unavailable", { cause });
    } finally {
      opening--;
    }
  };

  /** An idle slot, best first: one that has entered just so, then one of the same tenant, then the one idle longest. */
  const takeIdle = (mode: EntryMode): Slot | undefined => {
    let best = -1;
    for (let i = idle.length - 1; i >= 0; i--) {
      const entered = idle[i]?.entered;
      if (entered?.mode.tenantId !== mode.tenantId) continue;
      best = i;
      if (sameMode(entered.mode, mode)) break;
    }
    if (best < 0 && idle.length > 0 && all.size + opening >= options.connections) best = 0;
    return best < 0 ? undefined : idle.splice(best, 1)[0];
  };

  /** After a connection was lost: opens another for the one who waits longest. */
  const feedWaiter = (): void => {
    if (closed || waiting.length === 0 || all.size + opening >= options.connections) return;
    const waiter = waiting.shift();
    if (waiter !== undefined) open().then(waiter.resolve, waiter.reject);
  };

  const giveBack = (slot: Slot): void => {
    if (slot.dead) return;
    const waiter = waiting.shift();
    if (waiter === undefined) idle.push(slot);
    else waiter.resolve(slot);
  };

  const wait = (mode: EntryMode, signal: AbortSignal | undefined): Promise<Slot> =>
    new Promise((resolve, reject) => {
      const leave = (error: unknown): void => {
        const at = waiting.indexOf(waiter);
        if (at >= 0) waiting.splice(at, 1);
        finish();
        reject(error);
      };
      const timer = setTimeout(
        () => leave(new Fault("database_unavailable", { detail: "No connection became free in time." })),
        options.acquireTimeoutMs,
      );
      const onAbort = (): void => leave(signal?.reason);
      const finish = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
      };
      const waiter: Waiter = {
        mode,
        resolve: (slot) => {
          finish();
          resolve(slot);
        },
        reject: (error) => {
          finish();
          reject(error);
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      waiting.push(waiter);
    });

  const enter = async (slot: Slot, mode: EntryMode): Promise<void> => {
    const pending = claims.claimFor(mode.tenantId);
    const claim = pending instanceof Promise ? await pending : pending;
    const entered = slot.entered;
    const cleaning = entered === null || entered.mode.tenantId === mode.tenantId ? [] : [CLEAN_CONNECTION];
    const settled =
      entered !== null &&
      entered.mode.tenantId === mode.tenantId &&
      entered.claim === claim.secret &&
      entered.useUntil > clock.now();
    if (settled && sameMode(entered.mode, mode)) return;
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

  return {
    async acquire(mode, signal) {
      if (closed) throw new Fault("stopping");
      signal?.throwIfAborted();
      const slot =
        takeIdle(mode) ??
        (all.size + opening < options.connections ? await open() : await wait(mode, signal));
      try {
        await enter(slot, mode);
      } catch (cause) {
        discard(slot);
        throw cause instanceof Fault ? cause : new Fault("database_unavailable", { cause });
      }
      let lent = true;
      return {
        client: slot.client,
        release(destroy) {
          if (!lent) return;
          lent = false;
          if (destroy || closed) discard(slot);
          else giveBack(slot);
        },
      };
    },
    async close() {
      closed = true;
      for (const waiter of waiting.splice(0)) waiter.reject(new Fault("stopping"));
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
