import type { ServerResponse } from "node:http";
import { type ErrorCode, errorRow } from "../core/error-table.ts";
import type { Refusal } from "../core/refusal.ts";
import { errorResponse, type RequestId } from "./json-rpc.ts";
import { CURRENT, type Revision } from "./revisions.ts";

/** Writes a JSON text with its length, in one go. Gives the number of bytes; 0 where the caller has gone. */
export function answerJson(
  res: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): number {
  if (res.writableEnded || res.destroyed) return 0;
  const length = Buffer.byteLength(text);
  // Names and values in turn, which Node writes as they are: nearly all answers come this way.
  const head = [
    "content-type",
    "application/json",
    "content-length",
    String(length),
    "cache-control",
    "no-store",
  ];
  for (const name in headers) head.push(name, headers[name] ?? "");
  res.writeHead(status, head);
  res.end(text);
  return length;
}

/**
 * Answers a refusal of an MCP request: the code's status, a JSON-RPC error, Retry-After in whole seconds, rounded up.
 * @param challenge the WWW-Authenticate value for 400, 401 and 403 of the identity stage.
 */
export function answerRefusal(
  res: ServerResponse,
  refusal: Refusal,
  options: {
    readonly id?: RequestId | null;
    /** The whole error response, where it is written already. */
    readonly text?: string;
    /** Earlier revisions answer what is wrong with a request by a status of 200. Default: the current one. */
    readonly revision?: Revision;
    readonly challenge?: string | undefined;
    readonly close?: boolean;
    /** Methods that the address answers, with `method_not_allowed`. Default POST. */
    readonly allow?: string;
  } = {},
): number {
  const headers: Record<string, string> = {};
  if (refusal.retryAfterMs !== undefined)
    headers["retry-after"] = String(Math.max(1, Math.ceil(refusal.retryAfterMs / 1000)));
  if (options.challenge !== undefined) headers["www-authenticate"] = options.challenge;
  if (refusal.code === "method_not_allowed") headers.allow = options.allow ?? "POST";
  // The rest of a body that was not read would be taken for the next request.
  if (options.close === true) headers.connection = "close";
  return answerJson(
    res,
    statusOf(refusal, options.revision ?? CURRENT),
    options.text ?? errorResponse(options.id ?? null, refusal, options.revision),
    headers,
  );
}

/** Errors of a request that was understood: before 2026-07-28 its response is a success of HTTP. */
const IN_BAND_BEFORE: ReadonlySet<ErrorCode> = new Set([
  "method_unknown",
  "client_capability_missing",
  "request_state_invalid",
]);

function statusOf({ code }: Refusal, revision: Revision): number {
  return revision !== CURRENT && IN_BAND_BEFORE.has(code) ? 200 : (errorRow(code).http ?? 500);
}
