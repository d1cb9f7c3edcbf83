import type { IncomingHttpHeaders } from "node:http";
import { type ClientBody, type ClientMessage, isObject, member } from "./json-rpc.ts";
import { isEarlier } from "./revisions.ts";

/**
 * Whether a body is of the previous generation (2026-07-28, basic, "Versioning": a request that carries `_meta` with its
 * version is of the current one, `initialize` opens the other). What says neither is told by its headers; without any it
 * is taken for the current one, in whose words the refusal then names what is missing.
 */
export function isEarlierGeneration(body: ClientBody, headers: IncomingHttpHeaders): boolean {
  const version = headers["mcp-protocol-version"];
  const bySession = isOfSession(headers);
  if (body.kind !== "message") return bySession || version === undefined || isEarlier(version);
  if (namesItsRevision(body)) return false;
  return body.method === "initialize" || bySession || isEarlier(version);
}

/** Whether a message's headers place it in a session. */
export function isOfSession(headers: IncomingHttpHeaders): boolean {
  const version = headers["mcp-protocol-version"];
  return headers["mcp-session-id"] !== undefined && (version === undefined || isEarlier(version));
}

/** A message that says of which revision it is belongs to the current generation, whatever its client began with. */
export function namesItsRevision({ params }: ClientMessage): boolean {
  const meta = member(params, "_meta");
  return isObject(meta) && Object.hasOwn(meta, "io.modelcontextprotocol/protocolVersion");
}
