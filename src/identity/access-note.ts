import type { AccessNote } from "../core/event.ts";
import type { AllowedAccess } from "./access-policy.ts";
import type { Caller } from "./caller.ts";
import { LOCAL_ISSUER } from "./local-caller.ts";

/** What of a caller says where a permission comes from. */
export interface GrantHolder {
  readonly scopes: Caller["scopes"];
  readonly principal: Pick<Caller["principal"], "kind" | "roles"> &
    Partial<Pick<Caller["principal"], "issuer">>;
  readonly snapshot: Pick<Caller["snapshot"], "roles">;
}

/** Why a caller was let in, for the operation's event: the decision, and where its ground comes from. */
export function accessNote(access: AllowedAccess, caller: GrantHolder): AccessNote {
  if (access.reason === "not_required") return { reason: "not_required" };
  const { reason, permission, by } = access;
  const from = grantSource(by, caller);
  return from === null ? { reason, permission, by } : { reason, permission, by, from };
}

/** The credential before the roles: it would have been enough. Null for what the caller does not have. */
function grantSource(permission: string, { scopes, principal, snapshot }: GrantHolder): string | null {
  if (scopes.has(permission)) {
    if (principal.issuer === LOCAL_ISSUER) return "command line";
    return principal.kind === "key" ? "api key" : "scope";
  }
  const role = principal.roles.find((name) => rolePermissions(snapshot.roles, name).includes(permission));
  return role === undefined ? null : `role ${role}`;
}

/** What a role of the tenant grants: nothing where the tenant defines no such role. */
export function rolePermissions(roles: GrantHolder["snapshot"]["roles"], name: string): readonly string[] {
  return Object.hasOwn(roles, name) ? (roles[name] ?? []) : [];
}
