import type { IncomingMessage, ServerResponse } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ErrorCode } from "../core/error-table.ts";
import type { RefusalEvent } from "../core/event.ts";
import { Fault } from "../core/fault.ts";
import { isRefusal, type Refusal, refuse } from "../core/refusal.ts";
import { PROOF_ALGORITHMS } from "../identity/dpop-proof.ts";
import type { TenantName } from "../tenancy/tenant-record.ts";
import { type AdminEnv, tenantOf } from "./act.ts";
import type { AdminCaller, OperationContext } from "./admin-operation.ts";
import { ADMIN_OPERATIONS, DEVELOPMENT_OPERATIONS } from "./admin-operations.ts";
import { answerProblem } from "./answer-problem.ts";
import { hasBody } from "./has-body.ts";
import { methodsOf } from "./methods-of.ts";
import { openApiDocument } from "./openapi-document.ts";
import { inputInvalid, PROBLEM_TYPE, problem } from "./problem.ts";
import { registerOperation } from "./register-operation.ts";
import { tenantInPath } from "./tenant-in-path.ts";

const BASE = "/admin/v1";
const LIST_OF_ROUTES = `GET ${BASE}/openapi.json lists the routes.`;

/** What of a request tells who sent it. */
export interface AdminRequest {
  /** Names and values in turn: the parsed headers hide a second Authorization header. */
  readonly rawHeaders: readonly string[];
  /** The request target as it was sent. */
  readonly url: string;
  readonly method: string;
  /** The peer's address. */
  readonly address: string;
}

export interface AdminApiOptions extends OperationContext {
  /**
   * Who sends a request. What it refuses is answered with the refusal's own code, so a token that nobody vouches for must
   * be `operator_token_required`, for every path alike.
   *
   * @param tenantName the tenant that the path names, whether or not there is one: its issuers are asked where the token
   *   itself does not say whose it is.
   */
  readonly authenticate: (
    request: AdminRequest,
    tenantName: TenantName | null,
  ) => Promise<AdminCaller | Refusal>;
  /** Longest time that a body may take, in milliseconds. */
  readonly bodyTimeoutMs: number;
  /** Called after every successful change, so that instances hear of it. Its failure is ignored: they poll besides. */
  readonly afterChange: () => Promise<void>;
}

export interface AdminApi {
  /** Answers a request whose path is /admin/v1 or below. */
  handle(req: IncomingMessage, res: ServerResponse): void;
}

/**
 * The admin API. Who is not known learns nothing: the caller is looked at before a route is looked for and before any of
 * the body is read. Only the OpenAPI document is public.
 */
export function createAdminApi(options: AdminApiOptions): AdminApi {
  const { clock, emit, authenticate, development } = options;
  const operations =
    development === null ? ADMIN_OPERATIONS : [...ADMIN_OPERATIONS, ...DEVELOPMENT_OPERATIONS];
  const app = new OpenAPIHono<AdminEnv>().basePath(BASE);
  for (const operation of operations) registerOperation(app, operation, options);
  const document = openApiDocument(app);

  const refuseAddress = (c: Context<AdminEnv>, code: ErrorCode): Response => {
    emit({ type: "refusal", at: clock.now(), tenantId: tenantOf(c.env.by), stage: "http", code });
    return answerProblem(c, code, { remedy: LIST_OF_ROUTES });
  };
  app.notFound((c) => {
    const allowed = methodsOf(operations, BASE, c.req.path);
    if (allowed.length === 0) return refuseAddress(c, "route_unknown");
    c.header("Allow", allowed.join(", "));
    return refuseAddress(c, "method_not_allowed");
  });
  app.onError((error, c) => answerError(c, error));

  const operate = (by: AdminCaller) =>
    getRequestListener((request) => app.fetch(request, { by }), {
      // The process belongs to whoever runs it: its Request and Response stay Node's own.
      overrideGlobalObjects: false,
      errorHandler: (cause) => {
        const code = "input_invalid";
        emit({ type: "refusal", at: clock.now(), tenantId: tenantOf(by), stage: "http", code, cause });
        const body = JSON.stringify(problem(code, { detail: "The request's target or Host is malformed." }));
        return new Response(body, { status: 400, headers: { "Content-Type": PROBLEM_TYPE } });
      },
    });

  const answer = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const { rawHeaders, url = "", method = "" } = req;
    const address = req.socket.remoteAddress ?? "";
    const by = await authenticate({ rawHeaders, url, method, address }, tenantInPath(url));
    // Whoever has gone meanwhile could not be told what was done.
    if (res.destroyed) return;
    if (!isRefusal(by)) {
      await operate(by)(req, res);
      return;
    }
    emit({ type: "refusal", at: clock.now(), tenantId: null, ...eventOf(by) });
    refuseCaller(req, res, by);
  };

  return {
    handle(req, res) {
      res.setHeader("Cache-Control", "no-store");
      if (isDocument(req)) {
        write(res, 200, "application/json", document);
        return;
      }
      answer(req, res).catch((cause: unknown) => {
        emit({
          type: "fault",
          at: clock.now(),
          level: "error",
          where: "admin",
          message: "Who sends a request to the admin API could not be found out.",
          cause,
        });
        if (res.headersSent) res.destroy();
        else refuseCaller(req, res, refuse(cause instanceof Fault ? cause.code : "internal"));
      });
    },
  };
}

/** Compared as the text that was sent: nothing that has to be decoded first is public. */
function isDocument(req: IncomingMessage): boolean {
  const path = req.url?.split("?", 1)[0];
  return path === `${BASE}/openapi.json` && (req.method === "GET" || req.method === "HEAD");
}

function eventOf(refusal: Refusal): Pick<RefusalEvent, "stage" | "code" | "cause"> {
  const { code, cause } = refusal;
  const stage =
    code === "rate_limited" ? "admit" : code === "tenant_suspended" ? "tenancy" : ("identity" as const);
  return { stage, code, ...(cause === undefined ? {} : { cause }) };
}

/** Answers a request whose sender is not known, or may not ask anything. Nothing of its body has been read. */
function refuseCaller(req: IncomingMessage, res: ServerResponse, refusal: Refusal): void {
  const { code, detail, retryAfterMs, schemes = ["Bearer"] } = refusal;
  // The table's remedy speaks of JSON-RPC's data.
  const remedy = code === "rate_limited" ? "Wait as long as Retry-After says." : undefined;
  const told = problem(code, { detail, remedy });
  if (told.status === 401) {
    res.setHeader("WWW-Authenticate", schemes.map((scheme) => challenge(scheme, code)).join(", "));
  }
  if (retryAfterMs !== undefined || told.status === 503) {
    res.setHeader("Retry-After", Math.max(1, Math.ceil((retryAfterMs ?? 0) / 1_000)));
  }
  // Node would otherwise read a body to its end, however long, before the connection's next request.
  if (hasBody((name) => req.headers[name]?.toString())) res.setHeader("Connection", "close");
  write(res, told.status, PROBLEM_TYPE, JSON.stringify(told));
}

/** RFC 6750, section 3; RFC 9449, section 7.1. */
function challenge(scheme: "Bearer" | "DPoP", code: ErrorCode): string {
  if (scheme === "Bearer") return scheme;
  const error = code === "dpop_proof_invalid" ? 'error="invalid_dpop_proof", ' : "";
  return `DPoP ${error}algs="${PROOF_ALGORITHMS.join(" ")}"`;
}

/** Node leaves the body out of the answer to HEAD. */
function write(res: ServerResponse, status: number, type: string, body: string): void {
  res.writeHead(status, { "Content-Type": type, "Content-Length": Buffer.byteLength(body) });
  res.end(body);
}

function answerError(c: Context<AdminEnv>, error: Error): Response {
  if (error instanceof HTTPException && error.status === 415) return answerProblem(c, "media_type_refused");
  if (error instanceof HTTPException && error.status < 500) {
    const refusal = inputInvalid([{ path: "", message: "The body is not JSON" }]);
    return answerProblem(c, refusal.code, { detail: refusal.detail, errors: refusal.data.errors });
  }
  return answerProblem(c, error instanceof Fault ? error.code : "internal", { cause: error });
}
