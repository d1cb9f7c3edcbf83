import { type Refusal, refuse } from "../core/refusal.ts";
import type { ClientDescription } from "./client-description.ts";
import { isObject, type JsonObject, member, type RequestId } from "./json-rpc.ts";
import type { Method } from "./mcp-request.ts";

/** Characters of a client's name and version that are kept. */
const MAX_NAME = 200;
/** Longest progress token: it is sent back with every notification. */
const MAX_TOKEN = 512;

/** Methods with a parameter that names what they are for; on the current revision the header `Mcp-Name` mirrors it. */
const NAMED: ReadonlyMap<Method, "name" | "uri" | "taskId"> = new Map([
  ["tools/call", "name"],
  ["prompts/get", "name"],
  ["resources/read", "uri"],
  // Tasks, "Streamable HTTP: Routing Headers".
  ["tasks/get", "taskId"],
  ["tasks/update", "taskId"],
  ["tasks/cancel", "taskId"],
]);

/** What a request is for, by name or URI; null for methods that name nothing. */
export function readName(method: Method, params: JsonObject): string | null | Refusal {
  const parameter = NAMED.get(method);
  if (parameter === undefined) return null;
  const name = member(params, parameter);
  return typeof name === "string"
    ? name
    : refuse("params_invalid", { detail: `params.${parameter} must be a text.` });
}

/** A client's `Implementation` and capabilities, as far as they are of use. */
export function describeClient(info: unknown, capabilities: JsonObject): ClientDescription {
  const text = (value: unknown): string | null =>
    typeof value === "string" && value !== "" ? value.slice(0, MAX_NAME) : null;
  return isObject(info)
    ? { name: text(member(info, "name")), version: text(member(info, "version")), capabilities }
    : { name: null, version: null, capabilities };
}

/** With what a client wants to hear of progress; null where it does not, or asks with something that is no token. */
export function readProgressToken(meta: JsonObject | undefined): RequestId | null {
  const token = member(meta, "progressToken");
  if (typeof token === "string") return token.length <= MAX_TOKEN ? token : null;
  return Number.isSafeInteger(token) ? Number(token) : null;
}
