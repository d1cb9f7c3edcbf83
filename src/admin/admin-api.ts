import type { IncomingMessage, ServerResponse } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ErrorCode } from "../core/error-table.ts";
import { Fault } from "../core/fault.ts";
import type { AdminEnv } from "./act.ts";
import type { OperationContext } from "./admin-operation.ts";
import { ADMIN_OPERATIONS } from "./admin-operations.ts";
import { answerProblem } from "./answer-problem.ts";
import { methodsOf } from "./methods-of.ts";
import { openApiDocument } from "./openapi-document.ts";
import { inputInvalid, PROBLEM_TYPE, problem } from "./problem.ts";
import { registerOperation } from "./register-operation.ts";

const BASE = "/admin/v1";
const LIST_OF_ROUTES = `GET ${BASE}/openapi.json lists the routes.`;

export interface AdminApiOptions extends OperationContext {
  /** Whether an Authorization header carries the operator token. */
  readonly isOperator: (authorization: string | undefined) => boolean;
  /** Called after every successful change, so that instances hear of it. Its failure is ignored: they poll besides. */
  readonly afterChange: () => Promise<void>;
}

export interface AdminApi {
  /** Answers a request whose path is /admin/v1 or below. */
  handle(req: IncomingMessage, res: ServerResponse): void;
}

/**
 * The admin API. Who does not show the operator token learns nothing: the token is checked before a route is looked for
 * and before any of the body is read. Only the OpenAPI document is public.
 */
export function createAdminApi(options: AdminApiOptions): AdminApi {
  const { clock, emit, isOperator } = options;
  const app = new OpenAPIHono<AdminEnv>().basePath(BASE);
  for (const operation of ADMIN_OPERATIONS) registerOperation(app, operation, options);
  const document = openApiDocument(app);

  const refuseAddress = (c: Context<AdminEnv>, code: ErrorCode): Response => {
    emit({ type: "refusal", at: clock.now(), tenantId: null, stage: "http", code });
    return answerProblem(c, code, { remedy: LIST_OF_ROUTES });
  };
  app.notFound((c) => {
    const allowed = methodsOf(ADMIN_OPERATIONS, BASE, c.req.path);
    if (allowed.length === 0) return refuseAddress(c, "route_unknown");
    c.header("Allow", allowed.join(", "));
    return refuseAddress(c, "method_not_allowed");
  });
  app.onError((error, c) => answerError(c, error));

  const listener = getRequestListener((request) => app.fetch(request), {
    // The process belongs to whoever runs it: its Request and Response stay Node's own.
    overrideGlobalObjects: false,
    errorHandler: (cause) => {
      emit({ type: "refusal", at: clock.now(), tenantId: null, stage: "http", code: "input_invalid", cause });
      const body = JSON.stringify(
        problem("input_invalid", { detail: "The request's target or Host is malformed." }),
      );
      return new Response(body, { status: 400, headers: { "Content-Type": PROBLEM_TYPE } });
    },
  });

  return {
    handle(req, res) {
      res.setHeader("Cache-Control", "no-store");
      if (isDocument(req)) {
        write(res, 200, "application/json", document);
      } else if (isOperator(req.headers.authorization)) {
        void listener(req, res);
      } else {
        emit({
          type: "refusal",
          at: clock.now(),
          tenantId: null,
          stage: "identity",
          code: "operator_token_required",
        });
        res.setHeader("WWW-Authenticate", "Bearer");
        // Node would otherwise read a body to its end, however long, before the connection's next request.
        if (hasBody(req)) res.setHeader("Connection", "close");
        write(res, 401, PROBLEM_TYPE, JSON.stringify(problem("operator_token_required")));
      }
    },
  };
}

/** Compared as the text that was sent: nothing that has to be decoded first is public. */
function isDocument(req: IncomingMessage): boolean {
  const path = req.url?.split("?", 1)[0];
  return path === `${BASE}/openapi.json` && (req.method === "GET" || req.method === "HEAD");
}

function hasBody(req: IncomingMessage): boolean {
  return req.headers["transfer-encoding"] !== undefined || Number(req.headers["content-length"] ?? 0) > 0;
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
