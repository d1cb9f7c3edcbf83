import type { Actor } from "../core/event.ts";
import type { TenantId } from "../core/ids.ts";

/** The authenticated caller. A user is (tenant, issuer, subject), never an e-mail address. */
export interface Principal {
  readonly tenantId: TenantId;
  readonly kind: "user" | "client" | "key";
  readonly issuer: string;
  readonly subject: string;
  readonly clientId: string | null;
  /** Permissions granted by the credential. */
  readonly permissions: ReadonlySet<string>;
  /** Milliseconds since 1970 at which the credential ends. */
  readonly expiresAt: number;
}

export function actorOf(principal: Principal): Actor {
  return {
    kind: principal.kind,
    subject: principal.subject,
    issuer: principal.issuer,
    clientId: principal.clientId,
  };
}
