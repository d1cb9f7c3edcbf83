import type { ServerResponse } from "node:http";
import type { ListKind, TenantViews } from "../catalog/tenant-view.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import { EventStream } from "./event-stream.ts";
import type { RequestId } from "./json-rpc.ts";
import { honouredFilter, type ListenedList } from "./subscription-filter.ts";

/** Lists of the catalog whose change a client hears of as the change of one. */
const KINDS: Readonly<Record<ListenedList, readonly ListKind[]>> = {
  tools: ["tools"],
  prompts: ["prompts"],
  resources: ["resources", "resourceTemplates"],
};

/** Who listens, and to what. */
export interface Listener {
  /** Of the `subscriptions/listen` request: what every message of the stream carries. */
  readonly id: RequestId;
  readonly lists: readonly ListenedList[];
  /** The tenant as the caller sees it at the opening. */
  readonly snapshot: TenantSnapshot;
  /** The caller's permissions under a snapshot of the tenant: a change of its roles changes them. */
  readonly grantedUnder: (snapshot: TenantSnapshot) => ReadonlySet<string>;
  /** Milliseconds since 1970 at which the credential ends. */
  readonly expiresAt: number;
}

/** One open `subscriptions/listen` (MCP 2026-07-28, basic, patterns, "Subscriptions"). */
export class ListenStream {
  readonly expiresAt: number;
  readonly #events: EventStream;
  readonly #listener: Listener;
  readonly #meta: string;
  readonly #serverInfo: string;
  /** What the client last had reason to read its lists from. */
  #seen: TenantSnapshot;
  #granted: ReadonlySet<string>;
  #writtenAt: number;

  /** @param of.now on the monotonic clock. @param of.serverInfo as JSON. */
  constructor(
    res: ServerResponse,
    listener: Listener,
    of: { readonly now: number; readonly serverInfo: string },
  ) {
    this.expiresAt = listener.expiresAt;
    this.#listener = listener;
    this.#meta = `"io.modelcontextprotocol/subscriptionId":${JSON.stringify(listener.id)}`;
    this.#serverInfo = of.serverInfo;
    this.#seen = listener.snapshot;
    this.#granted = listener.grantedUnder(listener.snapshot);
    this.#writtenAt = of.now;
    this.#events = new EventStream(res);
  }

  /** Says what is honoured: the first message, before any other. Gives its bytes. */
  acknowledge(): number {
    const honoured = JSON.stringify(honouredFilter(this.#listener.lists));
    return this.#notify("subscriptions/acknowledged", `,"notifications":${honoured}`);
  }

  /** Tells the client of those of its lists that are others under a newer snapshot. */
  compare(snapshot: TenantSnapshot, views: TenantViews, now: number): void {
    if (snapshot.version <= this.#seen.version) return;
    const [before, after] = [views.of(this.#seen), views.of(snapshot)];
    const [had, has] = [this.#granted, this.#listener.grantedUnder(snapshot)];
    this.#seen = snapshot;
    this.#granted = has;
    for (const list of this.#listener.lists) {
      if (KINDS[list].every((kind) => areSame(before.pages(kind, had), after.pages(kind, has)))) continue;
      this.#writtenAt = now;
      this.#notify(`${list}/list_changed`, "");
    }
  }

  /** Milliseconds since the last message, on the monotonic clock. */
  quietFor(now: number): number {
    return now - this.#writtenAt;
  }

  keepAlive(now: number): void {
    this.#writtenAt = now;
    this.#events.keepAlive();
  }

  /**
   * Ends the subscription with its response ("Graceful Closure"). That has no member for a reason; the client's next
   * request is told it.
   */
  end(): void {
    this.#events.end(
      `{"jsonrpc":"2.0","id":${JSON.stringify(this.#listener.id)},"result":{"resultType":"complete","_meta":{${this.#meta},"io.modelcontextprotocol/serverInfo":${this.#serverInfo}}}}`,
    );
  }

  destroy(): void {
    this.#events.destroy();
  }

  #notify(method: string, params: string): number {
    return this.#events.message(
      `{"jsonrpc":"2.0","method":"notifications/${method}","params":{"_meta":{${this.#meta}}${params}}}`,
    );
  }
}

function areSame(before: readonly string[], after: readonly string[]): boolean {
  return before === after || (before.length === after.length && before.every((page, i) => page === after[i]));
}
