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

/** The same call in a session of the previous generation. */
export function earlierCallRequest(of: {
  readonly path: string;
  readonly token: string;
  readonly id: number;
  readonly name: string;
  readonly session: string;
}): HttpRequest {
  return {
    path: of.path,
    headers: earlierHeaders(of),
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: of.id,
      method: "tools/call",
      params: { name: TOOL, arguments: { name: of.name } },
    }),
  };
}

/** `tools/list` of either generation: in a session where there is one. */
export function toolListRequest(of: {
  readonly path: string;
  readonly token: string;
  readonly id: number;
  readonly session: string | null;
}): HttpRequest {
  const { path, token, id, session } = of;
  if (session !== null) {
    const body = JSON.stringify({ jsonrpc: "2.0", id, method: "tools/list", params: {} });
    return { path, headers: earlierHeaders({ token, session }), body };
  }
  const call = toolCallRequest({ path, token, id, name: "" });
  const { "mcp-name": _name, ...headers } = call.headers;
  const { params } = JSON.parse(call.body) as { params: { _meta: unknown } };
  const body = JSON.stringify({ jsonrpc: "2.0", id, method: "tools/list", params: { _meta: params._meta } });
  return { path, headers: { ...headers, "mcp-method": "tools/list" }, body };
}

function earlierHeaders(of: { readonly token: string; readonly session: string }): HttpRequest["headers"] {
  return {
    authorization: `Bearer ${of.token}`,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": "2025-11-25",
    "mcp-session-id": of.session,
  };
}

/**
 * Opens a session, as clients of the previous generation do.
 * @throws Error where it is not opened.
 */
export async function openSession(
  origin: string,
  of: { readonly path: string; readonly token: string },
): Promise<string> {
  const { path, headers, body } = initializeRequest(of);
  const response = await fetch(`${origin}${path}`, { method: "POST", headers, body });
  const session = response.headers.get("mcp-session-id");
  const text = await response.text();
  if (session === null) throw new Error(`No session: ${response.status} ${text.slice(0, 500)}`);
  return session;
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
