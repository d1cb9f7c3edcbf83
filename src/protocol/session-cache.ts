import type { Session } from "./session.ts";
import type { SessionRow } from "./session-store.ts";

/** A session that was read, and until when it counts without being read again. */
export interface CachedSession {
  readonly session: Session;
  readonly row: SessionRow;
  /** By the monotonic clock, in milliseconds. */
  readonly goodUntil: number;
}

/** Sessions in memory: the least recently used go first. */
export interface SessionCache {
  get(key: string): CachedSession | undefined;
  put(key: string, cached: CachedSession): void;
  drop(key: string): void;
}

/** @param most sessions kept, and characters that clients have put into them: a session alone may hold much. */
export function createSessionCache(most: {
  readonly sessions: number;
  readonly characters: number;
}): SessionCache {
  const entries = new Map<string, CachedSession & { readonly size: number }>();
  let held = 0;
  const drop = (key: string): void => {
    const entry = entries.get(key);
    if (entry === undefined) return;
    held -= entry.size;
    entries.delete(key);
  };
  return {
    get(key) {
      const entry = entries.get(key);
      // Moving it to the end on every hit would cost the request path; it matters only where some may have to go.
      if (entry !== undefined && (entries.size > most.sessions / 2 || held > most.characters / 2)) {
        entries.delete(key);
        entries.set(key, entry);
      }
      return entry;
    },
    put(key, cached) {
      drop(key);
      let size = cached.row.client.length;
      for (const uri of cached.row.subscriptions) size += uri.length;
      entries.set(key, { ...cached, size });
      held += size;
      for (const oldest of entries.keys()) {
        if (entries.size <= most.sessions && held <= most.characters) break;
        drop(oldest);
      }
    },
    drop,
  };
}
