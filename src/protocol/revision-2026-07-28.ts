import type { IncomingHttpHeaders } from "node:http";
import type { ParameterHeader } from "../catalog/parameter-headers.ts";
import { isRefusal, type Refusal, refuse } from "../core/refusal.ts";
import { describeClient, readName, readProgressToken } from "./envelope.ts";
import { type ClientMessage, isObject, type JsonObject, member, type RequestId } from "./json-rpc.ts";
import type { McpRequest, Method } from "./mcp-request.ts";
import { isLevel } from "./message-levels.ts";
import { CURRENT, SUPPORTED_VERSIONS } from "./revisions.ts";
import { readTrace } from "./trace-context.ts";

const META_VERSION = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities";
const META_CLIENT = "io.modelcontextprotocol/clientInfo";
const META_LOG_LEVEL = "io.modelcontextprotocol/logLevel";

/** The methods of this revision that this server answers. */
const KNOWN: ReadonlySet<string> = new Set<Method>([
  "server/discover",
  "tools/list",
  "tools/call",
  "resources/list",
  "resources/templates/list",
  "resources/read",
  "prompts/list",
  "prompts/get",
  "completion/complete",
  "subscriptions/listen",
  "tasks/get",
  "tasks/update",
  "tasks/cancel",
]);

/**
 * Checks a request against its envelope and headers (basic, "_meta"; Streamable HTTP, "Server Validation"). Pure.
 *
 * @param id the message's, which makes it a request.
 * @param headers null for a transport that has none: stdio.
 */
export function checkRequest(
  message: ClientMessage,
  id: RequestId,
  headers: IncomingHttpHeaders | null,
): McpRequest | Refusal {
  const { params } = message;
  const meta = member(params, "_meta");
  const version = isObject(meta) ? member(meta, META_VERSION) : undefined;
  if (params === undefined || !isObject(meta) || typeof version !== "string")
    return refuse("envelope_invalid");
  const header = headers === null ? version : headers["mcp-protocol-version"];
  if (header === undefined) return refuse("header_mismatch", { detail: "MCP-Protocol-Version is missing." });
  if (typeof header !== "string" || trimmed(header) !== version) {
    return refuse("header_mismatch", { detail: "MCP-Protocol-Version differs from _meta." });
  }
  if (version !== CURRENT) {
    return refuse("version_unsupported", {
      data: { supported: SUPPORTED_VERSIONS, requested: version.slice(0, 64) },
    });
  }
  const capabilities = member(meta, META_CAPABILITIES);
  if (!isObject(capabilities)) return refuse("envelope_invalid");
  if (headers !== null) {
    const method = headers["mcp-method"];
    if (typeof method !== "string" || trimmed(method) !== message.method) {
      return refuse("header_mismatch", {
        detail: `Mcp-Method ${method === undefined ? "is missing" : "differs from the body"}.`,
      });
    }
  }
  if (!isKnown(message.method)) return refuse("method_unknown");
  const logLevel = member(meta, META_LOG_LEVEL);
  if (logLevel !== undefined && !isLevel(logLevel))
    return refuse("params_invalid", { detail: `_meta.${META_LOG_LEVEL} is no level.` });
  const name = readName(message.method, params);
  if (isRefusal(name)) return name;
  if (name !== null && headers !== null) {
    const named = headers["mcp-name"];
    if (typeof named !== "string") return refuse("header_mismatch", { detail: "Mcp-Name is missing." });
    if (decodeHeaderValue(named) !== name)
      return refuse("header_mismatch", { detail: "Mcp-Name differs from the body." });
  }
  return {
    id,
    method: message.method,
    params,
    name,
    revision: CURRENT,
    client: describeClient(member(meta, META_CLIENT), capabilities),
    logLevel: logLevel ?? null,
    progressToken: readProgressToken(meta),
    trace: readTrace(meta),
    headers: headers === null ? null : mirrorsOf(headers),
    session: null,
  };
}

const NO_MIRRORS: IncomingHttpHeaders = Object.freeze({});

/** The `Mcp-Param-*` headers of a request. */
function mirrorsOf(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  let mirrors: IncomingHttpHeaders | null = null;
  for (const name in headers) {
    if (!name.startsWith("mcp-param-")) continue;
    mirrors ??= {};
    mirrors[name] = headers[name];
  }
  return mirrors ?? NO_MIRRORS;
}

/** Checks the `Mcp-Param-*` headers of a call against its arguments ("Server Behavior for Custom Headers"). */
export function checkParameterHeaders(
  declared: readonly ParameterHeader[],
  args: JsonObject,
  headers: IncomingHttpHeaders,
): Refusal | null {
  for (const { header, path, type } of declared) {
    const value = valueAt(args, path);
    const sent = headers[header];
    if (value === undefined || value === null) {
      if (sent !== undefined)
        return refuse("header_mismatch", { detail: `${header} stands for an argument that is not there.` });
      continue;
    }
    if (typeof sent !== "string") return refuse("header_mismatch", { detail: `${header} is missing.` });
    const decoded = decodeHeaderValue(sent);
    if (decoded === null || !isMirrored(decoded, value, type))
      return refuse("header_mismatch", { detail: `${header} differs from the body.` });
  }
  return null;
}

/** Whether a decoded header says what the argument is. Objects and lists have no form that a header could mirror. */
function isMirrored(decoded: string, value: unknown, type: ParameterHeader["type"]): boolean {
  switch (typeof value) {
    case "number":
      // Integers by value ("Server Validation"); beyond the safe range several texts would be the same number.
      return type === "integer" && /^-?\d+(\.0+)?$/.test(decoded)
        ? Number.isSafeInteger(value) && Number(decoded) === value
        : decoded === String(value);
    case "string":
    case "boolean":
      return decoded === String(value);
    default:
      return false;
  }
}

/** Without the white space that HTTP allows around a field's value (RFC 9110 section 5.6.3), and no other. */
function trimmed(value: string): string {
  let from = 0;
  let to = value.length;
  // By hand: a regular expression takes quadratic time over 32 KB of spaces in the middle.
  while (from < to && isSpace(value.charCodeAt(from))) from++;
  while (to > from && isSpace(value.charCodeAt(to - 1))) to--;
  return value.slice(from, to);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** A header's value: white space around it trimmed, `=?base64?…?=` decoded. Null where it cannot be decoded. */
export function decodeHeaderValue(value: string): string | null {
  const text = trimmed(value);
  if (!text.startsWith("=?base64?") || !text.endsWith("?=") || text.length < 11) {
    return /^[\x20-\x7e\t]*$/.test(text) ? text : null;
  }
  const encoded = text.slice(9, -2);
  const bytes = Buffer.from(encoded, "base64");
  // Buffer is lenient; what it overlooked (other characters, padding too long or too short) shows when it encodes again.
  if (bytes.toString("base64") !== encoded) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

function isKnown(method: string): method is Method {
  return KNOWN.has(method);
}

function valueAt(args: JsonObject, path: readonly string[]): unknown {
  let value: unknown = args;
  for (const step of path) {
    if (!isObject(value)) return undefined;
    value = member(value, step);
  }
  return value;
}
