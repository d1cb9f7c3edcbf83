import type { Catalog } from "../catalog/catalog.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import { isObject, type JsonObject, member } from "./json-rpc.ts";

/** A list whose changes a client can ask to be told of. */
export type ListenedList = "tools" | "prompts" | "resources";
const LISTS: readonly ListenedList[] = ["tools", "prompts", "resources"];

const MEMBER: Readonly<Record<ListenedList, string>> = {
  tools: "toolsListChanged",
  prompts: "promptsListChanged",
  resources: "resourcesListChanged",
};

/** What a client asks to be told of, as far as this server has it. */
export interface SubscriptionFilter {
  readonly lists: readonly ListenedList[];
  /** Resources, each once; null: it did not ask, or there are none here. */
  readonly uris: ReadonlySet<string> | null;
  /** Tasks; absent: it did not ask (see tasks/task-watches.ts). */
  readonly taskIds?: readonly string[];
}

/** Resources that one stream may be told of … */
const MAX_URIS = 1_000;
/** … and characters of their URIs together: they are held for as long as the stream is open. */
const MAX_CHARACTERS = 131_072;

/** The lists that a server has for anybody. */
export function offeredLists(
  catalog: Pick<Catalog, "tools" | "prompts" | "resources">,
): ReadonlySet<ListenedList> {
  return new Set(LISTS.filter((list) => catalog[list].length > 0));
}

/** Reads `params.notifications` of `subscriptions/listen`. */
export function readSubscriptionFilter(
  params: JsonObject,
  offered: ReadonlySet<ListenedList>,
): SubscriptionFilter | Refusal {
  const filter = member(params, "notifications");
  if (!isObject(filter)) return invalid("params.notifications must be an object.");
  const lists: ListenedList[] = [];
  for (const list of LISTS) {
    const asked = member(filter, MEMBER[list]);
    if (asked !== undefined && typeof asked !== "boolean")
      return invalid(`params.notifications.${MEMBER[list]} must be true or false.`);
    if (asked === true && offered.has(list)) lists.push(list);
  }
  const asked = member(filter, "resourceSubscriptions");
  if (asked === undefined) return { lists, uris: null };
  if (!isTexts(asked))
    return invalid("params.notifications.resourceSubscriptions must be an array of texts.");
  if (asked.length > MAX_URIS || asked.reduce((sum, uri) => sum + uri.length, 0) > MAX_CHARACTERS) {
    return invalid(
      `params.notifications.resourceSubscriptions may have ${MAX_URIS} URIs, of ${MAX_CHARACTERS} characters together.`,
    );
  }
  return { lists, uris: offered.has("resources") ? new Set(asked) : null };
}

/** What an acknowledgement says of the part of a filter that is honoured. */
export function honouredFilter({
  lists,
  uris,
  taskIds,
}: SubscriptionFilter): Readonly<Record<string, unknown>> {
  return {
    ...Object.fromEntries(lists.map((list) => [MEMBER[list], true])),
    ...(uris === null ? {} : { resourceSubscriptions: [...uris] }),
    ...(taskIds === undefined ? {} : { taskIds }),
  };
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

function invalid(detail: string): Refusal {
  return refuse("params_invalid", { detail });
}
