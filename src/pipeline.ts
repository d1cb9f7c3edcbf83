/**
 * The life of one request, top to bottom. Who reads only this file knows the system: each stage either goes on or ends
 * the request with a refusal, and nothing that depends on the body happens before identity is settled.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Catalog } from "./catalog/catalog.ts";
import type { TenantViews } from "./catalog/tenant-view.ts";
import type { Clock } from "./core/clock.ts";
import type { EventSink, OperationEvent, RefusalEvent } from "./core/event.ts";
import { Fault } from "./core/fault.ts";
import type { IdSource, OperationId, Slug } from "./core/ids.ts";
import { isRefusal, type Refusal, refuse } from "./core/refusal.ts";
import { readBearer } from "./identity/credentials.ts";
import { decideAccess } from "./identity/permissions.ts";
import { challenge, metadataUrlFor, resourceMetadata } from "./identity/resource-metadata.ts";
import type { TokenVerifier } from "./identity/token-verifier.ts";
import type { VerifiedToken } from "./identity/verified-token.ts";
import type { AddressLimiter } from "./limits/address-limiter.ts";
import type { ConcurrencyLimiter } from "./limits/concurrency.ts";
import type { TenantRateLimiter } from "./limits/tenant-rate-limiter.ts";
import { intentFacts, outcomeFacts } from "./observe/audit-facts.ts";
import type { AuditTrail } from "./observe/audit-trail.ts";
import { decidePlacement, type InstanceRole } from "./placement/decide-placement.ts";
import { answerJson, answerRefusal } from "./protocol/answers.ts";
import { errorResponse, parseMessage, type RequestId, resultResponse } from "./protocol/json-rpc.ts";
import { type Operation, type Performed, resolveOperation } from "./protocol/operations.ts";
import { checkMediaType, readBody } from "./protocol/request-body.ts";
import { checkRequest, type ModernRequest, REVISION } from "./protocol/revision-2026-07-28.ts";
import { actorOf, type Principal } from "./tenancy/principal.ts";
import { type ContextPorts, RequestContext } from "./tenancy/request-context.ts";
import { runInTenant } from "./tenancy/tenant-context.ts";
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
  readonly verifier: TokenVerifier;
  readonly role: InstanceRole;
  readonly rates: TenantRateLimiter;
  readonly concurrency: ConcurrencyLimiter;
  readonly catalog: Catalog;
  readonly views: TenantViews;
  readonly audit: AuditTrail;
  /** Opens a tenant's database and store for one operation. */
  readonly portsFor: (snapshot: TenantSnapshot, readOnly: boolean) => ContextPorts;
  /** Largest body of any tenant whose limit says nothing, in bytes. */
  readonly maxBodyBytes: number;
  readonly bodyTimeoutMs: number;
  /** True once the server takes no more requests. */
  readonly draining: () => boolean;
}

/** A caller who is known, on a tenant that is served here. */
interface Caller {
  readonly snapshot: TenantSnapshot;
  readonly principal: Principal;
}

/** Serves the MCP endpoint of one tenant, or the shared one (slug null), and its resource metadata. */
export interface Pipeline {
  serveMcp(req: IncomingMessage, res: ServerResponse, slug: Slug | null): Promise<void>;
  serveMetadata(req: IncomingMessage, res: ServerResponse, slug: Slug | null): Promise<void>;
  /** Ends the operations under way: each is told by its signal, and answered. */
  interruptAll(): void;
}

export function createPipeline(rooms: PipelineRooms): Pipeline {
  const { clock, emit, directory } = rooms;
  const { name, version, title } = rooms.catalog.server;
  const serverInfo = JSON.stringify(title === undefined ? { name, version } : { name, title, version });
  const permits = (granted: ReadonlySet<string>, required: string | undefined): boolean =>
    decideAccess(granted, required).allowed;

  /** How to stop each handler that runs now. */
  const underWay = new Set<(why: Refusal) => void>();

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
    },
  ): void => {
    emit({
      type: "refusal",
      at: clock.now(),
      tenantId: at.caller?.snapshot.id ?? null,
      stage: at.stage,
      code: refusal.code,
      cause: refusal.cause,
    });
    answerRefusal(res, refusal, {
      id: at.id ?? null,
      challenge: challengeFor(refusal, at.slug),
      close: at.bodyRead !== true,
    });
  };

  const challengeFor = (refusal: Refusal, slug: Slug | null): string | undefined => {
    switch (refusal.code) {
      case "credentials_missing":
      case "token_invalid":
      case "credentials_malformed":
      case "scope_insufficient":
      case "tenant_suspended":
        return challenge({
          metadataUrl: metadataUrlFor(rooms.resourceOf(slug)),
          code: refusal.code,
          scopes: refusal.scopes ?? [],
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

    // ---- admit A, by address: nobody is known yet ----------------------------------------------------------------
    const address = req.socket.remoteAddress ?? "";
    const flooding = rooms.addresses.check(address);
    if (flooding !== null) return refuseRequest(res, flooding, { stage: "admit", slug });

    // ---- identity and tenancy: a token, and the one tenant that it may act for -----------------------------------
    const caller = await identify(req, slug);
    if (isRefusal(caller)) {
      if (caller.code === "token_invalid" || caller.code === "credentials_malformed")
        rooms.addresses.failed(address);
      return refuseRequest(res, caller, { stage: "identity", slug });
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

    // ---- protocol: body, message, revision, headers --------------------------------------------------------------
    const wrongType = checkMediaType(req);
    if (wrongType !== null) return refuseRequest(res, wrongType, { stage: "protocol", slug, caller });
    const body = await readBody(
      req,
      snapshot.limits.maxRequestBytes ?? rooms.maxBodyBytes,
      rooms.bodyTimeoutMs,
    );
    if (isRefusal(body)) return refuseRequest(res, body, { stage: "protocol", slug, caller });
    const message = parseMessage(body);
    if (isRefusal(message)) {
      // It counts, although it is no operation: or else malformed bodies were free.
      rooms.rates.consume(snapshot.id, snapshot.limits);
      return refuseRequest(res, message, { stage: "protocol", slug, caller, bodyRead: true });
    }
    if (message.id === undefined) {
      // A notification: this revision defines none over HTTP, and asks for 202 without a body.
      res.writeHead(202).end();
      return;
    }
    const request = checkRequest({ ...message, id: message.id }, req.headers);
    if (isRefusal(request)) {
      rooms.rates.consume(snapshot.id, snapshot.limits);
      return refuseRequest(res, request, { stage: "protocol", slug, caller, id: message.id, bodyRead: true });
    }

    // ---- admit B: this one operation -----------------------------------------------------------------------------
    const over =
      rooms.rates.consume(snapshot.id, snapshot.limits) ??
      rooms.concurrency.enter(snapshot.id, snapshot.limits.maxConcurrency);
    if (over !== null)
      return refuseRequest(res, over, { stage: "admit", slug, caller, id: request.id, bodyRead: true });

    // ---- catalog, data, observe ----------------------------------------------------------------------------------
    await operate(req, res, { slug, caller, request, bytesIn: body.length });
  };

  /** Who calls, and for which tenant: the token's issuer and claim decide, and must agree with the URL. */
  const identify = async (req: IncomingMessage, slug: Slug | null): Promise<Caller | Refusal> => {
    const credentials = readBearer(req.rawHeaders, req.url ?? "");
    const resource = rooms.resourceOf(slug);
    if (slug !== null) {
      // The listener has found that there is such a tenant; it may be gone by now.
      const snapshot = await directory.bySlug(slug);
      if (snapshot === null) return refuse("route_unknown");
      if (isRefusal(credentials)) return { ...credentials, scopes: scopesOf(snapshot) };
      const token = await rooms.verifier.verify(credentials.token, {
        resource,
        candidates: snapshot.issuers,
      });
      return isRefusal(token)
        ? { ...token, scopes: scopesOf(snapshot) }
        : { snapshot, principal: principalOf(token, snapshot) };
    }
    if (isRefusal(credentials)) return { ...credentials, scopes: rooms.catalog.permissions };
    const candidates = await directory.brokers();
    const token = await rooms.verifier.verify(credentials.token, { resource, candidates, tenantOf: "claim" });
    if (isRefusal(token)) return { ...token, scopes: rooms.catalog.permissions };
    const snapshot =
      token.tenantClaim === null ? null : await directory.byClaim(token.issuer.id, token.tenantClaim);
    if (snapshot === null)
      return refuse("token_invalid", { cause: "the claim's value stands for no tenant" });
    return { snapshot, principal: principalOf(token, snapshot) };
  };

  const scopesOf = (snapshot: TenantSnapshot): readonly string[] =>
    snapshot.scopes.length > 0 ? snapshot.scopes : rooms.catalog.permissions;

  /** Finds the operation in this tenant's catalog, runs it in this tenant's context, and leaves its one event. */
  const operate = async (
    req: IncomingMessage,
    res: ServerResponse,
    of: {
      readonly slug: Slug | null;
      readonly caller: Caller;
      readonly request: ModernRequest;
      readonly bytesIn: number;
    },
  ): Promise<void> => {
    const { caller, request } = of;
    const { snapshot, principal } = caller;
    const started = clock.monotonic();
    const operationId = rooms.ids.operation();
    let working = true;
    const leave = (): void => {
      if (working) rooms.concurrency.leave(snapshot.id);
      working = false;
    };
    try {
      const operation = await resolveOperation(request, {
        catalog: rooms.catalog,
        view: rooms.views.of(snapshot),
        granted: principal.permissions,
        permits,
        headers: req.headers,
      });
      if (isRefusal(operation)) {
        return refuseRequest(res, operation, {
          stage: "protocol",
          slug: of.slug,
          caller,
          id: request.id,
          bodyRead: true,
        });
      }

      const event: Omit<OperationEvent, "outcome" | "code" | "durationMs" | "bytesOut" | "notes"> = {
        type: "operation",
        at: clock.now(),
        tenantId: snapshot.id,
        operationId,
        actor: actorOf(principal),
        method: request.method,
        target: operation.target,
        readOnly: operation.readOnly,
        bytesIn: of.bytesIn,
        protocolVersion: REVISION,
      };

      // Whatever may change something is on record before it runs.
      if (!operation.readOnly) {
        const unrecorded = await recorded(rooms.audit.commit(intentFacts(event)), false);
        if (unrecorded !== null) {
          return refuseRequest(res, unrecorded, {
            stage: "protocol",
            slug: of.slug,
            caller,
            id: request.id,
            bodyRead: true,
          });
        }
      }

      const run = await perform(res, { operation, caller, operationId });
      if (run.stillWorking !== null) {
        // The answer does not wait for a handler that ignores its signal, but its place stays taken until it ends.
        working = false;
        run.stillWorking.finally(() => rooms.concurrency.leave(snapshot.id));
      }
      let { result } = run;
      let outcome = isRefusal(result) ? outcomeOf(result) : result.outcome;
      let code = isRefusal(result) ? result.code : result.code;
      let text = serialise(request.id, result, operationId);
      const finish = (): OperationEvent => ({
        ...event,
        outcome,
        code,
        durationMs: clock.monotonic() - started,
        bytesOut: Buffer.byteLength(text),
        notes: run.notes,
        ...(run.cause === undefined ? {} : { cause: run.cause }),
      });
      if (operation.readOnly) {
        rooms.audit.record(outcomeFacts(finish()));
      } else {
        const unrecorded = await recorded(rooms.audit.commit(outcomeFacts(finish())), true);
        if (unrecorded !== null) {
          result = unrecorded;
          outcome = "failed";
          code = unrecorded.code;
          text = errorResponse(request.id, unrecorded);
        }
      }
      emit(finish());
      if (isRefusal(result))
        answerRefusal(res, result, { id: request.id, challenge: challengeFor(result, of.slug) });
      else answerJson(res, 200, text);
    } finally {
      leave();
    }
  };

  const serialise = (id: RequestId, result: Performed | Refusal, operationId: OperationId): string =>
    isRefusal(result)
      ? errorResponse(id, { ...result, data: { ...result.data, operationId } })
      : resultResponse(id, result.members, serverInfo);

  /** Runs the handler until it ends, its time is up, the caller goes or the server stops; whichever is first. */
  const perform = async (
    res: ServerResponse,
    of: { readonly operation: Operation; readonly caller: Caller; readonly operationId: OperationId },
  ): Promise<{
    readonly result: Performed | Refusal;
    readonly notes: OperationEvent["notes"];
    readonly cause?: unknown;
    readonly stillWorking: Promise<unknown> | null;
  }> => {
    const { operation, caller, operationId } = of;
    if (operation.answer !== null) return { result: operation.answer, notes: null, stillWorking: null };
    const limitMs = caller.snapshot.limits.callTimeoutMs;
    const controller = new AbortController();
    let stopped: Refusal | null = null;
    let interrupt: (() => void) | undefined;
    const interrupted = new Promise<void>((resolve) => {
      interrupt = resolve;
    });
    const stop = (why: Refusal): void => {
      stopped ??= why;
      controller.abort(new Fault(why.code));
      interrupt?.();
    };
    const timer =
      limitMs === null
        ? undefined
        : setTimeout(() => stop(refuse("call_timed_out", { data: { limitMs } })), limitMs);
    const onClose = (): void => stop(refuse("cancelled"));
    res.once("close", onClose);
    underWay.add(stop);
    const context = new RequestContext({
      snapshot: caller.snapshot,
      principal: caller.principal,
      operationId,
      signal: controller.signal,
      ports: rooms.portsFor(caller.snapshot, operation.readOnly),
    });
    try {
      const work = runInTenant(context, () => operation.perform(context));
      const settled = work.then(
        (result): { result: Performed | Refusal; cause?: unknown } => ({ result }),
        (cause: unknown) => ({ result: stopped ?? failureOf(cause), cause }),
      );
      const first = await Promise.race([settled, interrupted.then(() => null)]);
      if (first === null) {
        return { result: stopped ?? refuse("call_timed_out"), notes: context.notes(), stillWorking: settled };
      }
      return { ...first, notes: context.notes(), stillWorking: null };
    } finally {
      clearTimeout(timer);
      res.off("close", onClose);
      underWay.delete(stop);
    }
  };

  const serveMetadata = async (
    req: IncomingMessage,
    res: ServerResponse,
    slug: Slug | null,
  ): Promise<void> => {
    if (req.method !== "GET" && req.method !== "HEAD") {
      answerJson(res, 405, "{}", { allow: "GET, HEAD" });
      return;
    }
    const snapshot = slug === null ? null : await directory.bySlug(slug);
    const issuers = slug === null ? await directory.brokers() : (snapshot?.issuers ?? []);
    const document = resourceMetadata({
      resource: rooms.resourceOf(slug),
      authorizationServers: issuers.map((issuer) => issuer.issuer),
      scopes: snapshot === null ? rooms.catalog.permissions : scopesOf(snapshot),
      name: title ?? name,
    });
    if (document === null || (slug !== null && snapshot === null)) {
      return refuseRequest(res, refuse("route_unknown"), { stage: "http", slug });
    }
    answerJson(res, 200, JSON.stringify(document), { "access-control-allow-origin": "*" });
  };

  return {
    serveMcp,
    serveMetadata,
    interruptAll() {
      for (const stop of [...underWay]) stop(refuse("stopping", { retryAfterMs: 1_000 }));
    },
  };
}

function principalOf(token: VerifiedToken, snapshot: TenantSnapshot): Principal {
  return Object.freeze({
    tenantId: snapshot.id,
    kind: token.clientId !== null && token.clientId === token.subject ? "client" : "user",
    issuer: token.issuer.issuer,
    subject: token.subject,
    clientId: token.clientId,
    permissions: token.permissions,
    expiresAt: token.expiresAt,
  });
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

/** What a caller is told of an exception: that it failed, and nothing of why. */
function failureOf(cause: unknown): Refusal {
  if (cause instanceof Fault && cause.code === "database_unavailable")
    return refuse("database_unavailable", { retryAfterMs: 1_000, cause });
  return refuse("handler_failed", { cause });
}

function outcomeOf(refusal: Refusal): OperationEvent["outcome"] {
  switch (refusal.code) {
    case "resource_unknown":
    case "params_invalid":
      return "tool_error";
    case "stopping":
    case "cancelled":
    case "call_timed_out":
      return "cancelled";
    default:
      return "failed";
  }
}
