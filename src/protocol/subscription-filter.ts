import { type Refusal, refuse } from "../core/refusal.ts";
import { isObject, type JsonObject, member } from "./json-rpc.ts";

/** A list whose changes a client can ask to be told of. */
export type ListenedList = "tools" | "prompts" | "resources";

const MEMBER: Readonly<Record<ListenedList, string>> = {
  tools: "toolsListChanged",
  prompts: "promptsListChanged",
  resources: "resourcesListChanged",
};

/**
 * Reads `params.notifications` of `subscriptions/listen`: those of the lists asked for that this server has.
 * `resourceSubscriptions` is read and never honoured: no resource tells of its changes, and `server/discover` says so.
 */
export function readSubscriptionFilter(
  params: JsonObject,
  offered: ReadonlySet<ListenedList>,
): readonly ListenedList[] | Refusal {
  const filter = member(params, "notifications");
  if (!isObject(filter)) return invalid("params.notifications must be an object.");
  const honoured: ListenedList[] = [];
  for (const list of ["tools", "prompts", "resources"] as const) {
    const asked = member(filter, MEMBER[list]);
    if (asked !== undefined && typeof asked !== "boolean")
      return invalid(`params.notifications.${MEMBER[list]} must be true or false.`);
    if (asked === true && offered.has(list)) honoured.push(list);
  }
  const uris = member(filter, "resourceSubscriptions");
  if (uris !== undefined && !(Array.isArray(uris) && uris.every((uri) => typeof uri === "string")))
    return invalid("params.notifications.resourceSubscriptions must be an array of texts.");
  return honoured;
}

/** What an acknowledgement says of the lists that are honoured. */
export function honouredFilter(lists: readonly ListenedList[]): Readonly<Record<string, true>> {
  return Object.fromEntries(lists.map((list) => [MEMBER[list], true]));
}

function invalid(detail: string): Refusal {
  return refuse("params_invalid", { detail });
}
