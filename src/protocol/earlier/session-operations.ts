import type { TenantView } from "../../catalog/tenant-view.ts";
import { isRefusal, type Refusal, refuse } from "../../core/refusal.ts";
import type { AccessPolicy, AllowedAccess } from "../../identity/access-policy.ts";
import { member } from "../json-rpc.ts";
import type { McpRequest } from "../mcp-request.ts";
import { isLevel } from "../message-levels.ts";
import type { Operation } from "../operations.ts";
import { complete } from "../performed.ts";
import type { Session } from "../session.ts";
import type { Sessions } from "../sessions.ts";

/** What these operations change. */
export type SessionSettings = Pick<Sessions, "setLogLevel" | "subscribe" | "unsubscribe">;

/**
 * Finds an operation that changes what a session is told: `logging/setLevel`, `resources/subscribe` and
 * `resources/unsubscribe`. Null for every other method.
 */
export function resolveSessionOperation(
  request: McpRequest,
  from: {
    readonly view: TenantView;
    readonly granted: ReadonlySet<string>;
    readonly policy: AccessPolicy;
  },
  settings: SessionSettings,
): Operation | Refusal | null {
  const { method, params, session } = request;
  if (session === null) return null;
  const { view, granted, policy } = from;
  switch (method) {
    case "logging/setLevel": {
      const level = member(params, "level");
      if (!isLevel(level)) return refuse("params_invalid", { detail: "params.level is no level." });
      return changing(FREE, null, () => settings.setLogLevel(session, level));
    }
    case "resources/subscribe": {
      const uri = readUri(request);
      if (isRefusal(uri)) return uri;
      const found = view.resource(uri);
      // As for reading: what this tenant does not have is not there, whatever others have.
      if (found === null) return refuse("resource_unknown", { data: { uri } });
      const { uri: target, requires } = found.resource.definition;
      const access = policy.decide(granted, requires);
      if (!access.allowed) return refuse("scope_insufficient", { scopes: [access.permission] });
      return changing(access, target, () => settings.subscribe(session, uri));
    }
    case "resources/unsubscribe": {
      const uri = readUri(request);
      if (isRefusal(uri)) return uri;
      // Also of what is not there any more, or was never subscribed to: it says nothing about either.
      return changing(FREE, null, () => settings.unsubscribe(session, uri));
    }
    default:
      return null;
  }
}

const FREE: AllowedAccess = { allowed: true, reason: "not_required" };

function readUri({ params }: McpRequest): string | Refusal {
  const uri = member(params, "uri");
  return typeof uri === "string" ? uri : refuse("params_invalid", { detail: "params.uri must be a text." });
}

/** An operation that changes the session and nothing of the tenant's. */
function changing(
  access: AllowedAccess,
  target: string | null,
  change: () => Promise<Session | Refusal>,
): Operation {
  return {
    target,
    readOnly: true,
    access,
    tool: null,
    answer: null,
    async perform() {
      const changed = await change();
      return isRefusal(changed) ? changed : complete({});
    },
  };
}
