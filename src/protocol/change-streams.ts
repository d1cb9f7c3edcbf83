import { setImmediate as nextTurn } from "node:timers/promises";
import type { Permits, TenantViews } from "../catalog/tenant-view.ts";
import type { Clock } from "../core/clock.ts";
import type { TenantId } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { Change } from "../tenancy/client.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import { announcedUnder, ChangeStream, type Watcher } from "./change-stream.ts";
import type { Work } from "./open-work.ts";

/** A stream that was opened. */
export interface OpenedStream {
  readonly kind: "opened";
  /** Of the first message. */
  readonly bytes: number;
  /** Ends it. */
  end(): void;
}

/** The streams of this instance, of both generations, over which clients are told what changes. */
export interface ChangeStreams {
  /**
   * Opens one that ends with `work`, which is over when the stream is; or says why not: the tenant has as many as it may,
   * or its streams hold as many URIs as they may, or the server stops.
   *
   * @param mayHaveMissed whether it is told of everything anew: its client was away.
   */
  open(watcher: Watcher, work: Work, mayHaveMissed?: boolean): OpenedStream | Refusal;
  /** Whether a tenant has any. */
  has(tenantId: TenantId): boolean;
  /** Tells a tenant's streams what a newer snapshot changed for each. */
  changed(snapshot: TenantSnapshot): Promise<void>;
  /**
   * Tells those of a tenant's streams that asked for it and may still read it what was announced. The first streams hear
   * of it before this returns.
   *
   * @param snapshot the tenant as it is now.
   * @throws what a stream's subscriptions could not be read with; the other streams were told.
   */
  announced(snapshot: TenantSnapshot, changes: readonly Change[]): Promise<void>;
  /**
   * To be called every half a second: ends streams whose credential has ended, keeps the quiet ones alive, and drops
   * connections that were ended and whose reader does not take the end.
   */
  sweep(): void;
  /** Ends all of them, and opens no more. */
  endAll(): void;
}

/** Open streams of a tenant on one instance. */
const MAX_OF_TENANT = 1_000;
/** Characters of URIs that a tenant's streams hold together on one instance. */
const MAX_CHARACTERS = 16 * 1_048_576;
/** What a client beyond that is told to wait, in milliseconds. */
const RETRY_MS = 10_000;
/** A stream that was quiet for this long gets a comment: proxies commonly give up after 30 or 60 s. */
const KEEP_ALIVE_MS = 15_000;
/** Comments at one sweep: streams that were opened together do not all cost the same moment. */
const MAX_COMMENTS = 1_000;
/** Time for a reader to take the end of its stream, in milliseconds. */
const LINGER_MS = 1_000;
/** Streams told of a change in one turn of the event loop: those of one tenant must not hold up the others' requests. */
const SLICE = 50;
/** Resources told of at once to a client that may have missed them. */
const MISSED_SLICE = 20;

interface OfTenant {
  readonly streams: Set<ChangeStream>;
  characters: number;
}

export function createChangeStreams(options: {
  readonly clock: Clock;
  readonly views: TenantViews;
  readonly permits: Permits;
  /** Default 1,000. */
  readonly maxOfTenant?: number;
  /** Default 16 million. */
  readonly maxCharacters?: number;
}): ChangeStreams {
  const { clock, views, permits } = options;
  const maxOfTenant = options.maxOfTenant ?? MAX_OF_TENANT;
  const maxCharacters = options.maxCharacters ?? MAX_CHARACTERS;
  const open = new Map<TenantId, OfTenant>();
  /** Those that were ended and are not closed yet, with the moment, on the monotonic clock. */
  const ending = new Map<ChangeStream, number>();
  let stopped = false;

  const remove = (tenantId: TenantId, stream: ChangeStream): boolean => {
    const own = open.get(tenantId);
    if (own?.streams.delete(stream) !== true) return false;
    own.characters -= charactersOf(stream);
    if (own.streams.size === 0) open.delete(tenantId);
    return true;
  };

  const end = (tenantId: TenantId, stream: ChangeStream): void => {
    if (!remove(tenantId, stream)) return;
    ending.set(stream, clock.monotonic());
    stream.end();
  };

  const announcing = (snapshot: TenantSnapshot) => ({ snapshot, permits, now: clock.monotonic() });

  /** As fast as its reader takes it, since it may be much. */
  const tellMissed = async (tenantId: TenantId, stream: ChangeStream): Promise<void> => {
    const { lists, snapshot } = stream.everything();
    await stream.tell(
      lists.map((list) => ({ list })),
      announcing(snapshot),
    );
    const { subscriptions } = stream;
    const uris = typeof subscriptions === "function" ? await subscriptions() : subscriptions;
    if (uris === null) return end(tenantId, stream);
    const all = [...uris];
    for (let from = 0; from < all.length && !stream.gone; from += MISSED_SLICE) {
      const changes = all.slice(from, from + MISSED_SLICE).map((resource) => ({ resource }));
      const current = stream.everything().snapshot;
      await stream.tell(announcedUnder(current, changes, views), announcing(current));
      await (stream.drained() ?? nextTurn());
    }
  };

  /** Whether what a quiet stream belongs to is still there. */
  const look = async (tenantId: TenantId, stream: ChangeStream): Promise<void> => {
    const { subscriptions } = stream;
    if (typeof subscriptions === "function" && (await subscriptions()) === null) end(tenantId, stream);
  };

  return {
    open(watcher, work, mayHaveMissed = false) {
      if (stopped) return refuse("stopping", { retryAfterMs: 1_000 });
      if (work.ended !== null) return work.ended;
      const { id: tenantId } = watcher.snapshot;
      const own = open.get(tenantId) ?? { streams: new Set(), characters: 0 };
      if (own.streams.size >= maxOfTenant) return full("openStreams", maxOfTenant);
      const characters = charactersOf(watcher);
      if (own.characters + characters > maxCharacters) return full("subscribedCharacters", maxCharacters);
      const outlet = watcher.connect();
      if (outlet.gone) return refuse("cancelled");
      const stream = new ChangeStream(watcher, { outlet, now: clock.monotonic() });
      open.set(tenantId, own);
      own.streams.add(stream);
      own.characters += characters;
      work.keepUntil(
        new Promise<void>((resolve) => {
          outlet.onClosed(() => {
            remove(tenantId, stream);
            ending.delete(stream);
            resolve();
          });
        }),
      );
      const bytes = stream.begin();
      work.onEnd(() => end(tenantId, stream));
      // Where its subscriptions cannot be read now, the database does not answer: then there is more that clients miss.
      if (mayHaveMissed) tellMissed(tenantId, stream).catch(() => {});
      return { kind: "opened", bytes, end: () => end(tenantId, stream) };
    },

    has: (tenantId) => open.has(tenantId),

    async changed(snapshot) {
      let told = 0;
      for (const stream of open.get(snapshot.id)?.streams ?? []) {
        stream.compare(snapshot, views, clock.monotonic());
        if (++told % SLICE === 0) await nextTurn();
      }
    },

    async announced(snapshot, changes) {
      const own = open.get(snapshot.id);
      const announced = own === undefined ? [] : announcedUnder(snapshot, changes, views);
      if (own === undefined || announced.length === 0) return;
      const of = announcing(snapshot);
      const failures: unknown[] = [];
      let waiting: Promise<void>[] = [];
      let told = 0;
      for (const stream of own.streams) {
        const there = stream.tell(announced, of);
        if (there instanceof Promise) {
          waiting.push(
            there.then(
              (is) => void (is || end(snapshot.id, stream)),
              (cause: unknown) => void failures.push(cause),
            ),
          );
        } else if (!there) end(snapshot.id, stream);
        if (++told % SLICE > 0) continue;
        await (waiting.length > 0 ? Promise.all(waiting) : nextTurn());
        waiting = [];
      }
      await Promise.all(waiting);
      if (failures.length > 0) throw failures[0];
    },

    sweep() {
      const [now, monotonic] = [clock.now(), clock.monotonic()];
      let comments = 0;
      for (const [tenantId, { streams }] of open) {
        for (const stream of streams) {
          if (now >= stream.expiresAt) end(tenantId, stream);
          else if (stream.quietFor(monotonic) >= KEEP_ALIVE_MS && comments < MAX_COMMENTS) {
            comments++;
            stream.keepAlive(monotonic);
            // Where it cannot be read now, it is at the next comment.
            look(tenantId, stream).catch(() => {});
          }
        }
      }
      for (const [stream, endedAt] of ending) if (monotonic - endedAt >= LINGER_MS) stream.destroy();
    },

    endAll() {
      stopped = true;
      for (const [tenantId, { streams }] of open) for (const stream of streams) end(tenantId, stream);
    },
  };
}

function full(limit: string, value: number): Refusal {
  return refuse("rate_limited", { retryAfterMs: RETRY_MS, data: { limit, value } });
}

/** Of URIs that a stream holds: those that it asks for each time are not its own. */
function charactersOf({ subscriptions }: Pick<Watcher, "subscriptions">): number {
  if (typeof subscriptions === "function") return 0;
  let characters = 0;
  for (const uri of subscriptions) characters += uri.length;
  return characters;
}
