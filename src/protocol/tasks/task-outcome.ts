import { isRefusal, type Refusal, refuse } from "../../core/refusal.ts";
import { errorObject } from "../json-rpc.ts";
import type { McpRequest } from "../mcp-request.ts";
import type { Operation } from "../operations.ts";
import type { Performed } from "../performed.ts";

/** Bytes of a task's result, as JSON: it is kept, and sent at every question for it. */
const MAX_RESULT = 1_048_576;

/** The operation of a task's run: its audit rows name the task, and what it gives has a bound. */
export function operationOfRun(operation: Operation, { id }: McpRequest): Operation {
  return {
    ...operation,
    async perform(ctx) {
      ctx.audit({ task: String(id) });
      const performed = await operation.perform(ctx);
      if (isRefusal(performed) || Buffer.byteLength(performed.members) <= MAX_RESULT) return performed;
      return refuse("handler_failed", { detail: `The result of a task may have ${MAX_RESULT} bytes.` });
    },
  };
}

/** What a task ended with, as it is kept: its result, or the error. */
export function outcomeText(_request: unknown, result: Performed | Refusal): string {
  return isRefusal(result) ? JSON.stringify(errorObject(result)) : `{${result.members}}`;
}
