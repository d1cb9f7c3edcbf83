import type { ClientAbility, SampleRequest } from "../tenancy/client.ts";
import { isObject, type JsonObject, member } from "./json-rpc.ts";

/** What a client must be able to do for a request of its model. */
export function sampleAbilities(request: SampleRequest): readonly ClientAbility[] {
  const needs: ClientAbility[] = ["sampling"];
  if (request.tools !== undefined || request.toolChoice !== undefined) needs.push("sampling.tools");
  if (request.includeContext !== undefined && request.includeContext !== "none")
    needs.push("sampling.context");
  return needs;
}

/** Whether a client's result is one of `sampling/createMessage`. */
export function isSampleAnswer(result: JsonObject): boolean {
  const content = member(result, "content");
  const role = member(result, "role");
  return (
    (role === "user" || role === "assistant") &&
    typeof member(result, "model") === "string" &&
    (isObject(content) || (Array.isArray(content) && content.every((block) => isObject(block))))
  );
}
