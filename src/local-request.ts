/** The life of one request over a local connection, top to bottom: what the pipeline is to one that comes by HTTP. */
import type { RefusalEvent } from "./core/event.ts";
import type { TenantId } from "./core/ids.ts";
import { isRefusal, type Refusal, refuse } from "./core/refusal.ts";
import type { Caller } from "./identity/caller.ts";
import type { LocalSession } from "./local-session.ts";
import type { PipelineRooms } from "./pipeline.ts";
import { decidePlacement } from "./placement/decide-placement.ts";
import { checkEarlierRequest } from "./protocol/earlier/earlier-request.ts";
import { namesItsRevision } from "./protocol/era.ts";
import type { ClientMessage, RequestId } from "./protocol/json-rpc.ts";
import type { McpRequest } from "./protocol/mcp-request.ts";
import type { Work } from "./protocol/open-work.ts";
import { checkRequest } from "./protocol/revision-2026-07-28.ts";
import { CURRENT, type Revision } from "./protocol/revisions.ts";
import type { LineReply } from "./protocol/stdio/line-reply.ts";
import type { TenantSnapshot } from "./tenancy/tenant-snapshot.ts";

/** What the stages are made of. */
export type LocalRequestRooms = Pick<
  PipelineRooms,
  "directory" | "role" | "rates" | "concurrency" | "operate" | "openWork" | "rounds" | "draining"
>;

/** A request that was read, and the connection that it came by. */
export interface LocalRequest {
  readonly message: ClientMessage & { readonly id: RequestId };
  readonly bytesIn: number;
  readonly reply: LineReply;
  readonly tenantId: TenantId;
  readonly session: LocalSession;
  readonly callerUnder: (snapshot: TenantSnapshot) => Caller;
  /** Opens the stream of a `subscriptions/listen`, which outlives this. Gives the refusal to answer where it does not. */
  readonly listen: (
    request: McpRequest,
    of: { caller: Caller; work: Work; bytesIn: number },
  ) => Promise<Refusal | null>;
}

/** What ended a request before it became an operation. */
export interface LocalRefusal {
  readonly refusal: Refusal;
  readonly stage: RefusalEvent["stage"];
  readonly revision: Revision;
}

/** What a client is told to wait for what passes by itself, in milliseconds. */
const RETRY_MS = 1_000;

/** Why a tenant is not served here; null: it is. */
export function unservable(role: LocalRequestRooms["role"], snapshot: TenantSnapshot): Refusal | null {
  return snapshot.status === "suspended" ? refuse("tenant_suspended") : decidePlacement(role, snapshot);
}

/** Serves a request. Gives what to answer where it did not become an operation, and null where it was answered. */
export async function serveLocally(rooms: LocalRequestRooms, of: LocalRequest): Promise<LocalRefusal | null> {
  const { directory, rates } = rooms;
  const { message, reply } = of;
  const stop = (
    refusal: Refusal,
    stage: RefusalEvent["stage"],
    revision: Revision = CURRENT,
  ): LocalRefusal => ({
    refusal,
    stage,
    revision,
  });

  // ---- tenancy: the tenant as it is now ----------------------------------------------------------------------------
  if (rooms.draining()) return stop(refuse("stopping", { retryAfterMs: RETRY_MS }), "http");
  if (!directory.isFresh()) return stop(refuse("configuration_stale", { retryAfterMs: RETRY_MS }), "http");
  const looked = directory.byId(of.tenantId);
  const snapshot = looked instanceof Promise ? await looked : looked;
  if (snapshot === null) return stop(refuse("credentials_ended"), "identity");
  const unserved = unservable(rooms.role, snapshot);
  if (unserved !== null) return stop(unserved, "tenancy");
  const caller = of.callerUnder(snapshot);

  // ---- protocol: which generation, and what is asked for -------------------------------------------------------------
  const isCurrent = namesItsRevision(message);
  if (!isCurrent && message.method === "initialize") {
    const { bytesIn } = of;
    const refused = await of.session.initialize(message, {
      caller,
      bytesIn,
      answer: (text) => reply.answer(text),
    });
    return refused === null ? null : stop(refused, "protocol");
  }
  const session = isCurrent ? null : await of.session.current();
  if (isRefusal(session)) return stop(session, "protocol");
  const request =
    session === null ? checkRequest(message, message.id, null) : checkEarlierRequest(message, session);
  const revision = session?.revision ?? CURRENT;
  if (isRefusal(request)) {
    // It counts, although it is no operation: or else bad messages were free.
    rates.consume(snapshot.id, snapshot.limits);
    return stop(request, "protocol", revision);
  }

  // ---- admit ---------------------------------------------------------------------------------------------------------
  const over = request.method === "ping" ? null : rates.consume(snapshot.id, snapshot.limits);
  if (over !== null) return stop(over, "admit", revision);
  const place = rooms.concurrency.enter(snapshot.id, snapshot.limits.maxConcurrency);
  if (isRefusal(place)) return stop(place, "admit", revision);
  const work = rooms.openWork.begin(caller);
  const live = session === null ? null : of.session.converse(session, reply);
  try {
    // ---- a stream: it outlives this request, and leaves its place among the operations in flight ---------------------
    if (request.method === "subscriptions/listen") {
      const refused = await of.listen(request, { caller, work, bytesIn: of.bytesIn });
      return refused === null ? null : stop(refused, refused.code === "rate_limited" ? "admit" : "catalog");
    }
    // ---- the handler may ask back: by questions on this channel, or by rounds ----------------------------------------
    const open = live === null ? await rooms.rounds(request, caller) : live.open;
    if (isRefusal(open)) return stop(open, "protocol", revision);

    // ---- catalog, data, observe --------------------------------------------------------------------------------------
    await rooms.operate({ caller, request, reply, place, work, open, bytesIn: of.bytesIn });
    return null;
  } finally {
    live?.close();
    place.leave();
    work.finish();
  }
}
