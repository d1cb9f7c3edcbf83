import type { EntryName, Presence, TenantViews } from "../catalog/tenant-view.ts";
import type { AccessNote } from "../core/event.ts";
import type { ApiKeyId } from "../core/ids.ts";
import { isRefusal, type Refusal, refuse } from "../core/refusal.ts";
import { accessNote, type GrantHolder, rolePermissions } from "../identity/access-note.ts";
import type { AccessPolicy, AllowedAccess } from "../identity/access-policy.ts";
import { subjectKey, type TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import type { AccessPorts } from "./access-ports.ts";

/** A caller as somebody imagines one. */
export interface ImaginedCaller {
  readonly subject: string | null;
  /** Null: the one issuer of the tenant at which the subject has roles assigned, if any. */
  readonly issuer: string | null;
  /** Permissions that the token would have. Null: not said, so those of a demonstration user where it is one. */
  readonly scopes: readonly string[] | null;
  /** Roles that the token would name. */
  readonly roles: readonly string[];
  /** An API key of the tenant, instead of all the others. */
  readonly key: ApiKeyId | null;
}

type Absence = Extract<Presence, { readonly has: false }>["because"];

export interface AccessExplanation {
  /** Whether the caller may, once its credential is accepted: that is not looked at here. */
  readonly allowed: boolean;
  /** Whether the tenant has the entry. */
  readonly visible: boolean;
  /** `present`, or why the tenant does not have it. */
  readonly presence: "present" | Absence;
  /** Null where the tenant does not have the entry: then nothing is decided. */
  readonly decision: AccessNote | { readonly reason: "missing"; readonly permission: string } | null;
  readonly subject: { readonly subject: string; readonly issuer: string | null } | null;
  readonly roles: readonly {
    readonly name: string;
    readonly source: "assigned" | "given";
    /** False: the tenant defines no such role, and it grants nothing. */
    readonly defined: boolean;
  }[];
  /** All that the caller has. */
  readonly grants: readonly {
    readonly permission: string;
    /** `scope`, `scope (demonstration user)`, `api key`, or `role` and its name. */
    readonly from: string;
    readonly source: "scope" | "api key" | "assigned role" | "given role";
  }[];
  /** The same in a sentence. */
  readonly why: string;
}

/** Roles that are named as a remedy. */
const MAX_NAMED = 5;
const ACT = { tool: "call", resource: "read", prompt: "use" } as const;

/**
 * Says whether a caller would be let in to an entry of the catalog, why, and what would be needed. It decides by the same
 * policy as a call.
 *
 * An administrator of the tenant is not told of entries that other tenants have or that are switched off: those answer as
 * entries that do not exist.
 *
 * @returns `input_invalid` for a key that the tenant does not have, an issuer that it does not trust, a subject that has
 * roles at several issuers while none was named, and a key together with anything that a token would have.
 */
export function explainAccess(question: {
  readonly views: TenantViews;
  readonly snapshot: TenantSnapshot;
  readonly policy: AccessPolicy;
  readonly target: EntryName;
  readonly caller: ImaginedCaller;
  /** Who is told. */
  readonly asker: "operator" | "tenant";
  readonly scopesOfDemonstrationUser?: AccessPorts["scopesOfDemonstrationUser"];
}): AccessExplanation | Refusal {
  const { views, snapshot, policy, target, caller, asker } = question;
  const held =
    caller.key === null
      ? ofToken(caller, snapshot, question.scopesOfDemonstrationUser ?? null)
      : ofKey(caller.key, caller, snapshot);
  if (isRefusal(held)) return held;
  const { who, holder, about } = held;
  const sentence = (may: "may" | "may not", because: string): string =>
    `${who} ${may} ${ACT[target.kind]} ${target.name}: ${because}.`;

  const found = views.of(snapshot).presence(target);
  if (!found.has) {
    const presence = asker === "tenant" ? asTenantsAreTold(found.because) : found.because;
    const why = sentence("may not", absence(presence, target, snapshot));
    return { allowed: false, visible: false, presence, decision: null, ...about, why };
  }

  const present = { visible: true, presence: "present", ...about } as const;
  const decision = policy.decide(new Set(about.grants.map((grant) => grant.permission)), found.requires);
  if (decision.allowed) {
    const note = accessNote(decision, holder);
    return { allowed: true, ...present, decision: note, why: sentence("may", ground(decision, note.from)) };
  }
  const { reason, permission } = decision;
  const wanting =
    `it needs ${permission}, which nothing that it has grants; ` +
    `${remedies(permission, { snapshot, policy, byKey: caller.key !== null })} would`;
  return { allowed: false, ...present, decision: { reason, permission }, why: sentence("may not", wanting) };
}

/** What an imagined caller has. */
interface Holdings {
  /** The beginning of a sentence. */
  readonly who: string;
  readonly holder: GrantHolder;
  readonly about: Pick<AccessExplanation, "subject" | "roles" | "grants">;
}

function ofKey(id: ApiKeyId, caller: ImaginedCaller, snapshot: TenantSnapshot): Holdings | Refusal {
  const { subject, issuer, scopes, roles } = caller;
  if (subject !== null || issuer !== null || (scopes ?? []).length > 0 || roles.length > 0)
    return refuse("input_invalid", {
      detail: "key: An API key has neither subject, issuer, scopes nor roles.",
    });
  const key = snapshot.apiKeys.get(id);
  if (key === undefined)
    return refuse("input_invalid", { detail: "key: The tenant has no such API key in force." });
  return {
    who: `The API key ${key.name}`,
    holder: { scopes: new Set(key.permissions), principal: { kind: "key", roles: [] }, snapshot },
    about: {
      subject: null,
      roles: [],
      grants: key.permissions.map((permission) => ({ permission, from: "api key", source: "api key" })),
    },
  };
}

function ofToken(
  caller: ImaginedCaller,
  snapshot: TenantSnapshot,
  scopesOfDemonstrationUser: AccessPorts["scopesOfDemonstrationUser"],
): Holdings | Refusal {
  const { subject } = caller;
  const issuer = issuerOf(caller, snapshot);
  if (isRefusal(issuer)) return issuer;
  const assigned =
    subject === null || issuer === null
      ? []
      : (snapshot.roleAssignments.get(subjectKey(issuer, subject)) ?? []);
  // In the order of a real caller's, so that the same role is named as the ground.
  const roles = [...new Set([...caller.roles, ...assigned])].map((name) => ({
    name,
    source: assigned.includes(name) ? ("assigned" as const) : ("given" as const),
  }));
  const demonstrated =
    caller.scopes === null && subject !== null
      ? scopesOfDemonstrationUser?.(snapshot.slug, { subject, issuer })
      : null;
  const scopes = new Set(caller.scopes ?? demonstrated);
  const from = demonstrated ? "scope (demonstration user)" : "scope";
  return {
    who: subject ?? "Such a caller",
    holder: { scopes, principal: { kind: "user", roles: roles.map((role) => role.name) }, snapshot },
    about: {
      subject: subject === null ? null : { subject, issuer },
      roles: roles.map((role) => ({ ...role, defined: Object.hasOwn(snapshot.roles, role.name) })),
      grants: [
        ...[...scopes].map((permission) => ({ permission, from, source: "scope" as const })),
        ...roles.flatMap(({ name, source }) =>
          rolePermissions(snapshot.roles, name).map((permission) => ({
            permission,
            from: `role ${name}`,
            source: `${source} role` as const,
          })),
        ),
      ],
    },
  };
}

/** A subject is one of an issuer: the same `sub` at two issuers is two subjects (OpenID Connect Core, section 5.7). */
function issuerOf({ subject, issuer }: ImaginedCaller, snapshot: TenantSnapshot): string | null | Refusal {
  const trusted = new Set(snapshot.issuers.map((entry) => entry.issuer));
  if (issuer !== null) {
    return trusted.has(issuer)
      ? issuer
      : refuse("input_invalid", { detail: "issuer: The tenant trusts no such issuer." });
  }
  if (subject === null) return null;
  const [one = null, ...others] = [...trusted].filter((entry) =>
    snapshot.roleAssignments.has(subjectKey(entry, subject)),
  );
  return others.length === 0
    ? one
    : refuse("input_invalid", {
        detail: "issuer: This subject has roles at several issuers of the tenant; name one.",
      });
}

/** To a tenant, what others have and what is switched off does not exist; what its own limit cuts is its own. */
function asTenantsAreTold(because: Absence): Absence {
  return because === "over_limit" ? because : "unknown";
}

function absence(because: Absence, { kind }: EntryName, { slug, limits }: TenantSnapshot): string {
  switch (because) {
    case "unknown":
      return `${slug} has no such ${kind}`;
    case "other_tenants":
      return `it is there for other tenants only, not for ${slug}`;
    case "tool_set_off":
      return `it belongs to a tool set that is off for ${slug}`;
    case "over_limit":
      return kind === "tool"
        ? `the limit of ${slug}, ${limits.maxTools} tools, leaves it out`
        : `the limit of ${slug}, ${limits.maxResources} resources, leaves it out`;
  }
}

function ground(access: AllowedAccess, from: string | undefined): string {
  if (access.reason === "not_required") return "it needs no permission";
  const { permission, by } = access;
  const source = sourceInWords(from);
  switch (access.reason) {
    case "granted":
      return `it needs ${permission}, which ${source} grants`;
    case "implied":
      return `it needs ${permission}, which ${by} implies, which ${source} grants`;
    case "wildcard":
      return `it needs ${permission}, which ${by} covers, which ${source} grants`;
    case "administrator":
      return `it needs ${permission}, and ${by}, which ${source} grants, is enough for everything in this tenant`;
  }
}

function sourceInWords(from: string | undefined): string {
  if (from === "scope") return "a scope of the token";
  return from === "api key" ? "the API key" : `the ${from ?? "caller"}`;
}

/** What would be enough: the permission itself, or a role of the tenant that grants it. */
function remedies(
  permission: string,
  of: { readonly snapshot: TenantSnapshot; readonly policy: AccessPolicy; readonly byKey: boolean },
): string {
  const { snapshot, policy, byKey } = of;
  if (byKey) return `a key with the permission ${permission}`;
  const enough = Object.keys(snapshot.roles)
    .filter((name) => policy.decide(new Set(rolePermissions(snapshot.roles, name)), permission).allowed)
    .sort()
    .slice(0, MAX_NAMED);
  const scope = `a token with the scope ${permission}`;
  return enough.length === 0 ? scope : `${scope}, or the role ${enough.join(" or ")},`;
}
