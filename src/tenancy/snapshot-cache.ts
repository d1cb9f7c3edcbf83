import type { Clock } from "../core/clock.ts";
import type { TenantId } from "../core/ids.ts";
import type { TenantSnapshot } from "./tenant-snapshot.ts";

/** Snapshots by one kind of key. What is there is answered at once; who asks for the same meanwhile shares one reading. */
export interface SnapshotCache {
  get(
    key: string,
    load: () => Promise<TenantSnapshot | null>,
  ): TenantSnapshot | null | Promise<TenantSnapshot | null>;
  /** Drops what a change made old: these tenants', or everything. */
  drop(changed: ReadonlySet<TenantId> | "everything"): void;
}

/** Tenants held. Beyond it the one that was not asked for longest goes. */
const MAX_FOUND = 20_000;
/** Misses held, apart from the others: strangers make them up, and must not drive out tenants. */
const MAX_MISSES = 5_000;
/** A miss is asked again after this long, in milliseconds, even without a change. */
const MISS_MS = 1_000;

export function createSnapshotCache(clock: Clock): SnapshotCache {
  const found = new Map<string, TenantSnapshot>();
  const misses = new Map<string, number>();
  const reading = new Map<string, Promise<TenantSnapshot | null>>();
  // Counts what was dropped: a reading that began before must not be kept after it.
  let generation = 0;

  const keep = (key: string, snapshot: TenantSnapshot | null): void => {
    if (snapshot === null) {
      misses.delete(key);
      misses.set(key, clock.monotonic() + MISS_MS);
      dropOldest(misses, MAX_MISSES);
    } else {
      misses.delete(key);
      found.delete(key);
      found.set(key, snapshot);
      dropOldest(found, MAX_FOUND);
    }
  };

  return {
    get(key, load) {
      const held = found.get(key);
      if (held !== undefined) {
        // Moving it to the end on every hit would cost the request path; it matters only where some may have to go.
        if (found.size > MAX_FOUND / 2) {
          found.delete(key);
          found.set(key, held);
        }
        return held;
      }
      if ((misses.get(key) ?? Number.NEGATIVE_INFINITY) > clock.monotonic()) return null;
      const underWay = reading.get(key);
      if (underWay !== undefined) return underWay;
      const began = generation;
      const pending = load();
      reading.set(key, pending);
      pending.then(
        (snapshot) => {
          if (reading.get(key) === pending) reading.delete(key);
          if (began === generation) keep(key, snapshot);
        },
        () => {
          if (reading.get(key) === pending) reading.delete(key);
        },
      );
      return pending;
    },
    drop(changed) {
      generation++;
      reading.clear();
      // A new tenant is a change too, and may be one of the misses.
      misses.clear();
      if (changed === "everything") {
        found.clear();
        return;
      }
      for (const [key, snapshot] of found) if (changed.has(snapshot.id)) found.delete(key);
    },
  };
}

function dropOldest(map: Map<string, unknown>, limit: number): void {
  const oldest = map.size > limit ? map.keys().next().value : undefined;
  if (oldest !== undefined) map.delete(oldest);
}
