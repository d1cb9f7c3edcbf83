import { type HttpAnswer, META, mcpMessage, send } from "../support/mcp-request.ts";

/** A call of revision 2026-07-28 by a client that can ask its user. */
export function askingCall(
  url: string,
  token: string,
  params: Record<string, unknown>,
  options: { readonly capabilities?: object; readonly signal?: AbortSignal; readonly meta?: object } = {},
): Promise<HttpAnswer> {
  const { headers, body } = mcpMessage(token, "tools/call", params);
  const message = JSON.parse(body);
  message.params._meta = {
    ...META,
    "io.modelcontextprotocol/clientCapabilities": options.capabilities ?? { elicitation: {} },
    ...options.meta,
  };
  const { signal } = options;
  return send(url, { headers, body: JSON.stringify(message), ...(signal === undefined ? {} : { signal }) });
}

/** The parts of an `input_required` answer. */
export function questionOf(answer: HttpAnswer): {
  readonly key: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever the wire has, and assert what it must be.
  readonly request: any;
  readonly requestState: string;
} {
  const { resultType, inputRequests, requestState } = answer.json?.result ?? {};
  if (resultType !== "input_required")
    throw new TypeError(`It asks nothing: ${answer.status} ${answer.text}`);
  const [first] = Object.entries(inputRequests);
  if (first === undefined) throw new TypeError("It asks nothing.");
  return { key: first[0], request: first[1], requestState };
}

export const accept = (content: object) => ({ action: "accept", content });
