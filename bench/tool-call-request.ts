import type { HttpRequest } from "./load/load-generator.ts";

const REVISION = "2026-07-28";
/** The tool that is called: in the middle of the fifty, and the only one of the official server. */
const TOOL = "greet_25";
/** The one permission that the fifty tools require. */
export const PERMISSION = "bench:greet";

/** A well-formed `tools/call` of revision 2026-07-28. Every server is sent the same bytes, but for its own port. */
export function toolCallRequest(of: {
  readonly path: string;
  readonly token: string;
  readonly id: number;
  readonly name: string;
}): HttpRequest {
  return {
    path: of.path,
    headers: {
      authorization: `Bearer ${of.token}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": REVISION,
      "mcp-method": "tools/call",
      "mcp-name": TOOL,
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: of.id,
      method: "tools/call",
      params: {
        name: TOOL,
        arguments: { name: of.name },
        _meta: {
          "io.modelcontextprotocol/protocolVersion": REVISION,
          "io.modelcontextprotocol/clientInfo": { name: "bench", version: "1.0.0" },
          "io.modelcontextprotocol/clientCapabilities": {},
        },
      },
    }),
  };
}

/** A request of the previous generation, as its clients begin with. */
export function initializeRequest(of: { readonly path: string; readonly token: string }): HttpRequest {
  return {
    path: of.path,
    headers: {
      authorization: `Bearer ${of.token}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: {
        protocolVersion: "2025-11-25",
        capabilities: {},
        clientInfo: { name: "bench", version: "1.0.0" },
      },
    }),
  };
}

/** Sends one request outside any round. */
export async function sendOnce(
  origin: string,
  request: HttpRequest,
): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(`${origin}${request.path}`, {
    method: "POST",
    headers: request.headers,
    body: request.body,
  });
  return { status: response.status, text: await response.text() };
}

/**
 * Whether a server answers a call as it must: a number of calls/s of error answers would be worth nothing.
 * @throws Error with the answer where it does not.
 */
export async function checkAnswer(server: string, origin: string, request: HttpRequest): Promise<void> {
  const { params } = JSON.parse(request.body) as { params: { arguments: { name: string } } };
  const { status, text } = await sendOnce(origin, request);
  const answer =
    status === 200 ? (JSON.parse(text) as { result?: { content?: { text?: unknown }[] } }) : null;
  if (answer?.result?.content?.[0]?.text !== `Hello, ${params.arguments.name}.`) {
    throw new Error(`${server} answers a call with ${status}: ${text.slice(0, 500)}`);
  }
}
