import type { z } from "@hono/zod-openapi";
import type { InputError } from "./problem.ts";

/** Enough to correct a request by; a body could otherwise make its answer many times its own size. */
const MAX_ERRORS = 50;

/** What a schema found wrong, with one entry for each member that it does not know. */
export function inputErrors(issues: readonly z.core.$ZodIssue[]): InputError[] {
  const errors: InputError[] = [];
  for (const issue of issues) {
    const path = issue.path.map(String);
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys)
        errors.push({ path: [...path, key].join("."), message: "Unknown member" });
    } else if (issue.code === "invalid_key") {
      errors.push({ path: path.join("."), message: issue.issues[0]?.message ?? issue.message });
    } else {
      errors.push({ path: path.join("."), message: issue.message });
    }
  }
  return errors.slice(0, MAX_ERRORS);
}
