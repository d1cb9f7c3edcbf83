import type { ServerDefinition } from "../../catalog/define.ts";
import { type Refusal, refuse } from "../../core/refusal.ts";
import type { ClientDescription } from "../client-description.ts";
import { describeClient } from "../envelope.ts";
import { isObject, type JsonObject, member } from "../json-rpc.ts";
import { complete, type Performed } from "../performed.ts";
import { EARLIER, type EarlierRevision, isEarlier } from "../revisions.ts";

/** What a client opens a session with. */
export interface Initialize {
  /** The one that both speak from here on. */
  readonly revision: EarlierRevision;
  readonly client: ClientDescription;
}

/**
 * Reads the parameters of `initialize` and settles the version: the client's, where it is one of ours, or else our newest
 * ("Version Negotiation"); whether that will do is the client's to say.
 */
export function readInitialize(params: JsonObject | undefined): Initialize | Refusal {
  const version = member(params, "protocolVersion");
  const capabilities = member(params, "capabilities");
  if (typeof version !== "string") {
    return refuse("params_invalid", { detail: "params.protocolVersion must be a text." });
  }
  if (!isObject(capabilities)) {
    return refuse("params_invalid", { detail: "params.capabilities must be an object." });
  }
  return {
    revision: isEarlier(version) ? version : EARLIER[0],
    client: describeClient(member(params, "clientInfo"), capabilities),
  };
}

/** The result of `initialize`. */
export function initialized(
  revision: EarlierRevision,
  of: { readonly server: ServerDefinition; readonly capabilities: Readonly<Record<string, unknown>> },
): Performed {
  const { name, title, version, instructions, icons, websiteUrl } = of.server;
  return complete({
    protocolVersion: revision,
    capabilities: of.capabilities,
    serverInfo: {
      name,
      ...(title !== undefined && revision !== "2025-03-26" ? { title } : {}),
      version,
      // An `Implementation` has them since 2025-11-25.
      ...(icons !== undefined && revision === "2025-11-25" ? { icons } : {}),
      ...(websiteUrl !== undefined && revision === "2025-11-25" ? { websiteUrl } : {}),
    },
    ...(instructions === undefined ? {} : { instructions }),
  });
}
