import type { MiddlewareHandler } from "hono";
import type { AdminEnv } from "./act.ts";
import { answerProblem } from "./answer-problem.ts";
import { inputInvalid } from "./problem.ts";

/** Deeper members are named by the first ones above them: a path must not be as long as a body is deep. */
const MAX_PATH = 4;

/**
 * Refuses a body with a member `__proto__` anywhere. The schemas would drop it without a word, so that a record of
 * nothing else would replace what is there by nothing.
 */
export const refusePrototypes: MiddlewareHandler<AdminEnv> = async (c, next) => {
  let body: unknown;
  try {
    body = await c.req.json();
  } catch {
    // What is no JSON is refused where it is validated.
    return next();
  }
  const path = pathOfPrototype(body);
  if (path === null) return next();
  const { code, detail, data } = inputInvalid([{ path, message: "Must not be the name of a member" }]);
  return answerProblem(c, code, { detail, errors: data.errors });
};

/** With a stack of its own: a body of brackets alone would otherwise overflow the call stack. */
function pathOfPrototype(body: unknown): string | null {
  const open: { readonly value: unknown; readonly path: readonly string[] }[] = [{ value: body, path: [] }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, path } = next;
    if (typeof value !== "object" || value === null) continue;
    for (const [key, member] of Object.entries(value)) {
      if (key === "__proto__") return [...path, key].join(".");
      open.push({ value: member, path: path.length < MAX_PATH ? [...path, key] : path });
    }
  }
  return null;
}
