import type { Clock } from "../core/clock.ts";
import type { Eventually } from "../core/eventually.ts";
import { parseSessionId, type SessionId, type TenantId } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import { createWriteBehind } from "../core/write-behind.ts";
import type { MessageLevel } from "../tenancy/client.ts";
import type { ClientDescription } from "./client-description.ts";
import { isObject, member } from "./json-rpc.ts";
import { isLevel } from "./message-levels.ts";
import { type EarlierRevision, isEarlier } from "./revisions.ts";
import type { Session } from "./session.ts";
import { createSessionCache } from "./session-cache.ts";
import { createSessionLookups, type Found } from "./session-lookups.ts";
import type { SessionName, SessionRow, SessionStore } from "./session-store.ts";
import type { SignalPort } from "./signal-port.ts";

/** The sessions of the previous generation: of all instances, whichever one of them is asked. */
export interface Sessions {
  /**
   * Where the tenant has as many as it may, whoever of it has the most loses the one that was not used for longest: its
   * client begins anew. Refuses `params_invalid` where the client's description is larger than it may be, `token_invalid`
   * where the tenant is gone, `rate_limited` (`data.limit` is "sessions") where no room was made.
   *
   * @param session.mayMakeRoom asked before room is made, which costs more than a session; what it refuses is refused.
   *   Without it none is made.
   */
  create(session: {
    readonly tenantId: TenantId;
    readonly principalKey: string;
    readonly revision: EarlierRevision;
    readonly client: ClientDescription;
    readonly mayMakeRoom?: () => Refusal | null;
  }): Promise<Session | Refusal>;
  /**
   * Null: there is no such session, or it is another tenant's or principal's, which is the same. At once where it was
   * confirmed within the last half second.
   *
   * @param sessionId as the client sent it.
   * @throws Fault `database_unavailable`.
   */
  get(tenantId: TenantId, sessionId: string, principalKey: string): Eventually<Session | null>;
  /** Each gives the session as it is then; refuses `session_unknown` where it has ended meanwhile. */
  setLogLevel(session: Session, level: MessageLevel): Promise<Session | Refusal>;
  /** Refuses also `rate_limited` (`data.limit` is "subscriptions") and `params_invalid`, for a URI that cannot be one. */
  subscribe(session: Session, uri: string): Promise<Session | Refusal>;
  unsubscribe(session: Session, uri: string): Promise<Session | Refusal>;
  /** Ends it here at once, and on every other instance within half a second. False: it had ended already. */
  end(session: Session): Promise<boolean>;
  close(): Promise<void>;
}

/** How long a session counts without being confirmed: within it the end of a session is in effect everywhere. */
const GOOD_MS = 500;
/** What was parsed of a client's text takes up to 15 times as much memory as the text (measured: 211 MB of 14 MB). */
const CACHE = { sessions: 50_000, characters: 8 * 1_048_576 } as const;
const MAX_SESSIONS_OF_TENANT = 10_000;
const MAX_URI = 2_048;
/** Bytes as of all before the last: they are read anew with each look at the session, which not every message pays for. */
const MOST_SUBSCRIBED = { uris: 1_000, bytes: 65_536 } as const;
/** JSON of what a client says of itself, in bytes: it is held in memory and in the database for as long as the session. */
const MAX_CLIENT_BYTES = 16 * 1_024;
/** Uses of sessions are noted together, this long after the first of them. */
const TOUCH_MS = 1_000;

export function createSessions(options: {
  readonly store: SessionStore;
  readonly signals: SignalPort;
  readonly ids: { session(): SessionId };
  readonly clock: Pick<Clock, "monotonic">;
  readonly onFault: (message: string, cause: unknown) => void;
}): Sessions {
  const { store, signals, ids, onFault } = options;
  const { monotonic } = options.clock;
  const cache = createSessionCache(CACHE);
  const touches = createWriteBehind<SessionName>({
    write: store.touch,
    lingerMs: TOUCH_MS,
    retryMs: TOUCH_MS,
    maxBatch: { items: 1_000, bytes: 1_000 },
    maxHeld: { items: 10_000, bytes: 10_000 },
    onFault: (message, cause) => onFault(`Uses of sessions: ${message}`, cause),
  });

  const take = ({ key, row, askedAt, current }: Found): Session | null => {
    const before = cache.get(key);
    if (row === null) {
      if (current) cache.drop(key);
      return null;
    }
    const session = before !== undefined && isSame(before.row, row) ? before.session : sessionOf(row);
    if (current && session !== null) {
      cache.put(key, { session, row, goodUntil: askedAt + GOOD_MS });
      if (row.unseen) touches.add({ tenantId: row.tenantId, sessionId: row.sessionId }, 1);
    }
    return session;
  };
  const lookups = createSessionLookups({ find: store.find, take, keyOf, monotonic, joinMs: GOOD_MS });

  const forget = (name: SessionName): void => {
    const key = keyOf(name);
    lookups.changed(key);
    cache.drop(key);
  };
  const heard = ({ tenantId, payload }: { tenantId: TenantId; payload: { sessionId: SessionId } }): void =>
    forget({ tenantId, sessionId: payload.sessionId });
  const unsubscribe = [
    signals.subscribe("session_ended", heard),
    signals.subscribe("session_changed", heard),
  ];

  const changed = (
    topic: "session_changed" | "session_ended",
    { tenantId, id: sessionId }: Session,
  ): void => {
    forget({ tenantId, sessionId });
    signals.publish({ tenantId, topic, payload: { sessionId } });
  };

  const change = async (
    session: Session,
    write: (name: SessionName) => Promise<SessionRow | null>,
  ): Promise<Session | Refusal> => {
    const row = await write({ tenantId: session.tenantId, sessionId: session.id });
    changed("session_changed", session);
    return (row === null ? null : sessionOf(row)) ?? refuse("session_unknown");
  };

  return {
    async create({ tenantId, principalKey, revision, client, mayMakeRoom }) {
      const text = JSON.stringify(client);
      if (Buffer.byteLength(text) > MAX_CLIENT_BYTES) {
        return refuse("params_invalid", {
          detail: `clientInfo and capabilities may have ${MAX_CLIENT_BYTES} bytes together.`,
        });
      }
      const row = {
        tenantId,
        sessionId: ids.session(),
        principalKey,
        revision,
        client: text,
        logLevel: null,
        subscriptions: [],
        unseen: false,
      };
      const askedAt = monotonic();
      let outcome = await store.insert(row, { most: MAX_SESSIONS_OF_TENANT, makeRoom: false });
      if (outcome === "full" && mayMakeRoom !== undefined) {
        const refused = mayMakeRoom();
        if (refused !== null) return refused;
        outcome = await store.insert(row, { most: MAX_SESSIONS_OF_TENANT, makeRoom: true });
      }
      if (outcome === "no_tenant") return refuse("token_invalid");
      if (outcome === "full") {
        return refuse("rate_limited", { data: { limit: "sessions" }, retryAfterMs: 60_000 });
      }
      const session = {
        id: row.sessionId,
        tenantId,
        principalKey,
        revision,
        client,
        logLevel: null,
        subscriptions: new Set<string>(),
      };
      cache.put(keyOf(row), { session, row, goodUntil: askedAt + GOOD_MS });
      return session;
    },

    get(tenantId, sessionId, principalKey) {
      // Of both: another tenant's lookup of the same id is as long as one of an id that does not exist.
      const key = `${tenantId}/${sessionId}`;
      const cached = cache.get(key);
      if (cached !== undefined && monotonic() < cached.goodUntil) {
        return ofPrincipal(cached.session, principalKey);
      }
      const id = parseSessionId(sessionId);
      if (id === null) return null;
      return lookups
        .find(key, { tenantId, sessionId: id })
        .then((session) => ofPrincipal(session, principalKey));
    },

    setLogLevel: (session, level) => change(session, (name) => store.setLogLevel(name, level)),

    async subscribe(session, uri) {
      if (uri.length > MAX_URI || uri.includes("\0") || !uri.isWellFormed()) {
        return refuse("params_invalid", {
          detail: `uri may have ${MAX_URI} characters of well-formed Unicode without NUL.`,
        });
      }
      const now = await change(session, (name) => store.subscribe(name, uri, MOST_SUBSCRIBED));
      if ("subscriptions" in now && !now.subscriptions.has(uri)) {
        return refuse("rate_limited", { data: { limit: "subscriptions" } });
      }
      return now;
    },

    async unsubscribe(session, uri) {
      // It cannot be among them, and the database would not take it.
      if (uri.includes("\0")) return session;
      return change(session, (name) => store.unsubscribe(name, uri));
    },

    async end(session) {
      const was = await store.remove({ tenantId: session.tenantId, sessionId: session.id });
      changed("session_ended", session);
      return was;
    },

    async close() {
      for (const each of unsubscribe) each();
      await touches.close();
    },
  };
}

function keyOf({ tenantId, sessionId }: SessionName): string {
  return `${tenantId}/${sessionId}`;
}

function ofPrincipal(session: Session | null, principalKey: string): Session | null {
  return session !== null && session.principalKey === principalKey ? session : null;
}

function isSame(one: SessionRow, other: SessionRow): boolean {
  return (
    one.logLevel === other.logLevel &&
    one.client === other.client &&
    one.subscriptions.length === other.subscriptions.length &&
    one.subscriptions.every((uri, index) => uri === other.subscriptions[index])
  );
}

/** Null for what another version has written in a way that this one cannot read: its client begins anew. */
function sessionOf(row: SessionRow): Session | null {
  const { sessionId: id, tenantId, principalKey, revision, logLevel, subscriptions } = row;
  const client = parseClient(row.client);
  if (!isEarlier(revision) || client === null || (logLevel !== null && !isLevel(logLevel))) return null;
  return {
    id,
    tenantId,
    principalKey,
    revision,
    client,
    logLevel,
    subscriptions: new Set(subscriptions),
  };
}

function parseClient(text: string): ClientDescription | null {
  let client: unknown;
  try {
    client = JSON.parse(text);
  } catch {
    // Thrown on, it would be the failure of every session of the same query.
    return null;
  }
  if (!isObject(client)) return null;
  const name = member(client, "name");
  const version = member(client, "version");
  const capabilities = member(client, "capabilities");
  return {
    name: typeof name === "string" ? name : null,
    version: typeof version === "string" ? version : null,
    capabilities: isObject(capabilities) ? capabilities : {},
  };
}
