import type { TraceContext } from "../../tenancy/client.ts";
import type { BegunTask } from "../../tenancy/task-record.ts";
import type { ClientDescription } from "../client-description.ts";
import { isObject, type JsonObject, member } from "../json-rpc.ts";
import type { McpRequest } from "../mcp-request.ts";
import { CURRENT } from "../revisions.ts";

/** A call as JSON, as its runs need it: of its parameters, those that say what is called. */
export function keepRequest({ name, params, client, trace }: McpRequest): string {
  return JSON.stringify({ name, arguments: member(params, "arguments"), client, trace });
}

/** The call that a run of a task answers. It came over no connection: there are no headers that could mirror it. */
export function restoreRequest({ taskId, request }: Pick<BegunTask, "taskId" | "request">): McpRequest {
  const kept: unknown = JSON.parse(request);
  if (!isObject(kept)) throw new TypeError("The request of a task cannot be read.");
  const { name, arguments: args } = kept;
  return {
    id: taskId,
    method: "tools/call",
    params: { name, ...(args === undefined ? {} : { arguments: args }) },
    name: typeof name === "string" ? name : null,
    revision: CURRENT,
    client: readClient(kept.client),
    // "notifications/progress and notifications/message … are not supported on tasks": progress is the status message.
    logLevel: null,
    progressToken: taskId,
    trace: readTrace(kept.trace),
    headers: null,
    session: null,
  };
}

function readClient(given: unknown): ClientDescription {
  const client: JsonObject = isObject(given) ? given : {};
  const capabilities = member(client, "capabilities");
  return {
    name: textOrNull(member(client, "name")),
    version: textOrNull(member(client, "version")),
    capabilities: isObject(capabilities) ? capabilities : {},
  };
}

function readTrace(given: unknown): TraceContext | null {
  if (!isObject(given)) return null;
  const { traceparent, tracestate, baggage } = given;
  if (typeof traceparent !== "string") return null;
  return { traceparent, tracestate: textOrNull(tracestate), baggage: textOrNull(baggage) };
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
