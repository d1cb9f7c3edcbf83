import { isRefusal, type Refusal, refuse } from "../../core/refusal.ts";
import { readName, readProgressToken } from "../envelope.ts";
import { type ClientMessage, isObject, member, type RequestId } from "../json-rpc.ts";
import type { McpRequest, Method } from "../mcp-request.ts";
import type { Session } from "../session.ts";
import { readTrace } from "../trace-context.ts";

/** The methods of these revisions that this server answers, besides `initialize`. */
const KNOWN: ReadonlySet<string> = new Set<Method>([
  "ping",
  "tools/list",
  "tools/call",
  "resources/list",
  "resources/templates/list",
  "resources/read",
  "resources/subscribe",
  "resources/unsubscribe",
  "prompts/list",
  "prompts/get",
  "completion/complete",
  "logging/setLevel",
]);

/** Makes a request of a session's message. Pure; the same for every transport. */
export function checkEarlierRequest(
  message: ClientMessage & { readonly id: RequestId },
  session: Session,
): McpRequest | Refusal {
  const { id, method, params = {} } = message;
  if (method === "initialize") {
    return refuse("message_invalid", { detail: "initialize comes first, alone and without a session." });
  }
  if (!isKnown(method)) return refuse("method_unknown");
  const name = readName(method, params);
  if (isRefusal(name)) return name;
  const given = member(params, "_meta");
  const meta = isObject(given) ? given : undefined;
  return {
    id,
    method,
    params,
    name,
    revision: session.revision,
    client: session.client,
    // "If no logging/setLevel request has been sent … the server MAY decide which messages to send" (Logging).
    logLevel: session.logLevel ?? "info",
    progressToken: readProgressToken(meta),
    trace: readTrace(meta),
    headers: null,
    session,
  };
}

function isKnown(method: string): method is Method {
  return KNOWN.has(method);
}
