import { isUtf8 } from "node:buffer";
import { errorRow } from "../core/error-table.ts";
import { type Refusal, refuse } from "../core/refusal.ts";

export type RequestId = string | number;

/** A JSON object from outside. Read its members with {@link member}: `__proto__` and the like are only data. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A message of a client: a request where there is an id, else a notification. */
export interface ClientMessage {
  readonly id: RequestId | undefined;
  readonly method: string;
  readonly params: JsonObject | undefined;
}

/** Longest string id: it is sent back as it came. */
const MAX_ID = 512;

/** Reads one message from a body (JSON-RPC 2.0; MCP 2026-07-28, basic, "Messages"). */
export function parseMessage(body: Uint8Array): ClientMessage | Refusal {
  // toString() would put replacement characters where the bytes are no UTF-8, and go on.
  if (!isUtf8(body)) return refuse("parse_error");
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString());
  } catch {
    return refuse("parse_error");
  }
  if (!isObject(value))
    return refuse("message_invalid", {
      detail: Array.isArray(value) ? "A batch is not a message of this revision." : "It is not an object.",
    });
  const { id, method, params } = value;
  if (value.jsonrpc !== "2.0") return refuse("message_invalid", { detail: 'jsonrpc must be "2.0".' });
  if (typeof method !== "string" || method === "")
    return refuse("message_invalid", { detail: "method must be a text." });
  if (id !== undefined && !isRequestId(id))
    return refuse("message_invalid", { detail: "id must be a text or an integer." });
  if (params !== undefined && !isObject(params))
    return refuse("message_invalid", { detail: "params must be an object." });
  return { id, method, params };
}

function isRequestId(value: unknown): value is RequestId {
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
export function resultResponse(id: RequestId, members: string, serverInfo: string): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"resultType":"complete",${members === "" ? "" : `${members},`}"_meta":{"io.modelcontextprotocol/serverInfo":${serverInfo}}}}`;
}

/** The response that a refusal makes: the code's text, its detail, and `data` with our code. */
export function errorResponse(id: RequestId | null, refusal: Refusal): string {
  const row = errorRow(refusal.code);
  return JSON.stringify({
    jsonrpc: "2.0",
    id,
    error: {
      code: row.rpc ?? -32603,
      message: refusal.detail === undefined ? row.text : `${row.text} ${refusal.detail}`,
      data: {
        ...refusal.data,
        ...(refusal.scopes === undefined ? {} : { scopes: refusal.scopes }),
        ...(refusal.retryAfterMs === undefined ? {} : { retryAfterMs: refusal.retryAfterMs }),
        code: refusal.code,
        remedy: row.remedy,
      },
    },
  });
}
