import type { SessionName, SessionRow } from "./session-store.ts";

/** What a lookup found. */
export interface Found {
  readonly key: string;
  /** Null: there is no such session. */
  readonly row: SessionRow | null;
  /** When it was asked for, by the monotonic clock: what changed since may be missing. */
  readonly askedAt: number;
  /** False where the session changed meanwhile, or somebody asks anew: then it is not to be remembered. */
  readonly current: boolean;
}

/** Looks sessions up: those of one moment in one query, and one session once. */
export interface SessionLookups<T> {
  find(key: string, name: SessionName): Promise<T>;
  /** The session has changed: what is being looked up does not show it, and nobody joins that any more. */
  changed(key: string): void;
}

/** Queries at once: while so many run, lookups gather for the next. */
const MAX_RUNNING = 2;
/** Sessions in one query. */
const MAX_BATCH = 1_000;

interface UnderWay<T> {
  readonly key: string;
  readonly name: SessionName;
  readonly answer: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (cause: unknown) => void;
  /** Null: not asked yet. */
  askedAt: number | null;
}

/**
 * @param options.take makes of what was found what those who wait for it get, and remembers it.
 * @param options.joinMs how old a query may be that a lookup still joins: no answer may be older than it
 *   may count.
 */
export function createSessionLookups<T>(options: {
  readonly find: (names: readonly SessionName[]) => Promise<readonly SessionRow[]>;
  readonly take: (found: Found) => T;
  readonly keyOf: (name: SessionName) => string;
  readonly monotonic: () => number;
  readonly joinMs: number;
}): SessionLookups<T> {
  const { find, take, keyOf, monotonic, joinMs } = options;
  const underWay = new Map<string, UnderWay<T>>();
  let gathered: UnderWay<T>[] = [];
  let running = 0;
  let scheduled = false;

  const run = async (): Promise<void> => {
    const batch = gathered.slice(0, MAX_BATCH);
    gathered = gathered.slice(MAX_BATCH);
    const askedAt = monotonic();
    for (const lookup of batch) lookup.askedAt = askedAt;
    running++;
    schedule();
    try {
      const rows = new Map((await find(batch.map(({ name }) => name))).map((row) => [keyOf(row), row]));
      for (const lookup of batch) {
        const { key } = lookup;
        const current = underWay.get(key) === lookup;
        lookup.resolve(take({ key, row: rows.get(key) ?? null, askedAt, current }));
      }
    } catch (cause) {
      for (const lookup of batch) lookup.reject(cause);
    } finally {
      for (const lookup of batch) {
        if (underWay.get(lookup.key) === lookup) underWay.delete(lookup.key);
      }
      running--;
      schedule();
    }
  };

  const schedule = (): void => {
    if (scheduled || running >= MAX_RUNNING || gathered.length === 0) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      void run();
    });
  };

  return {
    find(key, name) {
      const other = underWay.get(key);
      if (other !== undefined && (other.askedAt === null || monotonic() - other.askedAt < joinMs)) {
        return other.answer;
      }
      const { promise, resolve, reject } = withResolvers<T>();
      const lookup: UnderWay<T> = { key, name, answer: promise, resolve, reject, askedAt: null };
      underWay.set(key, lookup);
      gathered.push(lookup);
      schedule();
      return promise;
    },
    changed(key) {
      underWay.delete(key);
    },
  };
}

/** As Promise.withResolvers, which Node 20 lacks. */
function withResolvers<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (cause: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
