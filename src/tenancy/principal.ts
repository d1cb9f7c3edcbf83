import { hash } from "node:crypto";
import type { Actor } from "../core/event.ts";
import type { TenantId } from "../core/ids.ts";

/** The authenticated caller. A user is (tenant, issuer, subject), never an e-mail address. */
export interface Principal {
  readonly tenantId: TenantId;
  readonly kind: "user" | "client" | "key";
  /** The issuer of the caller's token; null for an API key. */
  readonly issuer: string | null;
  /** The token's subject, or the API key's id. */
  readonly subject: string;
  readonly clientId: string | null;
  /** Everything granted: by the credential's scopes, and by the roles. May hold wildcards: `tickets:*`. */
  readonly permissions: ReadonlySet<string>;
  /** Roles of the tenant that the caller has, by the token or by assignment. */
  readonly roles: readonly string[];
  /** Milliseconds since 1970 at which the credential ends. */
  readonly expiresAt: number;
}

/** What a credential gives: the rest of a principal is the same for all credentials of one caller. */
export type Rights = Pick<Principal, "permissions" | "roles" | "expiresAt">;

export function actorOf(principal: Principal): Actor {
  return {
    kind: principal.kind,
    subject: principal.subject,
    issuer: principal.issuer,
    clientId: principal.clientId,
  };
}

/**
 * Whom something of a tenant belongs to, as one text: the same for every credential of the same caller through the same
 * client. Of JSON, so that no two callers share one: neither subject nor issuer can hold what separates them.
 */
export function principalKey({
  kind,
  issuer,
  subject,
  clientId,
}: Pick<Principal, "kind" | "issuer" | "subject" | "clientId">): string {
  return hash("sha256", JSON.stringify([kind, issuer, subject, clientId]), "base64");
}
