import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { type ErrorCode, errorRow } from "../core/error-table.ts";
import type { AdminEnv } from "./act.ts";
import { PROBLEM_TYPE, type ProblemDetails, problem } from "./problem.ts";

/** Answers a request with a problem, and notes it in the event of the operation, if it has become one. */
export function answerProblem(
  c: Context<AdminEnv>,
  code: ErrorCode,
  details: Omit<ProblemDetails, "operationId"> & { readonly cause?: unknown } = {},
): Response {
  const act = c.get("act");
  if (act !== undefined) {
    act.outcome = (errorRow(code).http ?? 500) >= 500 ? "failed" : "refused";
    act.code = code;
    act.cause = details.cause;
  }
  const document = problem(code, { ...details, operationId: act?.operationId });
  // RFC 9110, section 15.5.2: whoever was let in, and is refused as nobody later.
  if (document.status === 401) c.header("WWW-Authenticate", "Bearer");
  if (document.status === 503) c.header("Retry-After", "1");
  c.header("Content-Type", PROBLEM_TYPE);
  return c.body(JSON.stringify(document), document.status as ContentfulStatusCode);
}
