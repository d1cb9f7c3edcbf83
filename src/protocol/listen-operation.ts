import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { Catalog } from "../catalog/catalog.ts";
import type { Permits, TenantViews } from "../catalog/tenant-view.ts";
import type { Clock } from "../core/clock.ts";
import type { EventSink } from "../core/event.ts";
import type { IdSource, TenantId } from "../core/ids.ts";
import { isRefusal, type Refusal, refuse } from "../core/refusal.ts";
import type { AuditTrail } from "../observe/audit-trail.ts";
import type { Principal } from "../tenancy/principal.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import type { ChangeStreams, OpenedStream } from "./change-streams.ts";
import { EventOutlet } from "./event-outlet.ts";
import { takesEvents } from "./event-stream.ts";
import { ListenWords } from "./listen-words.ts";
import type { McpRequest } from "./mcp-request.ts";
import type { Work, WorkingCaller } from "./open-work.ts";
import type { Outlet } from "./outlet.ts";
import { recordOpening } from "./record-opening.ts";
import { offeredLists, readSubscriptionFilter } from "./subscription-filter.ts";
import type { TaskWatches } from "./tasks/task-watches.ts";
import { traceIdOf } from "./trace-context.ts";

/** As much of a caller as listening needs. */
export interface ListeningCaller extends WorkingCaller {
  readonly principal: Principal;
}

/** The operation `subscriptions/listen`. It has its one event, like any other, at its opening. */
export interface ListenOperation<Caller extends ListeningCaller> {
  /** Answers with a stream that outlives this call and ends with `work`. Gives the refusal to answer where it does not. */
  open(
    request: McpRequest,
    res: ServerResponse,
    of: {
      readonly caller: Caller;
      readonly work: Work;
      readonly headers: IncomingHttpHeaders;
      readonly bytesIn: number;
    },
  ): Promise<Refusal | null>;
  /** The same on another transport, which makes an outlet that says these words. */
  openOn(
    connect: (words: ListenWords) => Outlet,
    request: McpRequest,
    of: { readonly caller: Caller; readonly work: Work; readonly bytesIn: number },
  ): Promise<OpenedStream | Refusal>;
}

export function createListenOperation<Caller extends ListeningCaller>(options: {
  readonly clock: Clock;
  readonly ids: Pick<IdSource, "operation">;
  readonly emit: EventSink;
  readonly audit: Pick<AuditTrail, "record">;
  readonly catalog: Pick<Catalog, "tools" | "prompts" | "resources">;
  readonly views: TenantViews;
  readonly permits: Permits;
  /** `serverInfo` as JSON. */
  readonly serverInfo: string;
  readonly streams: Pick<ChangeStreams, "open">;
  /** Absent: there are no tasks. */
  readonly tasks?: TaskWatches;
  /** The tenant as it is now; null: it is gone. */
  readonly current: (tenantId: TenantId) => TenantSnapshot | null | Promise<TenantSnapshot | null>;
  readonly stillHolds: (snapshot: TenantSnapshot, caller: Caller) => boolean;
  /** A caller's permissions under newer snapshots of its tenant. What it gives lives as long as the stream. */
  readonly grantsOf: (caller: Caller) => (snapshot: TenantSnapshot) => ReadonlySet<string>;
}): ListenOperation<Caller> {
  const { clock, views, permits, serverInfo } = options;
  const offered = offeredLists(options.catalog);

  const openOn: ListenOperation<Caller>["openOn"] = async (connect, request, { caller, work, bytesIn }) => {
    const started = clock.monotonic();
    const filter = readSubscriptionFilter(request.params, offered);
    if (isRefusal(filter)) return filter;
    const wanted = options.tasks?.wanted(request, caller.principal) ?? null;
    const tasks = wanted instanceof Promise ? await wanted : wanted;
    if (isRefusal(tasks)) return tasks;
    // Since the caller was known a body was awaited: from here to the opening nothing is, so that no change is missed.
    const looked = options.current(caller.snapshot.id);
    const snapshot = looked instanceof Promise ? await looked : looked;
    if (snapshot === null || !options.stillHolds(snapshot, caller)) return refuse("credentials_ended");
    const { principal } = caller;
    const grantedUnder = options.grantsOf(caller);
    const granted = grantedUnder(snapshot);
    const view = views.of(snapshot);
    const mayRead = (uri: string): boolean => {
      const found = view.resource(uri);
      return found !== null && permits(granted, found.resource.definition.requires);
    };
    const mayHave = async (name: string): Promise<boolean> => {
      const newest = await options.current(snapshot.id);
      const tool = newest === null ? null : views.of(newest).tool(name);
      return newest !== null && tool !== null && permits(grantedUnder(newest), tool.definition.requires);
    };
    // What the caller may not read is left out as what does not exist is.
    const uris = filter.uris === null ? null : new Set([...filter.uris].filter(mayRead));
    const taskIds = tasks === null ? {} : { taskIds: tasks.map(({ taskId }) => taskId) };
    const honoured = { lists: filter.lists, uris, ...taskIds };
    const opened = options.streams.open(
      {
        connect: () => {
          const outlet = connect(new ListenWords({ id: request.id, honoured, serverInfo }));
          // Each task is looked up before it is told of: the acknowledgement comes first.
          if (tasks !== null) options.tasks?.watch(outlet, tasks, mayHave);
          return outlet;
        },
        generation: "current",
        lists: filter.lists,
        subscriptions: uris ?? NONE,
        snapshot,
        grantedUnder,
        expiresAt: principal.expiresAt,
      },
      work,
    );
    if (isRefusal(opened)) return opened;
    recordOpening(options, {
      principal,
      method: "subscriptions/listen",
      revision: request.revision,
      traceId: traceIdOf(request.trace),
      at: clock.now(),
      started,
      bytesIn,
      bytesOut: opened.bytes,
    });
    return opened;
  };

  return {
    openOn,
    async open(request, res, { headers, ...of }) {
      if (!takesEvents(headers.accept)) return refuse("not_acceptable");
      const opened = await openOn((words) => new EventOutlet(res, words), request, of);
      return isRefusal(opened) ? opened : null;
    },
  };
}

/** Of all streams without subscriptions. */
const NONE: ReadonlySet<string> = new Set();
