import { hash } from "node:crypto";
import type { Clock } from "../core/clock.ts";
import type { IssuerId } from "../core/ids.ts";
import { isRefusal, type Refusal, refuse } from "../core/refusal.ts";
import type { TrustedIssuer } from "../tenancy/tenant-snapshot.ts";
import type { GuardedFetch } from "./guarded-fetch.ts";
import { createQuestionPlaces } from "./question-places.ts";
import { type JsonObject, parseStrictObject } from "./strict-json.ts";
import { checkClaims } from "./token-claims.ts";
import { checkUse } from "./token-header.ts";
import { own } from "./token-parts.ts";
import {
  INTROSPECTION_LIMIT,
  type IntrospectionPurpose,
  type Introspector,
  type VerifiedToken,
} from "./verified-token.ts";

/** Milliseconds for which an answer is used again, counted from the question: what a revocation at the issuer may take. */
const KEEP_MS = 30_000;
/** Answers kept of all registrations together. */
const CACHE_SIZE = 10_000;
const RETRY_AFTER_MS = 1000;

/** What binds the sealed secret of a registration's introspection client to that registration. */
export function introspectionSecretContext(issuer: IssuerId): string {
  return `issuer ${issuer}`;
}

/**
 * Asks issuers about opaque tokens (RFC 7662). Of a token only a hash is kept, and only of one that was accepted: guessed
 * tokens must not drive out real ones.
 *
 * @param parts.openSecret the client secret of a registration; null where it cannot be opened.
 */
export function createIntrospector(parts: {
  readonly clock: Clock;
  readonly fetch: GuardedFetch;
  readonly openSecret: (registration: TrustedIssuer) => string | null;
}): Introspector {
  const { clock, fetch, openSecret } = parts;
  const kept = new Map<string, { readonly token: VerifiedToken; readonly until: number }>();
  const asking = new Map<string, Promise<VerifiedToken | Refusal>>();
  const places = createQuestionPlaces();

  function recall(key: string, nowMs: number): VerifiedToken | null {
    const entry = kept.get(key);
    if (entry === undefined) return null;
    if (clock.monotonic() < entry.until && nowMs < entry.token.expiresAt) return entry.token;
    kept.delete(key);
    return null;
  }

  function keep(key: string, token: VerifiedToken, until: number): void {
    kept.delete(key);
    kept.set(key, { token, until });
    if (kept.size > CACHE_SIZE) {
      const oldest = kept.keys().next();
      if (!oldest.done) kept.delete(oldest.value);
    }
  }

  async function ask(token: string, purpose: IntrospectionPurpose): Promise<VerifiedToken | Refusal> {
    const { registration } = purpose;
    if (registration.introspection === null) return invalid("the issuer's tokens are not introspected");
    const secret = openSecret(registration);
    if (secret === null) return unavailable("the client secret cannot be opened");
    const { endpoint, clientId } = registration.introspection;
    let bytes: Uint8Array;
    try {
      bytes = await fetch(endpoint, {
        form: { token, token_type_hint: "access_token" },
        authorization: basicAuthorization(clientId, secret),
      });
    } catch (error) {
      return unavailable(error instanceof Error ? error.message : "the exchange failed");
    }
    const answer = parseStrictObject(bytes);
    return typeof answer === "string" ? unavailable(`the answer ${answer}`) : checkAnswer(answer, purpose);
  }

  async function askAndKeep(key: string, token: string, purpose: IntrospectionPurpose) {
    const until = clock.monotonic() + KEEP_MS;
    try {
      const answer = await ask(token, purpose);
      if (!isRefusal(answer)) keep(key, answer, until);
      return answer;
    } finally {
      asking.delete(key);
    }
  }

  return {
    introspect(token, purpose) {
      const key = keyOf(token, purpose);
      const known = recall(key, purpose.nowMs) ?? asking.get(key);
      if (known !== undefined) return known;
      const leave = places.take(purpose.registration.id, purpose.address);
      if (leave === "full") return unavailable("too many questions at once");
      if (leave === "too_many") return tooMany();
      const answer = askAndKeep(key, token, purpose).finally(leave);
      asking.set(key, answer);
      return answer;
    },
    recall: (token, purpose) => recall(keyOf(token, purpose), purpose.nowMs) ?? null,
  };
}

/** Covers all that an answer depends on, so that it counts for no other tenant, resource or registration. */
function keyOf(token: string, { tenantId, registration, audience, tenantOf }: IntrospectionPurpose): string {
  return hash("sha256", JSON.stringify([tenantId, registration, audience, tenantOf, token]), "base64");
}

function checkAnswer(answer: JsonObject, purpose: IntrospectionPurpose): VerifiedToken | Refusal {
  const { registration, audience, tenantOf, nowMs } = purpose;
  // Exactly true: the text "false" is true to a careless reader.
  if (own(answer, "active") !== true) return invalid("active is not true");
  if (Object.hasOwn(answer, "iss") && answer.iss !== registration.issuer)
    return invalid("iss is another issuer");
  const flaw = checkUse(answer);
  if (flaw !== null) return invalid(flaw);
  // RFC 7662 section 2.2: refresh tokens are introspected at the same endpoint.
  const type = Object.hasOwn(answer, "token_type") ? answer.token_type : "Bearer";
  const scheme = typeof type === "string" ? type.toLowerCase() : "";
  if (scheme !== "bearer" && scheme !== "dpop") return invalid("token_type is not that of an access token");
  const claims = checkClaims(answer, {
    issuer: registration,
    audience,
    tenantOf,
    nowMs,
    mayLackIssueTime: true,
  });
  if (typeof claims === "string") return invalid(claims);
  if (scheme === "dpop" && claims.boundTo === null)
    return invalid("token_type is DPoP, and cnf names no key");
  return Object.freeze({ kind: "verified", ...claims, signingKeyId: null });
}

/** RFC 6749 section 2.3.1: both parts are form-encoded before they are joined. */
function basicAuthorization(clientId: string, secret: string): string {
  const encode = (text: string) => new URLSearchParams({ "": text }).toString().slice(1);
  return `Basic ${Buffer.from(`${encode(clientId)}:${encode(secret)}`).toString("base64")}`;
}

function invalid(cause: string): Refusal {
  return refuse("token_invalid", { cause: `introspection: ${cause}` });
}

function tooMany(): Refusal {
  return refuse("rate_limited", {
    retryAfterMs: RETRY_AFTER_MS,
    data: { limit: INTROSPECTION_LIMIT },
    cause: "introspection: too many questions of one address at once",
  });
}

function unavailable(cause: string): Refusal {
  return refuse("introspection_unavailable", {
    retryAfterMs: RETRY_AFTER_MS,
    cause: `introspection: ${cause}`,
  });
}
