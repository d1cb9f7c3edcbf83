import { type Refusal, refuse } from "../core/refusal.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import type { Catalog, CatalogPrompt, CatalogResource, CatalogTool } from "./catalog.ts";
import type { Visibility } from "./define.ts";

/** Whether permissions suffice: the identity room's decision, handed in. */
export type Permits = (granted: ReadonlySet<string>, required: string | undefined) => boolean;

/** What is asked for by name: a resource by its URI, or by its template as it is registered. */
export interface EntryName {
  readonly kind: "tool" | "resource" | "prompt";
  readonly name: string;
}

/**
 * Whether a tenant has an entry, and if not, why. For explanations alone: whoever calls learns nothing but that there is
 * no such entry.
 */
export type Presence =
  | { readonly has: true; readonly requires: string | undefined }
  | { readonly has: false; readonly because: "other_tenants" | "tool_set_off" | "over_limit" | "unknown" };

/** Who reads a list, as far as what it says depends on it. */
export interface ListReader {
  readonly granted: ReadonlySet<string>;
  /** Of the protocol: earlier revisions know neither `ttlMs` nor output schemas that are no objects. */
  readonly generation: "current" | "earlier";
}

export type ListKind = "tools" | "resources" | "resourceTemplates" | "prompts";

/** The catalog as one tenant has it at one version of its configuration. */
export interface TenantView {
  tool(name: string): CatalogTool | null;
  prompt(name: string): CatalogPrompt | null;
  /** The resource that is registered by exactly this URI or template. */
  registered(uri: string): CatalogResource | null;
  /** The resource that a URI names, with the template's variables. */
  resource(
    uri: string,
  ): { readonly resource: CatalogResource; readonly variables: Readonly<Record<string, string>> } | null;
  /**
   * One page of a list as this caller may see it, serialised: the members of the result, `{"tools":[…],…}`. Depends on
   * who asks, hence `cacheScope` private.
   */
  list(kind: ListKind, to: ListReader, cursor: string | undefined): string | Refusal;
  /** All pages of that list, to be compared with those of another version. The same array as long as it is kept. */
  pages(kind: ListKind, to: ListReader): readonly string[];
  presence(entry: EntryName): Presence;
}

interface Entry {
  readonly definition: Visibility;
}

export interface TenantViews {
  of(snapshot: TenantSnapshot): TenantView;
}

/** Entries of one page. */
const PAGE = 200;
/** How long a client may keep a list, in milliseconds: within the seconds in which a change is promised to be seen. */
const TTL_MS = 5_000;
/** Different sets of permissions whose lists are kept for a tenant. */
const MAX_KEPT = 64;

/** Builds tenants' views on demand and keeps each as long as its snapshot lives. */
export function createTenantViews(options: {
  readonly catalog: Catalog;
  readonly permits: Permits;
  /** Told when a view has more than the tenant's limit allows and was cut. */
  readonly onCut: (
    snapshot: TenantSnapshot,
    what: "tools" | "resources",
    defined: number,
    limit: number,
  ) => void;
}): TenantViews {
  const { catalog, permits, onCut } = options;
  // Keyed by the snapshot object: a new version is a new object, so an old view cannot be found and goes with it.
  const views = new WeakMap<TenantSnapshot, TenantView>();
  return {
    of(snapshot) {
      let view = views.get(snapshot);
      if (view === undefined) {
        view = buildView(catalog, permits, snapshot, onCut);
        views.set(snapshot, view);
      }
      return view;
    },
  };
}

function buildView(
  catalog: Catalog,
  permits: Permits,
  snapshot: TenantSnapshot,
  onCut: (snapshot: TenantSnapshot, what: "tools" | "resources", defined: number, limit: number) => void,
): TenantView {
  const withheld = (entry: Entry): "other_tenants" | "tool_set_off" | null => {
    const { toolSet, tenants } = entry.definition;
    if (!(tenants === undefined || tenants.includes(snapshot.slug))) return "other_tenants";
    if (!(toolSet === undefined || snapshot.toolSets.has(toolSet))) return "tool_set_off";
    return null;
  };
  const has = (entry: Entry): boolean => withheld(entry) === null;
  // In the order of the module, so that a limit always cuts the same ones.
  const cut = <E>(entries: readonly E[], what: "tools" | "resources", limit: number | null): readonly E[] => {
    if (limit === null || entries.length <= limit) return entries;
    onCut(snapshot, what, entries.length, limit);
    return entries.slice(0, limit);
  };
  const tools = cut(catalog.tools.filter(has), "tools", snapshot.limits.maxTools);
  const resources = cut(catalog.resources.filter(has), "resources", snapshot.limits.maxResources);
  const prompts = catalog.prompts.filter(has);
  const toolByName = new Map(tools.map((tool) => [tool.definition.name, tool]));
  const promptByName = new Map(prompts.map((prompt) => [prompt.definition.name, prompt]));
  const fixed = new Map(
    resources.filter((entry) => !entry.pattern.isTemplate).map((entry) => [entry.definition.uri, entry]),
  );
  const templates = resources.filter((entry) => entry.pattern.isTemplate);
  const entriesOf: Record<
    ListKind,
    readonly { readonly definition: Visibility; readonly listing: Readonly<Record<string, unknown>> }[]
  > = {
    tools,
    resources: [...fixed.values()],
    resourceTemplates: templates,
    prompts,
  };
  const pages = new Map<string, readonly string[]>();

  const pagesFor = (kind: ListKind, { granted, generation }: ListReader): readonly string[] => {
    // What is seen depends only on the answers for the permissions that entries require.
    const key = `${generation} ${kind} ${catalog.permissions.filter((permission) => permits(granted, permission)).join(" ")}`;
    let kept = pages.get(key);
    if (kept === undefined) {
      const visible = entriesOf[kind]
        .filter((entry) => permits(granted, entry.definition.requires))
        .map((entry) => (generation === "current" ? entry.listing : earlierListing(entry.listing)));
      kept = serialisePages(kind, visible, generation);
      const oldest = pages.size >= MAX_KEPT ? pages.keys().next().value : undefined;
      if (oldest !== undefined) pages.delete(oldest);
      pages.set(key, kept);
    }
    return kept;
  };

  const resourceOf: TenantView["resource"] = (uri) => {
    const exact = fixed.get(uri);
    if (exact !== undefined) return { resource: exact, variables: {} };
    for (const resource of templates) {
      const variables = resource.pattern.match(uri);
      if (variables !== null) return { resource, variables };
    }
    return null;
  };

  /** What the tenant has by a name, and what the module defines by it. */
  const named = ({
    kind,
    name,
  }: EntryName): { readonly own: Entry | undefined; readonly any: Entry | undefined } => {
    switch (kind) {
      case "tool":
        return {
          own: toolByName.get(name),
          any: catalog.tools.find((tool) => tool.definition.name === name),
        };
      case "prompt":
        return {
          own: promptByName.get(name),
          any: catalog.prompts.find((prompt) => prompt.definition.name === name),
        };
      case "resource": {
        const registered = (entry: CatalogResource): boolean => entry.definition.uri === name;
        return {
          own: resources.find(registered) ?? resourceOf(name)?.resource,
          any:
            catalog.resources.find(registered) ??
            catalog.resources.find((entry) => entry.pattern.match(name) !== null),
        };
      }
    }
  };

  return {
    tool: (name) => toolByName.get(name) ?? null,
    prompt: (name) => promptByName.get(name) ?? null,
    registered: (uri) => fixed.get(uri) ?? templates.find((entry) => entry.definition.uri === uri) ?? null,
    resource: resourceOf,
    presence(entry) {
      const { own, any } = named(entry);
      if (own !== undefined) return { has: true, requires: own.definition.requires };
      if (any === undefined) return { has: false, because: "unknown" };
      return { has: false, because: withheld(any) ?? "over_limit" };
    },
    pages: pagesFor,
    list(kind, to, cursor) {
      const all = pagesFor(kind, to);
      const index = cursor === undefined ? 0 : parseCursor(cursor);
      const page = index === null ? undefined : all[index];
      return page ?? refuse("cursor_invalid");
    },
  };
}

/** Before 2026-07-28 structured content is an object, and so is what an output schema describes. */
function earlierListing(listing: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { outputSchema, ...rest } = listing;
  const isObjectSchema =
    typeof outputSchema === "object" &&
    outputSchema !== null &&
    "type" in outputSchema &&
    outputSchema.type === "object";
  return isObjectSchema ? listing : rest;
}

function serialisePages(
  kind: ListKind,
  entries: readonly unknown[],
  generation: ListReader["generation"],
): readonly string[] {
  const pages: string[] = [];
  for (let from = 0; from === 0 || from < entries.length; from += PAGE) {
    const more = from + PAGE < entries.length;
    const body = JSON.stringify({
      [kind]: entries.slice(from, from + PAGE),
      ...(more ? { nextCursor: formatCursor(pages.length + 1) } : {}),
      ...(generation === "current" ? { ttlMs: TTL_MS, cacheScope: "private" } : {}),
    });
    pages.push(body.slice(1, -1));
  }
  return pages;
}

function formatCursor(page: number): string {
  return Buffer.from(`page ${page}`).toString("base64url");
}

function parseCursor(cursor: string): number | null {
  const match =
    cursor.length > 64
      ? null
      : /^page ([1-9]\d{0,6})$/.exec(Buffer.from(cursor, "base64url").toString("latin1"));
  return match === null ? null : Number(match[1]);
}
