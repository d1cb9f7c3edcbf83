import type { ApiKeyId } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import { looksLikeApiKey, parseApiKey } from "./api-key.ts";

/** A token of an issuer. It goes no further than the identity room, and neither do proofs. */
export interface TokenCredentials {
  readonly kind: "token";
  readonly scheme: "Bearer" | "DPoP";
  /** `jwt`: to be verified by keys; `opaque`: its issuer alone knows what it means. */
  readonly form: "jwt" | "opaque";
  readonly token: string;
  /** Values of all DPoP headers, in order: one of another scheme may have some too. */
  readonly proofs: readonly string[];
}

/** An API key. */
export interface KeyCredentials {
  readonly kind: "key";
  readonly id: ApiKeyId;
  readonly secret: string;
}

/** What a caller presented. */
export type PresentedCredentials = TokenCredentials | KeyCredentials;

/**
 * RFC 6750 section 2.1, RFC 9449 section 7.1: one or more spaces, then `b64token`, which is the same as `token68`, and
 * nothing after it.
 */
const AUTHORIZATION = /^(bearer|dpop) +([A-Za-z0-9\-._~+/]+=*)$/i;

/** Longest token that is looked at, in characters: longer ones would make refusing expensive. */
const MAX_TOKEN_LENGTH = 16_384;

const NO_PROOFS: readonly string[] = Object.freeze([]);

/**
 * Reads what a request presents from its headers and URL alone, so that the body can stay unread until the caller is
 * known.
 *
 * A DPoP header beside a Bearer token is not malformed: clients that always send proofs do so, and nothing relies on it,
 * since a token that is bound to a key is refused as Bearer wherever it is known to be one (RFC 9449 section 7.2).
 *
 * @param rawHeaders names and values in turn, as `IncomingMessage.rawHeaders` has them: the parsed headers hide a
 *   second Authorization header, and join several proofs.
 * @param url the request target as received.
 * @returns a refusal `credentials_malformed`, `credentials_missing`, or `token_invalid` for what begins like an API key
 *   and is none.
 */
export function readCredentials(rawHeaders: readonly string[], url: string): PresentedCredentials | Refusal {
  if (hasTokenInQuery(url)) return malformed("a token in the query");
  let authorization: string | undefined;
  let proofs: string[] | undefined;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name === undefined) continue;
    if (name.length === 13 && name.toLowerCase() === "authorization") {
      if (authorization !== undefined) return malformed("more than one Authorization header");
      authorization = rawHeaders[i + 1] ?? "";
    } else if (name.length === 4 && name.toLowerCase() === "dpop") {
      proofs ??= [];
      proofs.push(rawHeaders[i + 1] ?? "");
    }
  }
  if (authorization === undefined) return refuse("credentials_missing");
  // The scheme and its space are not part of the token: 16 characters leave room for them.
  if (authorization.length > MAX_TOKEN_LENGTH + 16) return malformed("a token over 16 KB");
  const [, scheme, token] = AUTHORIZATION.exec(authorization) ?? [];
  if (scheme === undefined || token === undefined) return malformed("not one well-formed token");
  if (token.length > MAX_TOKEN_LENGTH) return malformed("a token over 16 KB");
  const bearer = scheme.length === "bearer".length;
  if (looksLikeApiKey(token)) {
    const key = bearer ? parseApiKey(token) : null;
    return key === null ? refuse("token_invalid", { cause: "not an API key" }) : { kind: "key", ...key };
  }
  return {
    kind: "token",
    scheme: bearer ? "Bearer" : "DPoP",
    form: isJwt(token) ? "jwt" : "opaque",
    token,
    proofs: proofs ?? NO_PROOFS,
  };
}

/** Two dots, so three parts (RFC 7515 section 7.1). Whether they are ones of a token is seen when it is verified. */
function isJwt(token: string): boolean {
  const first = token.indexOf(".");
  const second = first < 0 ? -1 : token.indexOf(".", first + 1);
  return second >= 0 && !token.includes(".", second + 1);
}

/** RFC 6750 section 2.3 is refused: URLs end up in logs, histories and Referer headers. */
function hasTokenInQuery(url: string): boolean {
  const start = url.indexOf("?");
  return start !== -1 && new URLSearchParams(url.slice(start + 1)).has("access_token");
}

function malformed(cause: string): Refusal {
  return refuse("credentials_malformed", { cause });
}
