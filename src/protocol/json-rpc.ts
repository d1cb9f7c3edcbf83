import { isUtf8 } from "node:buffer";
import { errorRow } from "../core/error-table.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import { CURRENT, type Revision } from "./revisions.ts";

export type RequestId = string | number;

/** A JSON object from outside. Read its members with {@link member}: `__proto__` and the like are only data. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A message of a client: a request where there is an id, else a notification. */
export interface ClientMessage {
  readonly kind: "message";
  readonly id: RequestId | undefined;
  readonly method: string;
  readonly params: JsonObject | undefined;
}

/** A client's response to a request of the server, as revisions before 2026-07-28 have them. */
export interface ClientResponse {
  readonly kind: "response";
  readonly id: RequestId;
  /** Either the result, or the error: an object with code and message. */
  readonly result: JsonObject | null;
  readonly error: JsonObject | null;
}

/** Several messages at once, as revision 2025-03-26 has them. What is no message stands as its refusal. */
export interface ClientBatch {
  readonly kind: "batch";
  readonly members: readonly (ClientMessage | ClientResponse | Refusal)[];
}

/** What a body may hold. */
export type ClientBody = ClientMessage | ClientResponse | ClientBatch;

/** Longest string id: it is sent back as it came. */
const MAX_ID = 512;
/** Messages of one batch. */
const MAX_BATCH = 100;
/**
 * Objects and lists within each other (RFC 8259 section 9 lets a parser set this limit). JSON.parse knows none, but
 * JSON.stringify ends in a RangeError at several thousand: what a message brings is written again in sessions, states,
 * tasks, signals and handlers.
 */
const MAX_DEPTH = 1_000;

/** Reads a body (JSON-RPC 2.0; MCP 2026-07-28, basic, "Messages"). */
export function parseBody(body: Uint8Array): ClientBody | Refusal {
  // toString() would put replacement characters where the bytes are no UTF-8, and go on.
  if (!isUtf8(body)) return refuse("parse_error");
  if (isTooDeep(body)) return refuse("parse_error", { detail: `It is nested more than ${MAX_DEPTH} deep.` });
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString());
  } catch {
    return refuse("parse_error");
  }
  if (!Array.isArray(value)) return readMessage(value);
  if (value.length === 0 || value.length > MAX_BATCH)
    return refuse("message_invalid", { detail: `A batch has 1 to ${MAX_BATCH} messages.` });
  return { kind: "batch", members: value.map((each) => readMessage(each)) };
}

/** Looks at the bytes, since what is nested too deep should not be built first. Of what is no JSON it may say anything. */
function isTooDeep(body: Uint8Array): boolean {
  // Each level has a byte at its beginning and one at its end: most messages are shorter than what is too deep.
  if (body.length <= 2 * MAX_DEPTH) return false;
  let depth = 0;
  let inText = false;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at];
    if (inText) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) inText = false;
    } else if (byte === QUOTE) {
      inText = true;
    } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      if (++depth > MAX_DEPTH) return true;
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
      depth--;
    }
  }
  return false;
}

const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST] = [0x7b, 0x7d, 0x5b, 0x5d];

/** Reads one message that was parsed. */
function readMessage(value: unknown): ClientMessage | ClientResponse | Refusal {
  if (!isObject(value)) return refuse("message_invalid", { detail: "It is not an object." });
  const { id, method, params } = value;
  if (value.jsonrpc !== "2.0") return refuse("message_invalid", { detail: 'jsonrpc must be "2.0".' });
  if (method === undefined && (Object.hasOwn(value, "result") || Object.hasOwn(value, "error")))
    return readResponse(value);
  if (typeof method !== "string" || method === "")
    return refuse("message_invalid", { detail: "method must be a text." });
  if (id !== undefined && !isRequestId(id))
    return refuse("message_invalid", { detail: "id must be a text or an integer." });
  if (params !== undefined && !isObject(params))
    return refuse("message_invalid", { detail: "params must be an object." });
  return { kind: "message", id, method, params };
}

function readResponse(value: JsonObject): ClientResponse | Refusal {
  const { id } = value;
  const [result, error] = [member(value, "result"), member(value, "error")];
  if (!isRequestId(id)) return refuse("message_invalid", { detail: "id must be a text or an integer." });
  if (isObject(result) && error === undefined) return { kind: "response", id, result, error: null };
  if (isObject(error) && result === undefined) return { kind: "response", id, result: null, error };
  return refuse("message_invalid", { detail: "A response has either a result or an error, an object." });
}

export function isRequestId(value: unknown): value is RequestId {
  return typeof value === "string" ? value.length <= MAX_ID : Number.isSafeInteger(value);
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An object's own member; undefined where it has none of that name. */
export function member(object: JsonObject | undefined, name: string): unknown {
  return object !== undefined && Object.hasOwn(object, name) ? object[name] : undefined;
}

/** A response with a result that is already serialised: the members of the result object without its braces. */
export function resultResponse(id: RequestId, members: string): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{${members}}}`;
}

/** "Resource not found" in the revisions before 2026-07-28 ("Resources", "Error Handling"). */
const EARLIER_RESOURCE_UNKNOWN = -32002;

/** The response that a refusal makes: the code's text, its detail, and `data` with our code. */
export function errorResponse(id: RequestId | null, refusal: Refusal, revision: Revision = CURRENT): string {
  return JSON.stringify({ jsonrpc: "2.0", id, error: errorObject(refusal, revision) });
}

/** The error alone. */
export function errorObject(refusal: Refusal, revision: Revision = CURRENT): JsonObject {
  const row = errorRow(refusal.code);
  const isEarlierUnknown = revision !== CURRENT && refusal.code === "resource_unknown";
  return {
    code: isEarlierUnknown ? EARLIER_RESOURCE_UNKNOWN : (row.rpc ?? -32603),
    message: refusal.detail === undefined ? row.text : `${row.text} ${refusal.detail}`,
    data: {
      ...refusal.data,
      ...(refusal.scopes === undefined ? {} : { scopes: refusal.scopes }),
      ...(refusal.retryAfterMs === undefined ? {} : { retryAfterMs: refusal.retryAfterMs }),
      code: refusal.code,
      remedy: row.remedy,
    },
  };
}
