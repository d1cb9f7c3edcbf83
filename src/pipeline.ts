/**
 * The life of one request, top to bottom. Who reads only this file knows the system: each stage either goes on or ends
 * the request with a refusal, and nothing that depends on the body happens before identity is settled.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Catalog } from "./catalog/catalog.ts";
import type { Clock } from "./core/clock.ts";
import type { EventSink, RefusalEvent } from "./core/event.ts";
import { after, type Eventually } from "./core/eventually.ts";
import type { Slug } from "./core/ids.ts";
import { isRefusal, type Refusal, refuse } from "./core/refusal.ts";
import type { Authenticator } from "./identity/authenticator.ts";
import type { Caller } from "./identity/caller.ts";
import { permissionsUnder } from "./identity/principal-of.ts";
import { challenge, metadataUrlFor, resourceMetadata } from "./identity/resource-metadata.ts";
import { INTROSPECTION_LIMIT } from "./identity/verified-token.ts";
import type { AddressLimiter } from "./limits/address-limiter.ts";
import type { ConcurrencyLimiter, HeldPlace } from "./limits/concurrency.ts";
import type { TenantRateLimiter } from "./limits/tenant-rate-limiter.ts";
import { lackedPermission, type Operate } from "./operate.ts";
import { decidePlacement, type InstanceRole } from "./placement/decide-placement.ts";
import type { PreviousGeneration } from "./previous-generation.ts";
import { answerJson, answerRefusal } from "./protocol/answers.ts";
import type { OpenConversation } from "./protocol/conversation.ts";
import type { Deadlines } from "./protocol/deadlines.ts";
import { isEarlierGeneration, isOfSession } from "./protocol/era.ts";
import { takesEvents } from "./protocol/event-stream.ts";
import { HttpReply } from "./protocol/http-reply.ts";
import { parseBody, type RequestId } from "./protocol/json-rpc.ts";
import type { ListenOperation } from "./protocol/listen-operation.ts";
import type { McpRequest } from "./protocol/mcp-request.ts";
import type { OpenWork, Work } from "./protocol/open-work.ts";
import type { Outbox } from "./protocol/outbox.ts";
import { checkMediaType, readBody } from "./protocol/request-body.ts";
import { checkRequest } from "./protocol/revision-2026-07-28.ts";
import { untilRead } from "./protocol/until-read.ts";
import type { TenantDirectory } from "./tenancy/tenant-directory.ts";
import type { TenantSnapshot } from "./tenancy/tenant-snapshot.ts";

/** What the stages are made of. */
export interface PipelineRooms {
  readonly clock: Clock;
  readonly emit: EventSink;
  /** The shared resource identifier, and a tenant's: from configuration, never from a header. */
  readonly resourceOf: (slug: Slug | null) => string;
  readonly addresses: AddressLimiter;
  readonly directory: TenantDirectory;
  readonly authenticator: Authenticator;
  readonly role: InstanceRole;
  readonly rates: TenantRateLimiter;
  readonly concurrency: ConcurrencyLimiter;
  readonly catalog: Catalog;
  readonly operate: Operate;
  readonly openWork: OpenWork<Caller>;
  readonly listening: ListenOperation<Caller>;
  /** The rounds of a request whose handler asks back: continues the one whose state it brings. */
  readonly rounds: (request: McpRequest, caller: Caller) => Eventually<OpenConversation | Refusal>;
  /** Serves revisions before the current one. */
  readonly previous: PreviousGeneration;
  /** Largest body of any tenant whose limit says nothing, in bytes. */
  readonly maxBodyBytes: number;
  readonly bodyTimeoutMs: number;
  readonly deadlines: Deadlines;
  readonly outbox: Outbox;
  /** True once the server takes no more requests. */
  readonly draining: () => boolean;
}

/** Serves the MCP endpoint of one tenant, or the shared one (slug null), and its resource metadata. */
export interface Pipeline {
  serveMcp(req: IncomingMessage, res: ServerResponse, slug: Slug | null): Promise<void>;
  serveMetadata(req: IncomingMessage, res: ServerResponse, slug: Slug | null): Promise<void>;
}

/** What the MCP endpoint answers: GET and DELETE are of the previous generation's sessions. */
const METHODS = "GET, POST, DELETE";
/** Places beyond a tenant's operations in flight, for answers and cancellations of its sessions while they are read. */
const SPARE_PLACES = 8;

export function createPipeline(rooms: PipelineRooms): Pipeline {
  const { clock, emit, directory } = rooms;
  const { name, title } = rooms.catalog.server;

  /** Ends a request before it became an operation. */
  const refuseRequest = (
    res: ServerResponse,
    refusal: Refusal,
    at: {
      readonly stage: RefusalEvent["stage"];
      readonly slug: Slug | null;
      readonly caller?: Caller;
      readonly id?: RequestId | null;
      readonly bodyRead?: boolean;
      readonly allow?: string;
    },
  ): void => {
    emit({
      type: "refusal",
      at: clock.now(),
      tenantId: at.caller?.snapshot.id ?? null,
      stage: at.stage,
      code: refusal.code,
      ...lackedPermission(refusal),
      cause: refusal.cause,
    });
    answerRefusal(res, refusal, {
      id: at.id ?? null,
      challenge: challengeFor(refusal, at.slug),
      close: at.bodyRead !== true,
      ...(at.allow === undefined ? {} : { allow: at.allow }),
    });
  };

  const challengeFor = (refusal: Refusal, slug: Slug | null): string | undefined => {
    switch (refusal.code) {
      case "credentials_missing":
      case "token_invalid":
      case "credentials_malformed":
      case "dpop_proof_invalid":
      case "credentials_ended":
      case "scope_insufficient":
      case "tenant_suspended":
        return challenge({
          metadataUrl: metadataUrlFor(rooms.resourceOf(slug)),
          code: refusal.code,
          scopes: refusal.scopes ?? [],
          ...(refusal.schemes === undefined ? {} : { schemes: refusal.schemes }),
        });
      default:
        return undefined;
    }
  };

  // -----------------------------------------------------------------------------------------------------------------

  const serveMcp = async (req: IncomingMessage, res: ServerResponse, slug: Slug | null): Promise<void> => {
    // ---- HTTP: method and address were looked at by the listener -------------------------------------------------
    if (req.method !== "POST" && req.method !== "GET" && req.method !== "DELETE")
      return refuseRequest(res, refuse("method_not_allowed"), { stage: "http", slug, allow: METHODS });
    if (rooms.draining())
      return refuseRequest(res, refuse("stopping", { retryAfterMs: 1_000 }), { stage: "http", slug });
    if (!directory.isFresh())
      return refuseRequest(res, refuse("configuration_stale", { retryAfterMs: 1_000 }), {
        stage: "http",
        slug,
      });

    // ---- admit A, by address: an address that keeps failing gets nothing verified any more ------------------------
    const address = req.socket.remoteAddress ?? "";
    const flooding = rooms.addresses.check(address);

    // ---- identity and tenancy: a credential, and the one tenant that it may act for ------------------------------
    const known = rooms.authenticator.authenticate({
      rawHeaders: req.rawHeaders,
      url: req.url ?? "",
      method: req.method,
      slug,
      address,
      flooding,
    });
    const caller = known instanceof Promise ? await known : known;
    if (isRefusal(caller)) {
      if (isFailure(caller)) rooms.addresses.failed(address);
      return refuseRequest(res, caller, {
        stage: caller.code === "rate_limited" ? "admit" : "identity",
        slug,
      });
    }
    const { snapshot } = caller;
    if (snapshot.status === "suspended")
      return refuseRequest(res, refuse("tenant_suspended"), { stage: "tenancy", slug, caller });

    // ---- placement: is this tenant served here? ------------------------------------------------------------------
    const elsewhere = decidePlacement(rooms.role, snapshot);
    if (elsewhere !== null) return refuseRequest(res, elsewhere, { stage: "placement", slug, caller });

    // ---- admit A, by tenant: an early refusal, before the body is read -------------------------------------------
    const early = rooms.rates.peek(snapshot.id, snapshot.limits);
    if (early !== null) return refuseRequest(res, early, { stage: "admit", slug, caller });

    // ---- a session's stream, or its end: the previous generation alone has them ----------------------------------
    if (req.method !== "POST") {
      const { method, headers } = req;
      const work = rooms.openWork.begin(caller);
      const refused = await rooms.previous
        .serve(res, { caller, method, headers, work })
        .finally(() => work.finish());
      if (refused !== null)
        refuseRequest(res, refused, { stage: "protocol", slug, caller, bodyRead: true, allow: METHODS });
      return;
    }

    // ---- admit A, by operations in flight: what is being read takes a place as well ------------------------------
    const entered = rooms.concurrency.enter(snapshot.id, snapshot.limits.maxConcurrency);
    const crowded = isRefusal(entered) ? entered : null;
    // From here on what ends the credential ends the request: while its body is read, and while it runs.
    const work = rooms.openWork.begin(caller);
    let place: HeldPlace | null = null;
    try {
      const given = crowded === null ? entered : await sparePlace(req, caller, crowded);
      if (isRefusal(given)) {
        const stage = given.code === "rate_limited" ? "admit" : "protocol";
        return refuseRequest(res, given, { stage, slug, caller });
      }
      place = given;
      await serveMessage(req, res, { slug, caller, place, crowded, work });
    } finally {
      if (place !== null) {
        const unread = untilRead(res);
        if (unread !== null) place.keepUntil(unread);
        place.leave();
      }
      work.finish();
    }
  };

  /**
   * A session's answer may be what an operation in flight waits for: it is heard although all places are taken. Of a
   * session that is the caller's own: or else a few bodies, slowly sent under invented ids, would keep the answers away.
   */
  const sparePlace = async (
    { headers }: IncomingMessage,
    caller: Caller,
    crowded: Refusal,
  ): Promise<HeldPlace | Refusal> => {
    const { id, limits } = caller.snapshot;
    if (limits.maxConcurrency === null || !isOfSession(headers)) return crowded;
    const looked = rooms.previous.ownSession(headers, caller);
    // Counts, unless it was known at once, and before it is waited for: or else invented ids were free.
    const isKnown = !(looked instanceof Promise || isRefusal(looked));
    const over = isKnown ? null : rooms.rates.consume(id, limits);
    const session = await looked;
    if (over !== null) return over;
    if (isRefusal(session)) return session;
    const place = rooms.concurrency.enter(id, limits.maxConcurrency + SPARE_PLACES);
    return isRefusal(place) ? crowded : place;
  };

  const serveMessage = async (
    req: IncomingMessage,
    res: ServerResponse,
    of: {
      readonly slug: Slug | null;
      readonly caller: Caller;
      readonly place: HeldPlace;
      /** Why it may hold no operation: its place is one of the spare ones. */
      readonly crowded: Refusal | null;
      readonly work: Work;
    },
  ): Promise<void> => {
    const { slug, caller } = of;
    const { snapshot } = caller;
    // ---- protocol: body, message, revision, headers --------------------------------------------------------------
    const refuseMessage = (
      refusal: Refusal,
      at: { readonly id?: RequestId; readonly bodyRead: boolean },
    ): void => {
      // It counts, although it is no operation: or else bad messages were free.
      rooms.rates.consume(snapshot.id, snapshot.limits);
      refuseRequest(res, refusal, { stage: "protocol", slug, caller, ...at });
    };
    const wrongType = checkMediaType(req);
    if (wrongType !== null) return refuseMessage(wrongType, { bodyRead: false });
    const body = await readBody(req, {
      limit: snapshot.limits.maxRequestBytes ?? rooms.maxBodyBytes,
      timeoutMs: rooms.bodyTimeoutMs,
      deadlines: rooms.deadlines,
    });
    if (isRefusal(body)) return refuseMessage(body, { bodyRead: false });
    if (of.work.ended !== null) return refuseMessage(of.work.ended, { bodyRead: true });
    // While the body was awaited a role may have been taken away, or a tool set.
    const renewed = renew(caller);
    const current = renewed instanceof Promise ? await renewed : renewed;
    if (current === null) return refuseMessage(refuse("credentials_ended"), { bodyRead: true });
    const message = parseBody(body);
    if (isRefusal(message)) return refuseMessage(message, { bodyRead: true });
    const { headers } = req;
    if (isEarlierGeneration(message, headers)) {
      const refused = await rooms.previous.post(res, {
        caller: current,
        place: of.place,
        crowded: of.crowded,
        work: of.work,
        message,
        headers,
        bytesIn: body.length,
        challengeOf: (refusal) => challengeFor(refusal, slug),
      });
      const id = message.kind === "message" ? message.id : undefined;
      if (refused !== null) refuseMessage(refused, { bodyRead: true, ...(id === undefined ? {} : { id }) });
      return;
    }
    if (of.crowded !== null) {
      return refuseRequest(res, of.crowded, { stage: "admit", slug, caller, bodyRead: true });
    }
    if (message.kind !== "message") return refuseMessage(refuse("message_invalid"), { bodyRead: true });
    if (message.id === undefined) {
      // A notification: this revision defines none over HTTP, and asks for 202 without a body.
      res.writeHead(202).end();
      return;
    }
    const request = checkRequest(message, message.id, headers);
    if (isRefusal(request)) return refuseMessage(request, { id: message.id, bodyRead: true });

    // ---- admit B: this one operation -----------------------------------------------------------------------------
    const over = rooms.rates.consume(snapshot.id, snapshot.limits);
    if (over !== null) {
      return refuseRequest(res, over, { stage: "admit", slug, caller, id: request.id, bodyRead: true });
    }

    // ---- a stream: it outlives this request, and leaves its place among the operations in flight ------------------
    if (request.method === "subscriptions/listen") {
      const opening = { caller: current, work: of.work, headers, bytesIn: body.length };
      const refused = await rooms.listening.open(request, res, opening);
      if (refused !== null) {
        const stage = refused.code === "rate_limited" ? "admit" : "catalog";
        refuseRequest(res, refused, { stage, slug, caller, id: request.id, bodyRead: true });
      }
      return;
    }

    // ---- the rounds of a request whose handler asks back ----------------------------------------------------------
    const opening = rooms.rounds(request, current);
    const open = opening instanceof Promise ? await opening : opening;
    if (isRefusal(open)) return refuseMessage(open, { id: request.id, bodyRead: true });

    // ---- catalog, data, observe ----------------------------------------------------------------------------------
    const challengeOf = (refusal: Refusal): string | undefined => challengeFor(refusal, slug);
    const reply = new HttpReply(res, {
      challengeOf,
      takesEvents: takesEvents(headers.accept),
      outbox: rooms.outbox,
    });
    const { place, work } = of;
    await rooms.operate({ caller: current, request, reply, place, work, open, bytesIn: body.length });
  };

  /** The caller under the tenant's configuration as it is now; null: the tenant is gone. */
  const renew = (caller: Caller): Eventually<Caller | null> =>
    after(directory.byId(caller.snapshot.id), (snapshot) => {
      if (snapshot === null) return null;
      if (snapshot === caller.snapshot) return caller;
      const principal = { ...caller.principal, permissions: permissionsUnder(snapshot, caller) };
      return { ...caller, snapshot, principal: Object.freeze(principal) };
    });

  const scopesOf = (snapshot: TenantSnapshot): readonly string[] =>
    snapshot.scopes.length > 0 ? snapshot.scopes : rooms.catalog.permissions;

  const serveMetadata = async (
    req: IncomingMessage,
    res: ServerResponse,
    slug: Slug | null,
  ): Promise<void> => {
    if (req.method !== "GET" && req.method !== "HEAD") {
      return refuseRequest(res, refuse("method_not_allowed"), { stage: "http", slug, allow: "GET, HEAD" });
    }
    const address = req.socket.remoteAddress ?? "";
    const flooding = rooms.addresses.check(address);
    const looked = slug === null ? null : directory.bySlug(slug);
    if (looked instanceof Promise && flooding !== null) {
      return refuseRequest(res, flooding, { stage: "admit", slug });
    }
    const snapshot = looked instanceof Promise ? await looked : looked;
    if (slug !== null && snapshot === null) rooms.addresses.failed(address);
    const issuers = slug === null ? await directory.brokers() : (snapshot?.issuers ?? []);
    const document = resourceMetadata({
      resource: rooms.resourceOf(slug),
      authorizationServers: issuers.map((issuer) => issuer.issuer),
      scopes: snapshot === null ? rooms.catalog.permissions : scopesOf(snapshot),
      name: title ?? name,
      ...(snapshot === null ? {} : { dpop: snapshot.dpop }),
    });
    if (document === null || (slug !== null && snapshot === null)) {
      return refuseRequest(res, refuse("route_unknown"), { stage: "http", slug });
    }
    answerJson(res, 200, JSON.stringify(document), { "access-control-allow-origin": "*" });
  };

  return { serveMcp, serveMetadata };
}

/** What counts against an address. Not a missing token: with that every client begins. */
const COUNTED_FAILURES: ReadonlySet<string> = new Set([
  "token_invalid",
  "credentials_malformed",
  "dpop_proof_invalid",
  "route_unknown",
]);

function isFailure({ code, data }: Refusal): boolean {
  return COUNTED_FAILURES.has(code) || data?.limit === INTROSPECTION_LIMIT;
}
