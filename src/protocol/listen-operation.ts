import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { Catalog } from "../catalog/catalog.ts";
import type { Clock } from "../core/clock.ts";
import type { EventSink, OperationEvent } from "../core/event.ts";
import type { IdSource, TenantId } from "../core/ids.ts";
import { isRefusal, type Refusal, refuse } from "../core/refusal.ts";
import { outcomeFacts } from "../observe/audit-facts.ts";
import type { AuditTrail } from "../observe/audit-trail.ts";
import { actorOf, type Principal } from "../tenancy/principal.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import type { ListenStreams } from "./listen-streams.ts";
import type { Work, WorkingCaller } from "./open-work.ts";
import { type ModernRequest, REVISION } from "./revision-2026-07-28.ts";
import { type ListenedList, readSubscriptionFilter } from "./subscription-filter.ts";

/** As much of a caller as listening needs. */
export interface ListeningCaller extends WorkingCaller {
  readonly principal: Principal;
}

/** The operation `subscriptions/listen`. It has its one event, like any other, at its opening. */
export interface ListenOperation<Caller extends ListeningCaller> {
  /** Answers with a stream that outlives this call and ends with `work`. Gives the refusal to answer where it does not. */
  open(
    request: ModernRequest,
    res: ServerResponse,
    of: {
      readonly caller: Caller;
      readonly work: Work;
      readonly headers: IncomingHttpHeaders;
      readonly bytesIn: number;
    },
  ): Promise<Refusal | null>;
}

export function createListenOperation<Caller extends ListeningCaller>(options: {
  readonly clock: Clock;
  readonly ids: Pick<IdSource, "operation">;
  readonly emit: EventSink;
  readonly audit: Pick<AuditTrail, "record">;
  readonly catalog: Pick<Catalog, "tools" | "prompts" | "resources">;
  readonly streams: ListenStreams;
  /** The tenant as it is now; null: it is gone. */
  readonly current: (tenantId: TenantId) => TenantSnapshot | null | Promise<TenantSnapshot | null>;
  readonly stillHolds: (snapshot: TenantSnapshot, caller: Caller) => boolean;
  /** A caller's permissions under a newer snapshot of its tenant. */
  readonly grantedUnder: (snapshot: TenantSnapshot, caller: Caller) => ReadonlySet<string>;
}): ListenOperation<Caller> {
  const { clock, catalog, emit } = options;
  const offered: ReadonlySet<ListenedList> = new Set(
    (["tools", "prompts", "resources"] as const).filter((list) => catalog[list].length > 0),
  );
  return {
    async open(request, res, { caller, work, headers, bytesIn }) {
      const started = clock.monotonic();
      if (!takesEvents(headers.accept)) return refuse("not_acceptable");
      const lists = readSubscriptionFilter(request.params, offered);
      if (isRefusal(lists)) return lists;
      // Since the caller was known a body was awaited: from here to the opening nothing is, so that no change is missed.
      const looked = options.current(caller.snapshot.id);
      const snapshot = looked instanceof Promise ? await looked : looked;
      if (snapshot === null || !options.stillHolds(snapshot, caller)) return refuse("credentials_ended");
      const { principal } = caller;
      const opened = options.streams.open(
        res,
        {
          id: request.id,
          lists,
          snapshot,
          grantedUnder: (newer) => options.grantedUnder(newer, caller),
          expiresAt: principal.expiresAt,
        },
        work,
      );
      if (isRefusal(opened)) return opened;
      work.keepUntil(opened.closed);
      const event: OperationEvent = {
        type: "operation",
        at: clock.now(),
        tenantId: snapshot.id,
        operationId: options.ids.operation(),
        actor: actorOf(principal),
        method: request.method,
        target: null,
        readOnly: true,
        outcome: "ok",
        code: null,
        durationMs: clock.monotonic() - started,
        bytesIn,
        bytesOut: opened.bytes,
        protocolVersion: REVISION,
        access: { reason: "not_required" },
        notes: null,
      };
      options.audit.record(outcomeFacts(event));
      emit(event);
      return null;
    },
  };
}

/** Whether `Accept` allows server-sent events (RFC 9110 section 12.5.1): without one, anything is. */
function takesEvents(accept: string | undefined): boolean {
  return accept === undefined || /(^|[\s,])(text\/(event-stream|\*)|\*\/\*)(?=[\s,;]|$)/i.test(accept);
}
