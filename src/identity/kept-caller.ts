import { hash } from "node:crypto";
import { parseApiKeyId, parseIssuerId } from "../core/ids.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import type { Caller } from "./caller.ts";
import type { Credential } from "./credential.ts";
import { permissionsUnder } from "./principal-of.ts";

/**
 * A caller as JSON, for work that goes on after its request: no token and no secret, only what must be known to see
 * whether the credential was revoked meanwhile.
 */
export function keepCaller({ credential, principal, scopes, snapshot }: Caller): string {
  const { kind, issuer, subject, clientId, roles } = principal;
  return JSON.stringify({
    credential,
    principal: { kind, issuer, subject, clientId, roles },
    scopes: [...scopes],
    registration: registrationOf(credential, snapshot),
  });
}

/**
 * The caller under its tenant's configuration as it is now: with the permissions that its credential and its roles have
 * now. The end of a token's own life does not count any more, since what it began was begun in time; an API key's does.
 *
 * @returns null where the registration that verified it has changed since, or the text is none of {@link keepCaller}'s.
 *   That the credential holds is for the caller of this to see (`Authenticator.stillHolds`).
 */
export function restoreCaller(kept: string, snapshot: TenantSnapshot): Caller | null {
  const whole = parsed(kept);
  const credential = readCredential(whole?.credential);
  const principal = readPrincipal(whole?.principal);
  const scopes = whole?.scopes;
  if (whole === null || credential === null || principal === null || !isTexts(scopes)) return null;
  if (registrationOf(credential, snapshot) !== whole.registration) return null;
  const held = { credential, scopes: new Set(scopes) };
  return Object.freeze({
    ...held,
    snapshot,
    principal: Object.freeze({
      ...principal,
      tenantId: snapshot.id,
      permissions: permissionsUnder(snapshot, held),
      expiresAt: credential.expiresAt,
    }),
  });
}

/** Of the registration that verified a token; null where the tenant has none of that id. Any change of it makes another. */
function registrationOf(credential: Credential, { issuers }: TenantSnapshot): string | null {
  const issuerId = credential.kind === "token" ? credential.issuerId : null;
  const registration = issuers.find(({ id }) => id === issuerId);
  if (registration === undefined) return null;
  const members = Object.entries(registration).sort(([a], [b]) => (a < b ? -1 : 1));
  return hash("sha256", JSON.stringify(members), "base64");
}

type Kept = Readonly<Record<string, unknown>>;

function readCredential(given: unknown): Credential | null {
  if (!isObject(given)) return null;
  if (given.kind === "local") return { kind: "local", expiresAt: Number.POSITIVE_INFINITY };
  if (given.kind === "key") {
    const { keyId, expiresAt } = given;
    const id = typeof keyId === "string" ? parseApiKeyId(keyId) : null;
    return id === null || typeof expiresAt !== "number" ? null : { kind: "key", keyId: id, expiresAt };
  }
  const { issuer, subject, tokenId, issuedAt, signingKeyId, roles, bound } = given;
  const issuerId = typeof given.issuerId === "string" ? parseIssuerId(given.issuerId) : null;
  if (
    given.kind !== "token" ||
    issuerId === null ||
    typeof issuer !== "string" ||
    typeof subject !== "string"
  )
    return null;
  if (!isTextOrNull(tokenId) || !isTextOrNull(signingKeyId) || typeof issuedAt !== "number") return null;
  if (!isTexts(roles) || typeof bound !== "boolean") return null;
  return {
    ...{ kind: "token", issuerId, issuer, subject, tokenId, issuedAt, signingKeyId, roles, bound },
    expiresAt: Number.MAX_SAFE_INTEGER,
  };
}

function readPrincipal(
  given: unknown,
): Pick<Caller["principal"], "kind" | "issuer" | "subject" | "clientId" | "roles"> | null {
  if (!isObject(given)) return null;
  const { kind, issuer, subject, clientId, roles } = given;
  if (kind !== "user" && kind !== "client" && kind !== "key") return null;
  if (!isTextOrNull(issuer) || typeof subject !== "string" || !isTextOrNull(clientId) || !isTexts(roles)) {
    return null;
  }
  return { kind, issuer, subject, clientId, roles };
}

function parsed(text: string): Kept | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Kept {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === "string";
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === "string");
}
