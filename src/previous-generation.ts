/** The life of a request of the previous generation (2025-11-25 and before), from where its caller is known. */
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { Catalog } from "./catalog/catalog.ts";
import type { Clock } from "./core/clock.ts";
import { errorRow } from "./core/error-table.ts";
import type { EventSink } from "./core/event.ts";
import { after, type Eventually } from "./core/eventually.ts";
import { Fault } from "./core/fault.ts";
import type { IdSource } from "./core/ids.ts";
import { isRefusal, type Refusal, refuse } from "./core/refusal.ts";
import type { Caller } from "./identity/caller.ts";
import type { ConcurrencyLimiter, HeldPlace } from "./limits/concurrency.ts";
import type { TenantRateLimiter } from "./limits/tenant-rate-limiter.ts";
import type { AuditTrail } from "./observe/audit-trail.ts";
import type { Operate } from "./operate.ts";
import { answerJson } from "./protocol/answers.ts";
import { capabilitiesOf } from "./protocol/discover.ts";
import type { ClientAnswers } from "./protocol/earlier/client-answers.ts";
import { EarlierReply } from "./protocol/earlier/earlier-reply.ts";
import { checkEarlierRequest } from "./protocol/earlier/earlier-request.ts";
import { parseEventId } from "./protocol/earlier/event-id.ts";
import { initialized, readInitialize } from "./protocol/earlier/initialize.ts";
import { LiveConversation } from "./protocol/earlier/live-conversation.ts";
import { PostAnswer } from "./protocol/earlier/post-answer.ts";
import type { ResumableStreams } from "./protocol/earlier/resumable-streams.ts";
import type { RunningRequests } from "./protocol/earlier/running-requests.ts";
import { readSessionHeaders } from "./protocol/earlier/session-headers.ts";
import { SharedWork } from "./protocol/earlier/shared-work.ts";
import { takesEvents } from "./protocol/event-stream.ts";
import {
  type ClientBatch,
  type ClientBody,
  type ClientMessage,
  type ClientResponse,
  errorResponse,
  isObject,
  isRequestId,
  member,
  type RequestId,
  resultResponse,
} from "./protocol/json-rpc.ts";
import type { Work } from "./protocol/open-work.ts";
import type { Outbox } from "./protocol/outbox.ts";
import { recordOpening } from "./protocol/record-opening.ts";
import { CURRENT } from "./protocol/revisions.ts";
import type { Session } from "./protocol/session.ts";
import { isEventOfSession, type SessionStreams } from "./protocol/session-streams.ts";
import type { Sessions } from "./protocol/sessions.ts";
import type { SignalPort } from "./protocol/signal-port.ts";
import { type Principal, principalKey } from "./tenancy/principal.ts";

/** Serves sessions. Each gives the refusal to answer, or null where it has answered. */
export interface PreviousGeneration {
  /** A body that was read. */
  post(
    res: ServerResponse,
    of: {
      readonly caller: Caller;
      readonly place: HeldPlace;
      /** Why none of its requests may run, where the tenant has no place for an operation; answers are heard. */
      readonly crowded: Refusal | null;
      readonly work: Work;
      readonly message: ClientBody;
      readonly headers: IncomingHttpHeaders;
      readonly bytesIn: number;
      /** The WWW-Authenticate value of a refusal. */
      readonly challengeOf: (refusal: Refusal) => string | undefined;
    },
  ): Promise<Refusal | null>;
  /** The session that a request's headers name: its caller's own, or the refusal to answer. At once where it is cached. */
  ownSession(headers: IncomingHttpHeaders, caller: Caller): Eventually<Session | Refusal>;
  /** GET: a session's own stream, or the rest of another. DELETE: its end. */
  serve(
    res: ServerResponse,
    of: {
      readonly caller: Caller;
      readonly method: "GET" | "DELETE";
      readonly headers: IncomingHttpHeaders;
      readonly work: Work;
    },
  ): Promise<Refusal | null>;
  /**
   * Cancels what runs here in sessions that have ended without this instance's hearing of it. To be called every few
   * seconds.
   *
   * @throws Fault `database_unavailable`.
   */
  sweep(): Promise<void>;
}

/** What sessions are served with. */
export interface PreviousGenerationRooms {
  readonly clock: Clock;
  readonly ids: Pick<IdSource, "operation">;
  readonly emit: EventSink;
  readonly audit: Pick<AuditTrail, "record">;
  readonly catalog: Catalog;
  readonly rates: Pick<TenantRateLimiter, "consume">;
  readonly concurrency: ConcurrencyLimiter;
  readonly operate: Operate;
  readonly sessions: Pick<Sessions, "create" | "get" | "end">;
  readonly signals: SignalPort;
  readonly running: RunningRequests;
  readonly answers: ClientAnswers;
  readonly streams: ResumableStreams;
  readonly sessionStreams: Pick<SessionStreams<Caller>, "open" | "endSession">;
  readonly outbox: Outbox;
}

type Post = Parameters<PreviousGeneration["post"]>[1];

export function createPreviousGeneration(rooms: PreviousGenerationRooms): PreviousGeneration {
  const { clock, emit, rates, sessions, signals, running, answers, streams, sessionStreams } = rooms;
  const capabilities = capabilitiesOf(rooms.catalog);
  const { server } = rooms.catalog;

  // ---- what other instances say ------------------------------------------------------------------------------------
  signals.subscribe("client_answer", ({ tenantId, payload }) => {
    const [result, error] = [member(payload.message, "result"), member(payload.message, "error")];
    answers.take({ tenantId, id: payload.sessionId }, payload.requestId, {
      result: isObject(result) ? result : null,
      error: isObject(error) ? error : null,
    });
  });
  signals.subscribe("client_cancelled", ({ tenantId, payload }) => {
    running.cancel({ tenantId, id: payload.sessionId }, payload.requestId);
  });
  signals.subscribe("session_ended", ({ tenantId, payload }) => {
    const session = { tenantId, id: payload.sessionId };
    running.cancelAll(session);
    streams.endSession(session);
  });

  // ---- the session that a request names, which must be its caller's own ---------------------------------------------
  // By the caller's own object, which is the same from request to request: a hash at each would cost as much as the session.
  const owners = new WeakMap<Principal, string>();
  const ownerOf = (principal: Principal): string => {
    let owner = owners.get(principal);
    if (owner === undefined) {
      owner = principalKey(principal);
      owners.set(principal, owner);
    }
    return owner;
  };

  const ownSession = (headers: IncomingHttpHeaders, caller: Caller): Eventually<Session | Refusal> => {
    const sessionId = readSessionHeaders(headers);
    if (isRefusal(sessionId)) return sessionId;
    const { snapshot, principal } = caller;
    const found = sessions.get(snapshot.id, sessionId, ownerOf(principal));
    return after(found, (session) => session ?? refuse("session_unknown"));
  };

  const admit = ({ snapshot }: Caller): Refusal | null => rates.consume(snapshot.id, snapshot.limits);

  // ---- initialize: a new session -----------------------------------------------------------------------------------
  const begin = async (res: ServerResponse, of: Post, message: ClientMessage): Promise<Refusal | null> => {
    const { snapshot, principal } = of.caller;
    const started = clock.monotonic();
    const at = clock.now();
    if (message.id === undefined || of.headers["mcp-session-id"] !== undefined) {
      return refuse("message_invalid", { detail: "initialize is a request, outside any session." });
    }
    const read = readInitialize(message.params);
    if (isRefusal(read)) return read;
    const { revision, client } = read;
    const session = await sessions.create({
      tenantId: snapshot.id,
      principalKey: ownerOf(principal),
      revision,
      client,
      // Not counted by itself; at the cost of others it is.
      mayMakeRoom: () => admit(of.caller),
    });
    if (isRefusal(session)) return session;
    if (of.work.ended !== null) return of.work.ended;
    const text = resultResponse(message.id, initialized(revision, { server, capabilities }).members);
    recordOpening(rooms, {
      principal,
      method: "initialize",
      revision,
      traceId: null,
      at,
      started,
      bytesIn: of.bytesIn,
      bytesOut: Buffer.byteLength(text),
    });
    answerJson(res, 200, text, { "mcp-session-id": session.id });
    return null;
  };

  // ---- what needs no answer ----------------------------------------------------------------------------------------
  const hear = (caller: Caller, session: Session, message: ClientMessage): Refusal | null => {
    if (message.method !== "notifications/cancelled") return null;
    const requestId = member(message.params, "requestId");
    if (!isRequestId(requestId)) return null;
    if (running.cancel(session, requestId)) return null;
    // It may run elsewhere. What every instance is told counts as much as a request.
    const over = admit(caller);
    if (over !== null) return over;
    const payload = { sessionId: session.id, requestId };
    signals.publish({ tenantId: session.tenantId, topic: "client_cancelled", payload });
    return null;
  };

  const takeAnswer = (caller: Caller, session: Session, response: ClientResponse): Refusal | null => {
    const { id, result, error } = response;
    if (answers.take(session, id, response) || !answers.isOurs(id)) return null;
    const over = admit(caller);
    if (over !== null) return over;
    const payload = { sessionId: session.id, requestId: id, message: { result, error } };
    return signals.publish({ tenantId: session.tenantId, topic: "client_answer", payload });
  };

  const accepted = (res: ServerResponse): null => {
    res.writeHead(202).end();
    return null;
  };

  // ---- a request, alone or in a batch: from its message to its answer ----------------------------------------------
  const refuseOne = (
    reply: EarlierReply,
    refusal: Refusal,
    of: { readonly session: Session; readonly id: RequestId | null },
  ): void => {
    const { tenantId, revision } = of.session;
    const stage = refusal.code === "rate_limited" ? "admit" : "protocol";
    emit({ type: "refusal", at: clock.now(), tenantId, stage, code: refusal.code, cause: refusal.cause });
    reply.answer(errorResponse(of.id, refusal, revision), refusal);
  };

  const perform = async (
    reply: EarlierReply,
    message: ClientMessage & { readonly id: RequestId },
    of: {
      readonly session: Session;
      readonly caller: Caller;
      readonly place: HeldPlace | Refusal;
      readonly work: Work;
      readonly bytesIn: number;
    },
  ): Promise<void> => {
    const { session, caller, place, work, bytesIn } = of;
    const { id } = message;
    // Bad ones count as well: or else they were free. Whoever pings only asks whether we are there.
    const over = message.method === "ping" ? null : admit(caller);
    if (over !== null) return refuseOne(reply, over, { session, id });
    if (isRefusal(place)) return refuseOne(reply, place, { session, id });
    const request = checkEarlierRequest(message, session);
    if (isRefusal(request)) return refuseOne(reply, request, { session, id });

    const remove = running.add(session, id, reply);
    const conversations: LiveConversation[] = [];
    try {
      const open = (run: ConstructorParameters<typeof LiveConversation>[0]): LiveConversation => {
        const conversation = new LiveConversation(run, { session, line: reply, answers });
        conversations.push(conversation);
        return conversation;
      };
      await rooms.operate({ caller, request, reply, place, work, open, bytesIn });
    } catch (cause) {
      // Answered here: others may share its response, and its client may be about to come back for it.
      const { tenantId } = session;
      const texts = { where: "request", message: "A request of a session failed outside its operation." };
      emit({ type: "fault", at: clock.now(), level: "error", ...texts, tenantId, cause });
      const passing = cause instanceof Fault && errorRow(cause.code).http === 503;
      const refusal = passing ? refuse(cause.code, { retryAfterMs: 1_000 }) : refuse("internal");
      reply.answer(errorResponse(id, refusal, session.revision), refusal);
    } finally {
      remove();
      for (const conversation of conversations) conversation.close();
    }
  };

  const answerTo = (res: ServerResponse, of: Post, session: Session, batchOf: number | null): PostAnswer =>
    new PostAnswer(res, {
      session,
      batchOf,
      takesEvents: takesEvents(of.headers.accept),
      challengeOf: of.challengeOf,
      begin: streams.begin,
      outbox: rooms.outbox,
      now: clock.monotonic,
    });

  // ---- several messages at once: revision 2025-03-26 alone ----------------------------------------------------------
  const performAll = async (
    res: ServerResponse,
    of: Post,
    session: Session,
    { members }: ClientBatch,
  ): Promise<Refusal | null> => {
    if (session.revision !== "2025-03-26") {
      return refuse("message_invalid", { detail: `Revision ${session.revision} has no batches.` });
    }
    const { caller } = of;
    const toAnswer = members.filter((each) => isRefusal(each) || isRequest(each)).length;
    const post = answerTo(res, of, session, toAnswer);
    const work = new SharedWork(of.work);
    const performing: Promise<void>[] = [];
    let unheard: Refusal | null = null;
    for (const each of members) {
      if (isRefusal(each)) {
        admit(caller);
        refuseOne(new EarlierReply(post), each, { session, id: null });
      } else if (each.kind === "response") {
        unheard = takeAnswer(caller, session, each) ?? unheard;
      } else if (isRequest(each)) {
        // The first has the place of the whole: each counts among the operations in flight, and none twice.
        const first = performing.length === 0;
        const { id: tenantId, limits } = caller.snapshot;
        const place = first
          ? (of.crowded ?? of.place)
          : rooms.concurrency.enter(tenantId, limits.maxConcurrency);
        const part = { session, caller, place, work: work.part(), bytesIn: first ? of.bytesIn : 0 };
        const leave = (): void => {
          // The first one's is left by whoever gave it: after the answer of all of them.
          if (!isRefusal(place) && !first) place.leave();
          part.work.finish();
        };
        performing.push(perform(new EarlierReply(post), each, part).finally(leave));
      } else {
        unheard = hear(caller, session, each) ?? unheard;
      }
    }
    if (toAnswer === 0) return unheard ?? accepted(res);
    await Promise.all(performing);
    return null;
  };

  // ------------------------------------------------------------------------------------------------------------------

  return {
    ownSession,

    sweep: () =>
      running.sweep(({ tenantId, id, principalKey }) =>
        after(sessions.get(tenantId, id, principalKey), (session) => session !== null),
      ),

    async post(res, of) {
      const { caller, message, work } = of;
      if (message.kind === "message" && message.method === "initialize") return begin(res, of, message);

      const session = await ownSession(of.headers, caller);
      if (isRefusal(session)) return session;
      if (work.ended !== null) return work.ended;

      switch (message.kind) {
        case "response":
          return takeAnswer(caller, session, message) ?? accepted(res);
        case "batch":
          return performAll(res, of, session, message);
        case "message":
          if (!isRequest(message)) return hear(caller, session, message) ?? accepted(res);
          await perform(new EarlierReply(answerTo(res, of, session, null)), message, {
            session,
            caller,
            place: of.crowded ?? of.place,
            work,
            bytesIn: of.bytesIn,
          });
          return null;
      }
    },

    async serve(res, { caller, method, headers, work }) {
      // A client of the current revision has no sessions, and is told so by what it knows.
      if (headers["mcp-protocol-version"] === CURRENT) return refuse("method_not_allowed");
      // A look at a session, or at the log of a stream, is a query of the database.
      const over = admit(caller);
      if (over !== null) return over;
      const session = await ownSession(headers, caller);
      if (isRefusal(session)) return session;
      if (work.ended !== null) return work.ended;

      if (method === "DELETE") {
        const ended = await sessions.end(session);
        running.cancelAll(session);
        streams.endSession(session);
        sessionStreams.endSession(session);
        if (!ended) return refuse("session_unknown");
        res.writeHead(204).end();
        return null;
      }

      if (!takesEvents(headers.accept)) return refuse("not_acceptable");
      const last = headers["last-event-id"];
      const at = typeof last === "string" ? parseEventId(last) : null;
      if (at !== null) {
        return streams.resume(res, { session, at, work, expiresAt: caller.principal.expiresAt });
      }
      const returning = typeof last === "string" && isEventOfSession(last);
      const opened = await sessionStreams.open(res, { session, caller, work, returning });
      return isRefusal(opened) ? opened : null;
    },
  };
}

function isRequest(
  message: ClientMessage | ClientResponse,
): message is ClientMessage & { readonly id: RequestId } {
  return message.kind === "message" && message.id !== undefined;
}
