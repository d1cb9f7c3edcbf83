import { request as httpRequest } from "node:http";
import { type HttpAnswer, send } from "./mcp-request.ts";
import { readStream, type TestStream } from "./open-stream.ts";

/** One server-sent event, as it came. */
export interface TestEvent {
  readonly id?: string;
  readonly retry?: string;
  readonly data?: string;
}

/** A session of the previous generation, as its client has it. Every message is sent as bytes, with its headers. */
export interface TestSession {
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sends a body, whole or in members; resolves when the answer has ended. */
  post(body: unknown, headers?: Record<string, string>): Promise<HttpAnswer>;
  request(method: string, params?: unknown, id?: string | number): Promise<HttpAnswer>;
  call(name: string, args?: unknown, id?: string | number): Promise<HttpAnswer>;
  notify(method: string, params?: unknown): Promise<HttpAnswer>;
  /** Sends a body; resolves when its answer begins. */
  stream(body: unknown, headers?: Record<string, string>): Promise<TestStream>;
  streamCall(name: string, args?: unknown, options?: { id?: number; meta?: unknown }): Promise<TestStream>;
  get(headers?: Record<string, string>): Promise<TestStream>;
  end(): Promise<HttpAnswer>;
  /** The same session through another URL, or with another token. */
  through(url: string, token?: string): TestSession;
}

export const ACCEPT = "application/json, text/event-stream";

export function initializeBody(
  version: string,
  capabilities: unknown = {},
  id: string | number = 0,
): unknown {
  const clientInfo = { name: "test", version: "1.0" };
  return {
    jsonrpc: "2.0",
    id,
    method: "initialize",
    params: { protocolVersion: version, capabilities, clientInfo },
  };
}

export function initialize(
  url: string,
  token: string,
  version: string,
  capabilities: unknown = {},
): Promise<HttpAnswer> {
  return send(url, {
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", accept: ACCEPT },
    body: JSON.stringify(initializeBody(version, capabilities)),
  });
}

/** Opens a session. */
export async function openSession(
  url: string,
  token: string,
  options: { readonly version?: string; readonly capabilities?: unknown } = {},
): Promise<TestSession> {
  const version = options.version ?? "2025-11-25";
  const answer = await initialize(url, token, version, options.capabilities);
  const id = answer.headers["mcp-session-id"];
  if (answer.status !== 200 || typeof id !== "string") {
    throw new TypeError(`No session: ${answer.status} ${answer.text}`);
  }
  return sessionOver(url, token, { id, version });
}

/** A session as whoever holds its id would use it. */
export function sessionOver(
  url: string,
  token: string,
  { id, version }: { readonly id: string; readonly version: string },
): TestSession {
  const headers = {
    authorization: `Bearer ${token}`,
    accept: ACCEPT,
    "mcp-session-id": id,
    // The first of these revisions had no such header.
    ...(version === "2025-03-26" ? {} : { "mcp-protocol-version": version }),
  };
  const json = { ...headers, "content-type": "application/json" };
  const message = (method: string, params: unknown, messageId?: string | number): unknown => ({
    jsonrpc: "2.0",
    ...(messageId === undefined ? {} : { id: messageId }),
    method,
    ...(params === undefined ? {} : { params }),
  });
  const session: TestSession = {
    id,
    headers,
    post: (body, more) => send(url, { headers: { ...json, ...more }, body: JSON.stringify(body) }),
    request: (method, params, messageId = 1) => session.post(message(method, params, messageId)),
    call: (name, args = {}, messageId = 1) =>
      session.request("tools/call", { name, arguments: args }, messageId),
    notify: (method, params) => session.post(message(method, params)),
    stream: (body, more) =>
      readStream(
        httpRequest(url, { method: "POST", agent: false, headers: { ...json, ...more } }),
        JSON.stringify(body),
      ),
    streamCall: (name, args = {}, { id: messageId = 1, meta } = {}) =>
      session.stream(
        message(
          "tools/call",
          { name, arguments: args, ...(meta === undefined ? {} : { _meta: meta }) },
          messageId,
        ),
      ),
    get: (more) =>
      readStream(httpRequest(url, { method: "GET", agent: false, headers: { ...headers, ...more } })),
    end: () => send(url, { method: "DELETE", headers }),
    through: (other, otherToken = token) => sessionOver(other, otherToken, { id, version }),
  };
  return session;
}

/** The events of a stream so far. Comments are none. */
export function eventsOf(stream: TestStream): TestEvent[] {
  return stream
    .text()
    .split("\n\n")
    .slice(0, -1)
    .map((text) => {
      const event: Record<string, string> = {};
      for (const line of text.split("\n")) {
        const colon = line.indexOf(": ");
        if (colon > 0) event[line.slice(0, colon)] = line.slice(colon + 2);
      }
      return event;
    })
    .filter((event) => Object.keys(event).length > 0);
}

/** The messages of a stream so far. */
// biome-ignore lint/suspicious/noExplicitAny: tests read whatever the wire has, and assert what it must be.
export function messagesOf(stream: TestStream): any[] {
  return eventsOf(stream).flatMap(({ data }) =>
    data === undefined || data === "" ? [] : [JSON.parse(data)],
  );
}

/** The last event id that a client has seen. */
export function lastEventId(stream: TestStream): string {
  const id = eventsOf(stream).findLast((event) => event.id !== undefined)?.id;
  if (id === undefined) throw new TypeError("The stream has no event id.");
  return id;
}
