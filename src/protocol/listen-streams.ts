import type { ServerResponse } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { TenantViews } from "../catalog/tenant-view.ts";
import type { Clock } from "../core/clock.ts";
import type { TenantId } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import { type Listener, ListenStream } from "./listen-stream.ts";
import type { Work } from "./open-work.ts";

/** A stream that was opened. */
export interface OpenedStream {
  readonly kind: "opened";
  /** Of the acknowledgement. */
  readonly bytes: number;
  /** Resolves when the connection is done with it, for whatever reason. */
  readonly closed: Promise<void>;
}

/** The open `subscriptions/listen` streams of this instance. */
export interface ListenStreams {
  /** Opens one that ends with `work`, or says why not: the tenant has as many as it may, or the server stops. */
  open(res: ServerResponse, listener: Listener, work: Work): OpenedStream | Refusal;
  /** Tells a tenant's streams what a newer snapshot changed for each. */
  changed(snapshot: TenantSnapshot): Promise<void>;
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

export function createListenStreams(options: {
  readonly clock: Clock;
  readonly views: TenantViews;
  /** `serverInfo` as JSON. */
  readonly serverInfo: string;
  /** Default 1,000. */
  readonly maxOfTenant?: number;
}): ListenStreams {
  const { clock, views, serverInfo } = options;
  const maxOfTenant = options.maxOfTenant ?? MAX_OF_TENANT;
  const open = new Map<TenantId, Set<ListenStream>>();
  /** Those that were ended and are not closed yet, with the moment, on the monotonic clock. */
  const ending = new Map<ListenStream, number>();
  let stopped = false;

  const remove = (tenantId: TenantId, stream: ListenStream): boolean => {
    const streams = open.get(tenantId);
    if (streams?.delete(stream) !== true) return false;
    if (streams.size === 0) open.delete(tenantId);
    return true;
  };

  const end = (tenantId: TenantId, stream: ListenStream): void => {
    if (!remove(tenantId, stream)) return;
    ending.set(stream, clock.monotonic());
    stream.end();
  };

  return {
    open(res, listener, work) {
      if (stopped) return refuse("stopping", { retryAfterMs: 1_000 });
      if (work.ended !== null) return work.ended;
      if (res.destroyed) return refuse("cancelled");
      const { id: tenantId } = listener.snapshot;
      let streams = open.get(tenantId);
      if ((streams?.size ?? 0) >= maxOfTenant) {
        return refuse("rate_limited", {
          retryAfterMs: RETRY_MS,
          data: { limit: "openStreams", value: maxOfTenant },
        });
      }
      if (streams === undefined) {
        streams = new Set();
        open.set(tenantId, streams);
      }
      const stream = new ListenStream(res, listener, { now: clock.monotonic(), serverInfo });
      streams.add(stream);
      const closed = new Promise<void>((resolve) => {
        res.once("close", () => {
          remove(tenantId, stream);
          ending.delete(stream);
          resolve();
        });
      });
      const bytes = stream.acknowledge();
      work.onEnd(() => end(tenantId, stream));
      return { kind: "opened", bytes, closed };
    },

    async changed(snapshot) {
      let told = 0;
      for (const stream of open.get(snapshot.id) ?? []) {
        stream.compare(snapshot, views, clock.monotonic());
        if (++told % SLICE === 0) await nextTurn();
      }
    },

    sweep() {
      const [now, monotonic] = [clock.now(), clock.monotonic()];
      let comments = 0;
      for (const [tenantId, streams] of open) {
        for (const stream of streams) {
          if (now >= stream.expiresAt) end(tenantId, stream);
          else if (stream.quietFor(monotonic) >= KEEP_ALIVE_MS && comments < MAX_COMMENTS) {
            comments++;
            stream.keepAlive(monotonic);
          }
        }
      }
      for (const [stream, endedAt] of ending) if (monotonic - endedAt >= LINGER_MS) stream.destroy();
    },

    endAll() {
      stopped = true;
      for (const [tenantId, streams] of open) for (const stream of streams) end(tenantId, stream);
    },
  };
}
