/**
 * The life of one request, top to bottom. Who reads only this file knows the system: each stage either goes on or ends
 * the request with a refusal, and nothing that depends on the body happens before identity is settled.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Catalog } from "./catalog/catalog.ts";
import type { TenantViews } from "./catalog/tenant-view.ts";
import type { Clock } from "./core/clock.ts";
import type { EventSink, OperationEvent, RefusalEvent } from "./core/event.ts";
import { after, type Eventually } from "./core/eventually.ts";
import type { IdSource, OperationId, Slug } from "./core/ids.ts";
import { isRefusal, type Refusal, refuse } from "./core/refusal.ts";
import { accessNote } from "./identity/access-note.ts";
import type { AccessPolicy } from "./identity/access-policy.ts";
import type { Authenticator } from "./identity/authenticator.ts";
import type { Caller } from "./identity/caller.ts";
import { permissionsUnder } from "./identity/principal-of.ts";
import { challenge, metadataUrlFor, resourceMetadata } from "./identity/resource-metadata.ts";
import { INTROSPECTION_LIMIT } from "./identity/verified-token.ts";
import type { AddressLimiter } from "./limits/address-limiter.ts";
import type { ConcurrencyLimiter, HeldPlace } from "./limits/concurrency.ts";
import type { TenantRateLimiter } from "./limits/tenant-rate-limiter.ts";
import { intentFacts, outcomeFacts } from "./observe/audit-facts.ts";
import type { AuditTrail } from "./observe/audit-trail.ts";
import { decidePlacement, type InstanceRole } from "./placement/decide-placement.ts";
import { answerJson, answerRefusal } from "./protocol/answers.ts";
import { errorResponse, parseMessage, type RequestId, resultResponse } from "./protocol/json-rpc.ts";
import type { ListenOperation } from "./protocol/listen-operation.ts";
import type { OpenWork, Work } from "./protocol/open-work.ts";
import type { OperationRunner, Run } from "./protocol/operation-runner.ts";
import { type Performed, resolveOperation } from "./protocol/operations.ts";
import { checkMediaType, readBody } from "./protocol/request-body.ts";
import { checkRequest, type ModernRequest, REVISION } from "./protocol/revision-2026-07-28.ts";
import { actorOf } from "./tenancy/principal.ts";
import type { TenantDirectory } from "./tenancy/tenant-directory.ts";
import type { TenantSnapshot } from "./tenancy/tenant-snapshot.ts";

/** What the stages are made of. */
export interface PipelineRooms {
  readonly clock: Clock;
  readonly ids: IdSource;
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
  readonly views: TenantViews;
  readonly policy: AccessPolicy;
  readonly audit: AuditTrail;
  readonly runner: OperationRunner;
  readonly openWork: OpenWork<Caller>;
  readonly listening: ListenOperation<Caller>;
  /** Largest body of any tenant whose limit says nothing, in bytes. */
  readonly maxBodyBytes: number;
  readonly bodyTimeoutMs: number;
  /** True once the server takes no more requests. */
  readonly draining: () => boolean;
}

/** Serves the MCP endpoint of one tenant, or the shared one (slug null), and its resource metadata. */
export interface Pipeline {
  serveMcp(req: IncomingMessage, res: ServerResponse, slug: Slug | null): Promise<void>;
  serveMetadata(req: IncomingMessage, res: ServerResponse, slug: Slug | null): Promise<void>;
}

export function createPipeline(rooms: PipelineRooms): Pipeline {
  const { clock, emit, directory } = rooms;
  const { name, version, title } = rooms.catalog.server;
  const serverInfo = JSON.stringify(title === undefined ? { name, version } : { name, title, version });

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
    if (req.method !== "POST")
      return refuseRequest(res, refuse("method_not_allowed"), { stage: "http", slug });
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
    const caller = await rooms.authenticator.authenticate({
      rawHeaders: req.rawHeaders,
      url: req.url ?? "",
      method: req.method,
      slug,
      address,
      flooding,
    });
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

    // ---- admit A, by operations in flight: what is being read takes a place as well ------------------------------
    const place = rooms.concurrency.enter(snapshot.id, snapshot.limits.maxConcurrency);
    if (isRefusal(place)) return refuseRequest(res, place, { stage: "admit", slug, caller });
    // From here on what ends the credential ends the request: while its body is read, and while it runs.
    const work = rooms.openWork.begin(caller);
    try {
      await serveMessage(req, res, { slug, caller, place, work });
    } finally {
      place.leave();
      work.finish();
    }
  };

  const serveMessage = async (
    req: IncomingMessage,
    res: ServerResponse,
    of: {
      readonly slug: Slug | null;
      readonly caller: Caller;
      readonly place: HeldPlace;
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
    const body = await readBody(
      req,
      snapshot.limits.maxRequestBytes ?? rooms.maxBodyBytes,
      rooms.bodyTimeoutMs,
    );
    if (isRefusal(body)) return refuseMessage(body, { bodyRead: false });
    if (of.work.ended !== null) return refuseMessage(of.work.ended, { bodyRead: true });
    // While the body was awaited a role may have been taken away, or a tool set.
    const renewed = renew(caller);
    const current = renewed instanceof Promise ? await renewed : renewed;
    if (current === null) return refuseMessage(refuse("credentials_ended"), { bodyRead: true });
    const message = parseMessage(body);
    if (isRefusal(message)) return refuseMessage(message, { bodyRead: true });
    if (message.id === undefined) {
      // A notification: this revision defines none over HTTP, and asks for 202 without a body.
      res.writeHead(202).end();
      return;
    }
    const request = checkRequest({ ...message, id: message.id }, req.headers);
    if (isRefusal(request)) return refuseMessage(request, { id: message.id, bodyRead: true });

    // ---- admit B: this one operation -----------------------------------------------------------------------------
    const over = rooms.rates.consume(snapshot.id, snapshot.limits);
    if (over !== null) {
      return refuseRequest(res, over, { stage: "admit", slug, caller, id: request.id, bodyRead: true });
    }

    // ---- a stream: it outlives this request, and leaves its place among the operations in flight ------------------
    if (request.method === "subscriptions/listen") {
      const { headers } = req;
      const bytesIn = body.length;
      const opening = { caller: current, work: of.work, headers, bytesIn };
      const refused = await rooms.listening.open(request, res, opening);
      if (refused !== null) {
        const stage = refused.code === "rate_limited" ? "admit" : "catalog";
        refuseRequest(res, refused, { stage, slug, caller, id: request.id, bodyRead: true });
      }
      return;
    }

    // ---- catalog, data, observe ----------------------------------------------------------------------------------
    await operate(req, res, { ...of, caller: current, request, bytesIn: body.length });
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

  /** Finds the operation in this tenant's catalog, runs it in this tenant's context, and leaves its one event. */
  const operate = async (
    req: IncomingMessage,
    res: ServerResponse,
    of: {
      readonly slug: Slug | null;
      readonly caller: Caller;
      readonly place: HeldPlace;
      readonly work: Work;
      readonly request: ModernRequest;
      readonly bytesIn: number;
    },
  ): Promise<void> => {
    const { slug, caller, request } = of;
    const { snapshot, principal } = caller;
    const started = clock.monotonic();
    const operationId = rooms.ids.operation();
    const refuseOperation = (refusal: Refusal): void =>
      refuseRequest(res, refusal, { stage: "catalog", slug, caller, id: request.id, bodyRead: true });

    const operation = await resolveOperation(request, {
      catalog: rooms.catalog,
      view: rooms.views.of(snapshot),
      granted: principal.permissions,
      policy: rooms.policy,
      headers: req.headers,
    });
    if (isRefusal(operation)) return refuseOperation(operation);

    const at = clock.now();
    const actor = actorOf(principal);
    const { target, readOnly } = operation;
    const access = accessNote(operation.access, caller);
    /** Its one event, from which come the log line, the metrics and the audit row. Whole, since all of them read it. */
    const eventOf = (run: Run, result: Performed | Refusal, text: string): OperationEvent => ({
      type: "operation",
      at,
      tenantId: snapshot.id,
      operationId,
      actor,
      method: request.method,
      target,
      readOnly,
      outcome: isRefusal(result) ? outcomeOf(result) : result.outcome,
      code: result.code,
      durationMs: clock.monotonic() - started,
      bytesIn: of.bytesIn,
      bytesOut: Buffer.byteLength(text),
      protocolVersion: REVISION,
      access,
      notes: run.notes,
      cause: run.cause,
    });

    // Whatever may change something is on record before it runs.
    if (!readOnly) {
      const intent = intentFacts({
        tenantId: snapshot.id,
        operationId,
        at,
        actor,
        method: request.method,
        target,
        access,
      });
      const unrecorded = await recorded(rooms.audit.commit(intent), false);
      if (unrecorded !== null) return refuseOperation(unrecorded);
    }

    const run = await rooms.runner.run({ operation, snapshot, principal, operationId, res, work: of.work });
    if (run.stillWorking !== null) of.place.keepUntil(run.stillWorking);

    let result = withOperationId(run.result, operationId);
    let text = serialise(request.id, result);
    let event = eventOf(run, result, text);
    if (readOnly) {
      rooms.audit.record(outcomeFacts(event));
    } else {
      const unrecorded = await recorded(rooms.audit.commit(outcomeFacts(event)), true);
      if (unrecorded !== null) {
        result = withOperationId(unrecorded, operationId);
        text = serialise(request.id, result);
        event = eventOf(run, result, text);
      }
    }
    emit(event);
    if (isRefusal(result)) {
      answerRefusal(res, result, { id: request.id, challenge: challengeFor(result, slug) });
    } else {
      answerJson(res, 200, text);
    }
  };

  const serialise = (id: RequestId, result: Performed | Refusal): string =>
    isRefusal(result) ? errorResponse(id, result) : resultResponse(id, result.members, serverInfo);

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

/** The permission that was lacking: what the catalog requires, and nothing that the caller sent. */
function lackedPermission(refusal: Refusal): Pick<RefusalEvent, "permission"> {
  const permission = refusal.code === "scope_insufficient" ? refusal.scopes?.[0] : undefined;
  return permission === undefined ? {} : { permission };
}

/** A refusal of an operation says which one, so that the operator finds its cause in the log. */
function withOperationId(result: Performed | Refusal, operationId: OperationId): Performed | Refusal {
  return isRefusal(result) ? { ...result, data: { ...result.data, operationId } } : result;
}

/** Null once an audit row is committed, or the refusal that answers instead. */
async function recorded(commit: Promise<void>, executed: boolean): Promise<Refusal | null> {
  try {
    await commit;
    return null;
  } catch (cause) {
    return refuse("audit_unavailable", { cause, retryAfterMs: 1_000, data: { executed } });
  }
}

function outcomeOf(refusal: Refusal): OperationEvent["outcome"] {
  switch (refusal.code) {
    case "resource_unknown":
    case "params_invalid":
      return "tool_error";
    case "stopping":
    case "cancelled":
    case "call_timed_out":
    case "credentials_ended":
      return "cancelled";
    default:
      return "failed";
  }
}
