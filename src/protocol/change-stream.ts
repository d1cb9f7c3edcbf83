import type { ListKind, ListReader, Permits, TenantViews } from "../catalog/tenant-view.ts";
import type { Eventually } from "../core/eventually.ts";
import type { Change } from "../tenancy/client.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import type { Outlet } from "./outlet.ts";
import type { ListenedList } from "./subscription-filter.ts";

/** Lists of the catalog whose change a client hears of as the change of one. */
const KINDS: Readonly<Record<ListenedList, readonly ListKind[]>> = {
  tools: ["tools"],
  prompts: ["prompts"],
  resources: ["resources", "resourceTemplates"],
};

/** The URIs of which somebody is told: fixed, or asked for anew each time; null: what the stream belongs to has ended. */
export type Subscriptions = ReadonlySet<string> | (() => Eventually<ReadonlySet<string> | null>);

/** Who is told, and of what. */
export interface Watcher {
  /** Begins its answer: called once it is known that it may be opened. */
  readonly connect: () => Outlet;
  readonly generation: ListReader["generation"];
  readonly lists: readonly ListenedList[];
  readonly subscriptions: Subscriptions;
  /** The tenant as the caller sees it at the opening. */
  readonly snapshot: TenantSnapshot;
  /** The caller's permissions under a snapshot of the tenant: a change of its roles changes them. */
  readonly grantedUnder: (snapshot: TenantSnapshot) => ReadonlySet<string>;
  /** Milliseconds since 1970 at which the credential ends. */
  readonly expiresAt: number;
}

/** A change that was announced, with what its resource requires where it is one's. */
export type AnnouncedChange =
  | { readonly list: ListenedList }
  | { readonly uri: string; readonly requires: string | undefined };

/** With the tenant's configuration as it is now: a resource that the tenant does not have is nobody's to hear of. */
export function announcedUnder(
  snapshot: TenantSnapshot,
  changes: readonly Change[],
  views: TenantViews,
): readonly AnnouncedChange[] {
  const announced: AnnouncedChange[] = [];
  for (const change of changes) {
    if (typeof change === "string") announced.push({ list: change });
    else {
      const found = views.of(snapshot).resource(change.resource);
      if (found !== null)
        announced.push({ uri: change.resource, requires: found.resource.definition.requires });
    }
  }
  return announced;
}

/** One open stream of changes, of either generation. */
export class ChangeStream {
  readonly expiresAt: number;
  readonly subscriptions: Subscriptions;
  readonly #outlet: Outlet;
  readonly #generation: ListReader["generation"];
  readonly #lists: readonly ListenedList[];
  readonly #grantedUnder: Watcher["grantedUnder"];
  /** What the client last had reason to read its lists from. */
  #seen: TenantSnapshot;
  #granted: ReadonlySet<string>;
  #writtenAt: number;

  /** Keeps the watcher's parts and not the watcher, which would keep its oldest snapshot. @param of.now on the monotonic clock. */
  constructor(watcher: Watcher, of: { readonly outlet: Outlet; readonly now: number }) {
    this.expiresAt = watcher.expiresAt;
    this.subscriptions = watcher.subscriptions;
    this.#outlet = of.outlet;
    this.#generation = watcher.generation;
    this.#lists = watcher.lists;
    this.#grantedUnder = watcher.grantedUnder;
    this.#seen = watcher.snapshot;
    this.#granted = watcher.grantedUnder(watcher.snapshot);
    this.#writtenAt = of.now;
  }

  begin(): number {
    return this.#outlet.begin();
  }

  /** Tells the client of those of its lists that are others under a newer snapshot. @param now on the monotonic clock. */
  compare(snapshot: TenantSnapshot, views: TenantViews, now: number): void {
    if (snapshot.version <= this.#seen.version) return;
    const [before, after] = [views.of(this.#seen), views.of(snapshot)];
    const granted = this.#grantedUnder(snapshot);
    const had: ListReader = { granted: this.#granted, generation: this.#generation };
    const has: ListReader = { granted, generation: this.#generation };
    this.#seen = snapshot;
    this.#granted = granted;
    for (const list of this.#lists) {
      if (KINDS[list].every((kind) => areSame(before.pages(kind, had), after.pages(kind, has)))) continue;
      this.#tellList(list, now);
    }
  }

  /**
   * Tells the client of what was announced, as far as it asked for it and may read it. False: what the stream belongs to
   * has ended. A promise where its subscriptions had to be looked up.
   */
  tell(
    announced: readonly AnnouncedChange[],
    of: { readonly snapshot: TenantSnapshot; readonly permits: Permits; readonly now: number },
  ): Eventually<boolean> {
    let resources = false;
    for (const change of announced) {
      if (!("list" in change)) resources = true;
      else if (this.#lists.includes(change.list)) this.#tellList(change.list, of.now);
    }
    if (!resources) return true;
    const granted = of.snapshot === this.#seen ? this.#granted : this.#grantedUnder(of.snapshot);
    const tellOf = (uris: ReadonlySet<string> | null): boolean => {
      if (uris === null) return false;
      for (const change of announced) {
        if ("uri" in change && uris.has(change.uri) && of.permits(granted, change.requires))
          this.#tellResource(change.uri, of.now);
      }
      return true;
    };
    const uris = typeof this.subscriptions === "function" ? this.subscriptions() : this.subscriptions;
    return uris instanceof Promise ? uris.then(tellOf) : tellOf(uris);
  }

  /** The lists it is told of, and the tenant as it was last told: for who may have missed something. */
  everything(): { readonly lists: readonly ListenedList[]; readonly snapshot: TenantSnapshot } {
    return { lists: this.#lists, snapshot: this.#seen };
  }

  drained(): Promise<void> | null {
    return this.#outlet.drained();
  }

  get gone(): boolean {
    return this.#outlet.gone;
  }

  /** Milliseconds since the last message, on the monotonic clock. */
  quietFor(now: number): number {
    return now - this.#writtenAt;
  }

  keepAlive(now: number): void {
    this.#writtenAt = now;
    this.#outlet.keepAlive();
  }

  end(): void {
    this.#outlet.end();
  }

  destroy(): void {
    this.#outlet.destroy();
  }

  #tellList(list: ListenedList, now: number): void {
    this.#writtenAt = now;
    this.#outlet.notify(`notifications/${list}/list_changed`, "");
  }

  #tellResource(uri: string, now: number): void {
    this.#writtenAt = now;
    this.#outlet.notify("notifications/resources/updated", `"uri":${JSON.stringify(uri)}`);
  }
}

function areSame(before: readonly string[], after: readonly string[]): boolean {
  return before === after || (before.length === after.length && before.every((page, i) => page === after[i]));
}
