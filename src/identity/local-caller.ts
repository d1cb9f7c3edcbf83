import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import type { Caller } from "./caller.ts";

/** Stands for an issuer where whoever started the process vouches for the caller. It is no URL: no token can name it. */
export const LOCAL_ISSUER = "stdio";

/** Who is served without a credential, since the process is theirs. */
export interface LocalUser {
  readonly subject: string;
  readonly permissions: ReadonlySet<string>;
}

/** A user of a tenant on whose word the process was started. The tenant's roles add nothing: they are for tokens. */
export function localCaller(snapshot: TenantSnapshot, { subject, permissions }: LocalUser): Caller {
  return Object.freeze({
    snapshot,
    principal: Object.freeze({
      tenantId: snapshot.id,
      kind: "user",
      issuer: LOCAL_ISSUER,
      subject,
      clientId: null,
      permissions,
      roles: Object.freeze([]),
      expiresAt: Number.POSITIVE_INFINITY,
    }),
    credential: Object.freeze({ kind: "local", expiresAt: Number.POSITIVE_INFINITY }),
    scopes: permissions,
  });
}
