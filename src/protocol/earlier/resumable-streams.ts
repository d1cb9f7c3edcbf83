import type { ServerResponse } from "node:http";
import type { Clock } from "../../core/clock.ts";
import type { TenantId } from "../../core/ids.ts";
import { type Refusal, refuse } from "../../core/refusal.ts";
import type { Work } from "../open-work.ts";
import type { Session } from "../session.ts";
import type { SignalPort } from "../signal-port.ts";
import type { StreamLog, StreamName } from "../stream-log.ts";
import { type EventPosition, newStreamId } from "./event-id.ts";
import { PostStream } from "./post-stream.ts";
import { ResumedStream } from "./resumed-stream.ts";
import type { OfSession } from "./running-requests.ts";

/** The streams that answer POSTs, of all sessions: as they begin on this instance, and as clients come back for them. */
export interface ResumableStreams {
  /** Begins one as the answer to a POST. */
  begin(res: ServerResponse, session: Session, retryMs?: number): PostStream;
  /**
   * Goes on with one from where its client stands. Gives the refusal to answer where it does not: there is no such stream
   * of this session, or the tenant has as many open as it may.
   *
   * @throws Fault `database_unavailable`.
   */
  resume(
    res: ServerResponse,
    of: {
      readonly session: Session;
      readonly at: EventPosition;
      readonly work: Work;
      /** Milliseconds since 1970 at which the credential ends. */
      readonly expiresAt: number;
    },
  ): Promise<Refusal | null>;
  /** The session has ended: nobody reads on. */
  endSession(session: OfSession): void;
  /** To be called every half a second: ends, keeps alive, and looks for what no signal told of. */
  sweep(): void;
  /** Ends the connections of those that came back; they may do so elsewhere. Takes no more of them. */
  endAll(): void;
}

/** Connections of a tenant on one instance that came back. */
const MAX_OF_TENANT = 1_000;
const RETRY_MS = 10_000;
/** Within this time of each other a client may have come back to two instances at once: then both readers stay. */
const AT_ONCE_MS = 1_000;
/** How late a message may be whose signal was lost, in milliseconds … */
const LOOK_MS = 5_000;
/** … unless more than this many were to be looked at in one sweep. */
const MAX_LOOKS = 50;

interface Resumed {
  readonly stream: ResumedStream;
  readonly tenantId: TenantId;
  readonly sessionId: string;
  readonly expiresAt: number;
  /** On the monotonic clock. */
  readonly since: number;
}

export function createResumableStreams(options: {
  readonly log: StreamLog;
  readonly signals: SignalPort;
  readonly clock: Clock;
  readonly random: (bytes: number) => Uint8Array;
  readonly onFault: (message: string, cause: unknown) => void;
}): ResumableStreams {
  const { log, signals, clock, random, onFault } = options;
  // Of requests in flight, which are bounded by their tenants' limits.
  const begun = new Map<string, PostStream>();
  const resumed = new Map<string, Resumed>();
  const ofTenant = new Map<TenantId, number>();
  let stopped = false;

  const count = (tenantId: TenantId, by: 1 | -1): void => {
    const streams = (ofTenant.get(tenantId) ?? 0) + by;
    if (streams > 0) ofTenant.set(tenantId, streams);
    else ofTenant.delete(tenantId);
  };

  const register = (key: string, entry: Resumed, res: ServerResponse): Promise<void> => {
    // Whoever came back before has lost that connection, or does not need it.
    resumed.get(key)?.stream.destroy();
    resumed.set(key, entry);
    count(entry.tenantId, 1);
    return new Promise((resolve) => {
      res.once("close", () => {
        if (resumed.get(key) === entry) resumed.delete(key);
        count(entry.tenantId, -1);
        resolve();
      });
    });
  };

  signals.subscribe("stream_written", ({ tenantId, payload }) => {
    resumed.get(keyOf({ tenantId, ...payload }))?.stream.look(clock.monotonic());
  });

  // "Multiple Connections": what is said goes over one connection alone, of whichever instance.
  signals.subscribe("stream_resumed", ({ tenantId, payload }) => {
    const key = keyOf({ tenantId, ...payload });
    begun.get(key)?.dropReader();
    const own = resumed.get(key);
    if (own !== undefined && clock.monotonic() - own.since > AT_ONCE_MS) own.stream.destroy();
  });

  return {
    begin(res, session, retryMs) {
      const name = { tenantId: session.tenantId, sessionId: session.id, streamId: newStreamId(random) };
      const key = keyOf(name);
      const stream = new PostStream(res, {
        name,
        log,
        // Here no signal tells of it.
        onSaid: () => resumed.get(key)?.stream.look(clock.monotonic()),
        onEnd: () => begun.delete(key),
        primed: session.revision === "2025-11-25",
        retryMs,
        now: clock.monotonic(),
      });
      begun.set(key, stream);
      return stream;
    },

    async resume(res, { session, at, work, expiresAt }) {
      if (stopped) return refuse("stopping", { retryAfterMs: 1_000 });
      const { tenantId, id: sessionId } = session;
      if ((ofTenant.get(tenantId) ?? 0) >= MAX_OF_TENANT) {
        return refuse("rate_limited", {
          retryAfterMs: RETRY_MS,
          data: { limit: "openStreams", value: MAX_OF_TENANT },
        });
      }
      if (res.destroyed) return null;
      const name = { tenantId, sessionId, streamId: at.streamId };
      const key = keyOf(name);
      const stream = new ResumedStream(res, {
        name,
        after: at.seq,
        log,
        now: clock.monotonic(),
        onFault: (cause) => onFault("Streams: not read.", cause),
      });
      // Before it is read: what is written from here on is told.
      const closed = register(key, { stream, tenantId, sessionId, expiresAt, since: clock.monotonic() }, res);
      begun.get(key)?.dropReader();
      const resumption = await stream.begin();
      if (work.ended !== null && !res.headersSent) return work.ended;
      switch (resumption) {
        case "unknown":
          return refuse("stream_unknown");
        case "over":
          // Not another empty stream: a client would come back for ever (HTML Standard, "Server-sent events": 204 stops it).
          res.writeHead(204).end();
          return null;
        case "resumed":
          signals.publish({
            tenantId,
            topic: "stream_resumed",
            payload: { sessionId, streamId: at.streamId },
          });
          work.keepUntil(closed);
          work.onEnd(() => stream.close());
          return null;
      }
    },

    endSession({ tenantId, id }) {
      for (const entry of resumed.values()) {
        if (entry.tenantId === tenantId && entry.sessionId === id) entry.stream.close();
      }
    },

    sweep() {
      const [now, monotonic] = [clock.now(), clock.monotonic()];
      let looks = 0;
      for (const { stream, expiresAt } of resumed.values()) {
        if (now >= expiresAt) stream.close();
        else if (stream.unseenFor(monotonic) >= LOOK_MS && looks++ < MAX_LOOKS) stream.look(monotonic);
        stream.tend(monotonic);
      }
      for (const stream of begun.values()) stream.tend(monotonic);
    },

    endAll() {
      stopped = true;
      for (const { stream } of resumed.values()) stream.close();
    },
  };
}

function keyOf({ tenantId, sessionId, streamId }: StreamName): string {
  return `${tenantId}/${sessionId}/${streamId}`;
}
