/** Tasks put together (extension `io.modelcontextprotocol/tasks`): how a call becomes one, and how it is run. */
import type { Catalog } from "./catalog/catalog.ts";
import type { Clock } from "./core/clock.ts";
import type { EventSink } from "./core/event.ts";
import type { IdSource, InstanceId, TaskId, TenantId } from "./core/ids.ts";
import { isRefusal, type Refusal, refuse } from "./core/refusal.ts";
import type { AccessPolicy } from "./identity/access-policy.ts";
import type { Authenticator } from "./identity/authenticator.ts";
import type { Caller } from "./identity/caller.ts";
import { keepCaller, restoreCaller } from "./identity/kept-caller.ts";
import { type ConcurrencyLimiter, createConcurrencyLimiter, type HeldPlace } from "./limits/concurrency.ts";
import type { Operate, OperateRooms, OperationOrder } from "./operate.ts";
import { abilitiesOf, missingAbility } from "./protocol/client-abilities.ts";
import { errorObject } from "./protocol/json-rpc.ts";
import type { OpenWork } from "./protocol/open-work.ts";
import type { Performed } from "./protocol/performed.ts";
import { CURRENT } from "./protocol/revisions.ts";
import type { SignalPort } from "./protocol/signal-port.ts";
import { remembering } from "./protocol/tasks/remembering.ts";
import { taskMembers } from "./protocol/tasks/task-members.ts";
import { createTaskOperations, type TaskOperations } from "./protocol/tasks/task-operations.ts";
import { keepRequest, restoreRequest } from "./protocol/tasks/task-request.ts";
import type { TaskRun } from "./protocol/tasks/task-run.ts";
import { createTaskRuns } from "./protocol/tasks/task-runs.ts";
import { taskState } from "./protocol/tasks/task-state.ts";
import type { TaskStore } from "./protocol/tasks/task-store.ts";
import { createTaskWatches, type TaskWatches } from "./protocol/tasks/task-watches.ts";
import { tooManyTasks } from "./protocol/tasks/too-many-tasks.ts";
import { principalKey } from "./tenancy/principal.ts";
import type { BegunTask, TaskName } from "./tenancy/task-record.ts";
import type { TenantContext } from "./tenancy/tenant-context.ts";
import type { TenantSnapshot } from "./tenancy/tenant-snapshot.ts";

/** The tasks of all instances, as one of them serves and runs them. */
export interface Tasks {
  /** Makes a task of a call whose tool may run in the background, for a client that knows tasks. */
  readonly asTask: OperateRooms["asTask"];
  readonly resolve: TaskOperations["resolve"];
  /** Tells clients of their tasks over their streams. */
  readonly watches: TaskWatches;
  /**
   * To be called every few seconds: takes over what instances that are gone have left, and stops runs that do not count
   * any more.
   */
  recover(): Promise<void>;
  /** Begins no more runs. */
  drain(): void;
  /** Resolves when no task runs here any more. */
  finished(): Promise<void>;
  close(): void;
}

const DEFAULT_TTL_MS = 3_600_000;
const DEFAULT_POLL_MS = 1_000;
/** A run that has taken its instance with it so often is not tried again. */
const MOST_LOST = 3;
/** Tasks that one instance takes over at a time; others take the rest. */
const TAKEN_AT_ONCE = 20;
/** So long before its end a task's run is stopped, so that its caller finds out why. */
const LAST_WORDS_MS = 1_000;

export function createTasks(rooms: {
  readonly clock: Clock;
  readonly ids: Pick<IdSource, "task">;
  readonly instanceId: InstanceId;
  readonly emit: EventSink;
  readonly store: TaskStore;
  readonly signals: SignalPort;
  readonly catalog: Pick<Catalog, "tools">;
  readonly policy: AccessPolicy;
  /** The tenant as it is now; null: it is gone. */
  readonly current: (tenantId: TenantId) => TenantSnapshot | null | Promise<TenantSnapshot | null>;
  readonly stillHolds: Authenticator["stillHolds"];
  readonly openWork: OpenWork<Caller>;
  readonly concurrency: ConcurrencyLimiter;
  /** The operation of a run. */
  readonly operate: Operate;
  /** An instance that was not heard of for this long is gone. */
  readonly deadAfterMs: number;
  readonly onFault: (cause: unknown) => void;
}): Tasks {
  const { clock, store, signals, current, concurrency } = rooms;
  /** By task: of those that a stream tells of. */
  const listeners = new Map<TaskId, Set<() => void>>();
  const offered = rooms.catalog.tools.some(({ definition }) => definition.task !== undefined);
  const ownPlaces = createConcurrencyLimiter();

  const tell = ({ tenantId, taskId }: TaskName): void => {
    runs.changed({ tenantId, taskId });
    for (const listener of listeners.get(taskId) ?? []) listener();
  };
  const listen = (taskId: TaskId, listener: () => void): (() => void) => {
    const own = listeners.get(taskId) ?? new Set();
    listeners.set(taskId, own);
    own.add(listener);
    return () => {
      // An emptied set is not in the map any more: nobody may take one out that came after it.
      if (own.delete(listener) && own.size === 0) listeners.delete(taskId);
    };
  };
  const changed = (name: TaskName): void => {
    tell(name);
    signals.publish({
      tenantId: name.tenantId,
      topic: "task_changed",
      payload: { taskId: name.taskId },
    });
  };

  /**
   * A place among the tenant's operations in flight. Runs may take long: of the places they have half, so that there is
   * one left for the request that asks for them or ends them; and where there is but one place, they do not take it.
   */
  const enter = async (
    tenantId: TenantId,
  ): Promise<Pick<HeldPlace, "leave" | "keepUntil"> | Refusal | null> => {
    const snapshot = await current(tenantId);
    if (snapshot === null) return null;
    const limit = snapshot.limits.maxConcurrency;
    const own = ownPlaces.enter(tenantId, limit === null ? null : Math.max(1, Math.floor(limit / 2)));
    if (isRefusal(own) || limit === 1) return own;
    const shared = concurrency.enter(tenantId, limit);
    if (!isRefusal(shared)) return both(own, shared);
    own.leave();
    return shared;
  };

  /** Runs a task as its caller, if that one may still act for the tenant. */
  const perform = async (
    task: BegunTask,
    run: TaskRun,
    place: Pick<HeldPlace, "keepUntil">,
  ): Promise<void> => {
    const snapshot = await current(task.tenantId);
    if (snapshot === null) return;
    const caller = restoreCaller(task.caller, snapshot);
    if (caller === null || !rooms.stillHolds(snapshot, caller)) {
      const refusal = refuse(snapshot.status === "suspended" ? "tenant_suspended" : "credentials_ended");
      const { tenantId } = task;
      rooms.emit({ type: "refusal", at: clock.now(), tenantId, stage: "identity", code: refusal.code });
      run.answer(errorText(refusal), refusal);
      return;
    }
    const work = rooms.openWork.begin(caller);
    try {
      await rooms.operate({
        ...{ caller, request: restoreRequest(task), reply: run, place, work, open: run.open },
        bytesIn: 0,
        limitMs: Math.max(task.leftMs - LAST_WORDS_MS, task.leftMs / 2),
      });
    } finally {
      work.finish();
    }
  };

  const runs = createTaskRuns({
    ...{ store, by: rooms.instanceId, enter, perform, onChanged: changed, onFault: rooms.onFault },
    failure: errorText(refuse("internal")),
    lost: errorText(refuse("task_lost")),
  });
  const endListening = signals.subscribe("task_changed", ({ tenantId, payload }) =>
    tell({ tenantId, taskId: payload.taskId }),
  );

  const make = async (order: OperationOrder, tool: string, task: Making): Promise<Performed | Refusal> => {
    const { principal, snapshot } = order.caller;
    const { ctx, definition } = task;
    const owned = {
      tenantId: snapshot.id,
      taskId: rooms.ids.task(),
      principalKey: principalKey(principal),
    };
    ctx.audit({ task: owned.taskId });
    if (ctx.signal.aborted) return refuse("cancelled");
    const made = await store.make({
      ...owned,
      caller: keepCaller(order.caller),
      request: keepRequest(order.request),
      target: tool,
      state: task.state,
      by: rooms.instanceId,
      rerun: task.rerun,
      ttlMs: definition.ttlMs ?? DEFAULT_TTL_MS,
      pollIntervalMs: definition.pollIntervalMs ?? DEFAULT_POLL_MS,
    });
    if (made === "no_tenant") return refuse("credentials_ended");
    if (made !== "made") return tooManyTasks(made);
    const row = await store.find(owned);
    if (row === null) return refuse("internal");
    // Who has gone meanwhile never hears of it.
    if (ctx.signal.aborted) {
      await store.cancel(owned);
      return refuse("cancelled");
    }
    runs.start(row);
    return { resultType: "task", members: taskMembers(row), meta: null, outcome: "task", code: null };
  };

  return {
    asTask(order, operation) {
      const { tool } = operation;
      const definition = tool?.definition.task;
      if (tool === null || definition === undefined) return null;
      const { revision, client } = order.request;
      // "Servers MUST NOT treat this capability as enabling tasks under that protocol version", of those before.
      if (revision !== CURRENT || !abilitiesOf(client.capabilities).has("tasks")) {
        if (definition.support === "preferred") return null;
        return refuse("client_capability_missing", {
          data: { requiredCapabilities: missingAbility("tasks") },
        });
      }
      const { annotations, name } = tool.definition;
      const rerun = definition.rerun ?? (annotations?.idempotentHint === true || tool.readOnly);
      const { open, memory } = remembering(order.open);
      return {
        open,
        operation: {
          ...operation,
          async perform(ctx) {
            const ended = (await operation.before?.(ctx)) ?? null;
            if (ended !== null) return ended;
            const state = JSON.stringify(taskState(memory()));
            return make(order, name, { ctx, definition, rerun, state });
          },
        },
      };
    },

    resolve: createTaskOperations({
      store,
      by: rooms.instanceId,
      policy: rooms.policy,
      offered,
      onResumed: runs.start,
      onChanged: changed,
    }).resolve,

    watches: createTaskWatches({ store, offered, onChanged: listen, onFault: rooms.onFault }),

    async recover() {
      await runs.sweep();
      await runs.takeOver({
        deadAfterMs: rooms.deadAfterMs,
        mostLost: MOST_LOST,
        atOnce: TAKEN_AT_ONCE,
      });
    },

    drain: runs.drain,
    finished: runs.finished,
    close() {
      endListening();
      runs.close();
    },
  };
}

/** What of a call a task is made of. */
interface Making {
  readonly ctx: TenantContext;
  readonly definition: { readonly ttlMs?: number; readonly pollIntervalMs?: number };
  readonly rerun: boolean;
  readonly state: string;
}

function errorText(refusal: Refusal): string {
  return JSON.stringify(errorObject(refusal));
}

function both(a: HeldPlace, b: HeldPlace): Pick<HeldPlace, "leave" | "keepUntil"> {
  return {
    leave() {
      a.leave();
      b.leave();
    },
    keepUntil(work) {
      a.keepUntil(work);
      b.keepUntil(work);
    },
  };
}
