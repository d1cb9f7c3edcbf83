import type { Principal } from "../tenancy/principal.ts";
import { type ApiKey, subjectKey, type TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import type { Caller } from "./caller.ts";
import type { VerifiedToken } from "./verified-token.ts";

/** Who bears a token, with what the tenant's roles add to its scopes. */
export function principalOfToken(token: VerifiedToken, snapshot: TenantSnapshot): Principal {
  const { subject, clientId } = token;
  const roles = rolesOf({ issuer: token.issuer.issuer, subject, roles: token.roles }, snapshot);
  return Object.freeze({
    tenantId: snapshot.id,
    kind: clientId !== null && clientId === subject ? "client" : "user",
    issuer: token.issuer.issuer,
    subject,
    clientId,
    permissions: roles.length === 0 ? token.permissions : withRoles(token.permissions, roles, snapshot),
    roles: Object.freeze(roles),
    expiresAt: token.expiresAt,
  });
}

/** Roles are for subjects of issuers; a key has what it was made with. */
export function principalOfKey(key: ApiKey, snapshot: TenantSnapshot): Principal {
  return Object.freeze({
    tenantId: snapshot.id,
    kind: "key",
    issuer: null,
    subject: key.id,
    clientId: null,
    permissions: new Set(key.permissions),
    roles: Object.freeze([]),
    expiresAt: key.expiresAt,
  });
}

/** What a caller who is known would be permitted under another snapshot of its tenant, whose roles may be others. */
export function permissionsUnder(
  snapshot: TenantSnapshot,
  { credential, scopes }: Pick<Caller, "credential" | "scopes">,
): ReadonlySet<string> {
  if (credential.kind !== "token") return scopes;
  const roles = rolesOf(credential, snapshot);
  return roles.length === 0 ? scopes : withRoles(scopes, roles, snapshot);
}

/** Only those that the tenant defines: the issuer's other groups say nothing here. */
function rolesOf(
  of: { readonly issuer: string; readonly subject: string; readonly roles: readonly string[] },
  snapshot: TenantSnapshot,
): string[] {
  const assigned = snapshot.roleAssignments.get(subjectKey(of.issuer, of.subject)) ?? [];
  const named = new Set([...of.roles, ...assigned]);
  return [...named].filter((role) => Object.hasOwn(snapshot.roles, role));
}

function withRoles(
  scopes: ReadonlySet<string>,
  roles: readonly string[],
  snapshot: TenantSnapshot,
): ReadonlySet<string> {
  return new Set([...scopes, ...roles.flatMap((role) => snapshot.roles[role] ?? [])]);
}
