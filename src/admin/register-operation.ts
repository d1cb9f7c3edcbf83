import { createRoute, type OpenAPIHono, type RouteConfig, type z } from "@hono/zod-openapi";
import type { Context, MiddlewareHandler } from "hono";
import { type ErrorCode, errorRow } from "../core/error-table.ts";
import { parseSlug, parseTenantId } from "../core/ids.ts";
import { isRefusal } from "../core/refusal.ts";
import { accessRefusal, membersRefusal } from "./access-refusal.ts";
import { type AdminEnv, beginAct } from "./act.ts";
import type { AdminOperation, InputOf, OperationContext, RequestSchemas } from "./admin-operation.ts";
import { answerProblem } from "./answer-problem.ts";
import { hasBody } from "./has-body.ts";
import { inputErrors } from "./input-errors.ts";
import { limitBody } from "./limit-body.ts";
import { type InputError, inputInvalid, PROBLEM_TYPE } from "./problem.ts";
import { refusePrototypes } from "./refuse-prototypes.ts";
import { ifMatchHeader } from "./schemas/if-match.ts";
import { problemSchema } from "./schemas/problem.ts";

/** Refusals and faults that every operation may answer, and those of operations with a body. */
const ALWAYS: readonly ErrorCode[] = [
  "input_invalid",
  "operator_token_required",
  "dpop_proof_invalid",
  "administrator_required",
  "tenant_suspended",
  "rate_limited",
  "internal",
  "database_unavailable",
  "keys_unavailable",
];
const WITH_BODY: readonly ErrorCode[] = ["body_timeout", "input_too_large", "media_type_refused"];

/** Makes an operation a route of the application and of its OpenAPI document. */
export function registerOperation(
  app: OpenAPIHono<AdminEnv>,
  operation: AdminOperation,
  context: OperationContext & { readonly afterChange: () => Promise<void>; readonly bodyTimeoutMs: number },
): void {
  const { params, query, body } = operation.request;
  const route = createRoute({
    method: operation.method,
    path: operation.path,
    operationId: operation.action,
    summary: operation.summary,
    description: whoMay(operation),
    security:
      operation.access === "operator"
        ? [{ operatorToken: [] }]
        : [{ operatorToken: [] }, { tenantToken: [] }],
    tags: [operation.action.split(".")[0] ?? operation.action],
    request: {
      ...(params === undefined ? {} : { params }),
      ...(query === undefined ? {} : { query }),
      ...(operation.conditional ? { headers: ifMatchHeader } : {}),
      ...(body === undefined
        ? {}
        : { body: { content: { "application/json": { schema: body } }, required: true } }),
    },
    responses: responsesOf(operation),
    // The event comes first, so that a request refused by what follows has its event too; and who may not ask at all is
    // told so before the body is read, let alone judged.
    middleware: [
      reportAct(operation, context),
      checkAccess(operation),
      ...(body === undefined ? [] : [limitBody(context.bodyTimeoutMs), refusePrototypes]),
    ],
  });

  const handler = async (c: Context<AdminEnv>): Promise<Response> => {
    const { by } = c.env;
    const input = validated(c, operation);
    const act = c.get("act");
    if (act !== undefined) act.target = operation.target(input);
    const result =
      (await context.refusedMeanwhile(by)) ??
      membersRefusal(operation, by, input.body) ??
      (await operation.run(input, context, by));
    if (isRefusal(result)) {
      const errors = result.data?.errors as readonly InputError[] | undefined;
      return answerProblem(c, result.code, { detail: result.detail, errors, cause: result.cause });
    }
    if (act !== undefined && by.kind === "operator") act.tenantId = result.tenantId;
    if (act !== undefined && result.target !== undefined) act.target = result.target;
    if (operation.changes) await notify(context.afterChange);
    if (result.version !== undefined) c.header("ETag", `"${result.version}"`);
    c.header("Content-Type", "application/json");
    return c.body(JSON.stringify(result.body), result.status);
  };

  // The route's static type has forgotten which schemas it holds; `validated` gives the handler their types back.
  app.openapi(route as RouteConfig, handler as never, (result, c) => {
    if (result.success) return undefined;
    const refusal = inputInvalid(inputErrors(result.error.issues));
    return answerProblem(c as unknown as Context<AdminEnv>, refusal.code, {
      detail: refusal.detail,
      errors: refusal.data.errors,
    }) as never;
  });
}

/** The parts of the request that the operation's schemas have parsed before its handler runs. */
function validated(c: Context<AdminEnv>, operation: AdminOperation): InputOf<RequestSchemas> {
  const { params, query, body } = operation.request;
  const part = (target: "param" | "query" | "json" | "header"): unknown => c.req.valid(target as never);
  const headers = operation.conditional ? (part("header") as z.output<typeof ifMatchHeader>) : {};
  return {
    params: params === undefined ? undefined : part("param"),
    query: query === undefined ? undefined : part("query"),
    body: body === undefined ? undefined : part("json"),
    expected: headers["If-Match"] ?? null,
  } as InputOf<RequestSchemas>;
}

/** Emits the operation's one event when everything after it has answered. */
function reportAct(
  operation: AdminOperation,
  { ids, clock, emit }: OperationContext,
): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    const began = clock.monotonic();
    const act = beginAct(ids.operation(), c.env.by);
    c.set("act", act);
    await next();
    emit({
      type: "administrative",
      at: clock.now(),
      operationId: act.operationId,
      actor: act.actor,
      action: operation.action,
      tenantId: act.tenantId,
      target: act.target,
      outcome: act.outcome,
      code: act.code,
      durationMs: clock.monotonic() - began,
      ...(act.cause === undefined ? {} : { cause: act.cause }),
    });
  };
}

/**
 * The one place where an operation's access is enforced, for all of them: none can forget it. The parameter is the one
 * that the operation will read.
 */
function checkAccess(operation: AdminOperation): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    const named = c.req.param("t");
    const refusal = accessRefusal(operation, c.env.by, named);
    if (refusal === null) return next();
    const act = c.get("act");
    if (act !== undefined && named !== undefined) act.target = parseTenantId(named) ?? parseSlug(named);
    // Node would otherwise read a body to its end, however long, before the connection's next request.
    if (hasBody((name) => c.req.header(name))) c.header("Connection", "close");
    return answerProblem(c, refusal.code);
  };
}

/** The change is made, whether or not the instances could be told: they find it by polling as well. */
async function notify(afterChange: () => Promise<void>): Promise<void> {
  try {
    await afterChange();
  } catch {
    // Nothing that this answer could say about it would help its reader.
  }
}

function whoMay({ access, tenantMembers }: AdminOperation): string {
  if (access === "operator") return "For the operator alone.";
  const members = tenantMembers === undefined ? "" : `, who may send only ${tenantMembers.join(", ")}`;
  return `For the operator, and for administrators of the tenant${members}.`;
}

function responsesOf(operation: AdminOperation): RouteConfig["responses"] {
  const responses: RouteConfig["responses"] = {};
  for (const [status, answer] of Object.entries(operation.answers)) {
    responses[status] = {
      description: answer.description,
      content: { "application/json": { schema: answer.schema } },
    };
  }
  const codes = [
    ...ALWAYS,
    ...(operation.access === "operator" || operation.tenantMembers !== undefined
      ? (["operator_only"] as const)
      : []),
    ...(operation.request.body === undefined ? [] : WITH_BODY),
    ...operation.refusals,
  ];
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) {
    const status = errorRow(code).http ?? 500;
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  for (const [status, those] of byStatus) {
    responses[status] = {
      description: those.map((code) => `\`${code}\`: ${errorRow(code).text}`).join(" "),
      content: { [PROBLEM_TYPE]: { schema: problemSchema } },
    };
  }
  return responses;
}
