import { type Refusal, refuse } from "../core/refusal.ts";

/** What a caller presented. The token goes no further than the identity room. */
export interface BearerCredentials {
  readonly kind: "bearer";
  readonly token: string;
}

/** RFC 6750 section 2.1: one or more spaces, then `b64token`, and nothing after it. */
const BEARER = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i;

/** Longest token that is looked at, in characters: longer ones would make refusing expensive. */
const MAX_TOKEN_LENGTH = 16_384;

/**
 * Reads the one bearer token of a request from its headers and URL alone, so that the body can stay unread until the
 * caller is known.
 *
 * @param rawHeaders names and values in turn, as `IncomingMessage.rawHeaders` has them: the parsed headers hide a
 *   second Authorization header.
 * @param url the request target as received.
 */
export function readBearer(rawHeaders: readonly string[], url: string): BearerCredentials | Refusal {
  if (hasTokenInQuery(url)) return malformed("a token in the query");
  let authorization: string | undefined;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name === undefined || name.length !== 13 || name.toLowerCase() !== "authorization") continue;
    if (authorization !== undefined) return malformed("more than one Authorization header");
    authorization = rawHeaders[i + 1] ?? "";
  }
  if (authorization === undefined) return refuse("credentials_missing");
  // The scheme and its space are not part of the token: 16 characters leave room for them.
  if (authorization.length > MAX_TOKEN_LENGTH + 16) return malformed("a token over 16 KB");
  const token = BEARER.exec(authorization)?.[1];
  if (token === undefined) return malformed("not one well-formed Bearer token");
  if (token.length > MAX_TOKEN_LENGTH) return malformed("a token over 16 KB");
  return { kind: "bearer", token };
}

/** RFC 6750 section 2.3 is refused: URLs end up in logs, histories and Referer headers. */
function hasTokenInQuery(url: string): boolean {
  const start = url.indexOf("?");
  return start !== -1 && new URLSearchParams(url.slice(start + 1)).has("access_token");
}

function malformed(cause: string): Refusal {
  return refuse("credentials_malformed", { cause });
}
