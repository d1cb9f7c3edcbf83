import type { ServerResponse } from "node:http";
import type { Catalog } from "../catalog/catalog.ts";
import type { Clock } from "../core/clock.ts";
import type { Eventually } from "../core/eventually.ts";
import type { TenantId } from "../core/ids.ts";
import { isRefusal, type Refusal, refuse } from "../core/refusal.ts";
import type { Principal } from "../tenancy/principal.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import type { ChangeStreams, OpenedStream } from "./change-streams.ts";
import { EventOutlet, type EventWords } from "./event-outlet.ts";
import type { EventStream } from "./event-stream.ts";
import type { Work, WorkingCaller } from "./open-work.ts";
import type { Session } from "./session.ts";
import type { Sessions } from "./sessions.ts";
import type { SignalPort } from "./signal-port.ts";
import { offeredLists } from "./subscription-filter.ts";

/** As much of a caller as a session's own stream needs. */
export interface SessionCaller extends WorkingCaller {
  readonly principal: Principal;
}

/**
 * The streams that sessions have of their own (2025-11-25, basic, transports, "Listening for Messages from the Server"):
 * what is told there belongs to no request. One a session: a newer one ends the older, on whichever instance that is.
 */
export interface SessionStreams<Caller extends SessionCaller> {
  /**
   * Answers with the stream, which ends with `work`, the session and the instance. Gives the refusal to answer where it
   * does not. The session is the caller's.
   *
   * @param of.returning the client names the last event that it has seen ({@link isEventOfSession}). What it missed is not
   *   kept: it is told of every list and every resource that it subscribed to, since hearing of a change once too often
   *   does no harm.
   */
  open(
    res: ServerResponse,
    of: {
      readonly session: Session;
      readonly caller: Caller;
      readonly work: Work;
      readonly returning: boolean;
    },
  ): Promise<OpenedStream | Refusal>;
  /** The session has ended on this instance; others hear of it by signal. */
  endSession(session: Pick<Session, "tenantId" | "id">): void;
  close(): void;
}

/** What a client is told to wait before it comes back, in milliseconds. */
const RETRY_MS = 1_000;
/** Within this time of each other two streams may have been opened at once, in milliseconds: the older one of both ends. */
const AT_ONCE_MS = 1_000;
/** Apart from the streams that answer POSTs. */
const PREFIX = "get_";
const FORM = /^get_[0-9a-z]{9}[A-Za-z0-9_-]{12}\.(0|[1-9]\d{0,14})$/;

/** Whether an event id is one of a session's own stream: of no other is a client told what it missed here. */
export function isEventOfSession(lastEventId: string): boolean {
  return FORM.test(lastEventId);
}

interface Own {
  readonly streamId: string;
  /** On the monotonic clock. */
  readonly openedAt: number;
  readonly end: () => void;
}

export function createSessionStreams<Caller extends SessionCaller>(options: {
  readonly clock: Clock;
  readonly random: (bytes: number) => Uint8Array;
  readonly catalog: Pick<Catalog, "tools" | "prompts" | "resources">;
  readonly streams: Pick<ChangeStreams, "open">;
  readonly sessions: Pick<Sessions, "get">;
  readonly signals: SignalPort;
  /** The tenant as it is now; null: it is gone. */
  readonly current: (tenantId: TenantId) => Eventually<TenantSnapshot | null>;
  readonly stillHolds: (snapshot: TenantSnapshot, caller: Caller) => boolean;
  /** A caller's permissions under newer snapshots of its tenant. What it gives lives as long as the stream. */
  readonly grantsOf: (caller: Caller) => (snapshot: TenantSnapshot) => ReadonlySet<string>;
}): SessionStreams<Caller> {
  const { clock, random, streams, sessions, signals } = options;
  const lists = [...offeredLists(options.catalog)];
  // Bounded as the open streams are.
  const bySession = new Map<string, Own>();

  const newStreamId = (): string =>
    `${PREFIX}${clock.now().toString(36).padStart(9, "0")}${Buffer.from(random(9)).toString("base64url")}`;

  const endSession = (tenantId: TenantId, sessionId: string): void =>
    bySession.get(`${tenantId}/${sessionId}`)?.end();

  const unsubscribe = [
    signals.subscribe("session_ended", ({ tenantId, payload }) => endSession(tenantId, payload.sessionId)),
    signals.subscribe("stream_opened", ({ tenantId, payload: { sessionId, streamId } }) => {
      const own = bySession.get(`${tenantId}/${sessionId}`);
      if (own === undefined) return;
      // Ids sort by age: of two that were opened at once on two instances, one remains. Later, clocks do not matter.
      const isNewer = streamId > own.streamId || clock.monotonic() - own.openedAt > AT_ONCE_MS;
      if (isNewer) own.end();
    }),
  ];

  return {
    async open(res, { session, caller, work, returning }) {
      const { tenantId, id: sessionId, principalKey } = session;
      const looked = options.current(tenantId);
      const snapshot = looked instanceof Promise ? await looked : looked;
      if (snapshot === null || !options.stillHolds(snapshot, caller)) return refuse("credentials_ended");
      const key = `${tenantId}/${sessionId}`;
      // First, so that a tenant with as many streams as it may have can still come back.
      bySession.get(key)?.end();
      const streamId = newStreamId();
      const words = new SessionWords({ streamId, primed: session.revision === "2025-11-25" });
      const subscriptions = (): Eventually<ReadonlySet<string> | null> => {
        const found = sessions.get(tenantId, sessionId, principalKey);
        return found instanceof Promise
          ? found.then((now) => now?.subscriptions ?? null)
          : (found?.subscriptions ?? null);
      };
      const opened = streams.open(
        {
          connect: () => new EventOutlet(res, words),
          generation: "earlier",
          lists,
          subscriptions,
          snapshot,
          grantedUnder: options.grantsOf(caller),
          expiresAt: caller.principal.expiresAt,
        },
        work,
        returning,
      );
      if (isRefusal(opened)) return opened;
      const own: Own = { streamId, openedAt: clock.monotonic(), end: opened.end };
      bySession.set(key, own);
      res.once("close", () => {
        if (bySession.get(key) === own) bySession.delete(key);
      });
      signals.publish({ tenantId, topic: "stream_opened", payload: { sessionId, streamId } });
      // It may have ended since it was looked at; what cannot be read now is looked at again when the stream is quiet.
      Promise.resolve(subscriptions()).then(
        (now) => {
          if (now === null) opened.end();
        },
        () => {},
      );
      return opened;
    },

    endSession: ({ tenantId, id }) => endSession(tenantId, id),

    close() {
      for (const each of unsubscribe) each();
    },
  };
}

/** The messages of a session's own stream: notifications as such, each with the id to come back with. */
class SessionWords implements EventWords {
  readonly #streamId: string;
  readonly #primed: boolean;
  #seq = 0;

  /** @param of.primed whether the client knows events without data: it does since 2025-11-25. */
  constructor(of: { readonly streamId: string; readonly primed: boolean }) {
    this.#streamId = of.streamId;
    this.#primed = of.primed;
  }

  begin(events: EventStream): number {
    if (this.#primed) events.prime(`${this.#streamId}.0`, RETRY_MS);
    // Something must be sent, or the head would wait for it as well.
    else events.keepAlive();
    return 0;
  }

  notify(events: EventStream, method: string, params: string): void {
    const rest = params === "" ? "" : `,"params":{${params}}`;
    events.event(`${this.#streamId}.${++this.#seq}`, `{"jsonrpc":"2.0","method":"${method}"${rest}}`);
  }

  end(events: EventStream): void {
    events.close();
  }
}
