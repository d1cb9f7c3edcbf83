import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "../../core/fault.ts";
import type { InstanceId, TenantId } from "../../core/ids.ts";
import { isRefusal, type Refusal } from "../../core/refusal.ts";
import { TaskRun } from "./task-run.ts";
import type { TaskName, TaskRow, TaskRunName, TaskStore } from "./task-store.ts";

/** A place among a tenant's operations in flight. */
interface Place {
  leave(): void;
  keepUntil(work: Promise<unknown>): void;
}

/** The runs of tasks on this instance. */
export interface TaskRuns {
  /** Runs it as soon as there is a place for it. It must be in the store as this instance's. */
  start(task: TaskRow): void;
  /** Somebody else has changed a task: where it is run here, and that does not count any more, it stops. */
  changed(name: TaskName): void;
  /** To be called every few seconds: ends what does not count any more, also where nobody has told. */
  sweep(): Promise<void>;
  /** Begins nothing more: what has not begun is left to other instances. */
  drain(): void;
  /** Resolves when nothing runs any more. */
  finished(): Promise<void>;
  /** Writes nothing more. */
  close(): void;
}

/** A run that finds no place tries again after this long, … */
const PLACE_RETRY_MS = 100;
/** … and what the database did not take, after this long. */
const STORE_RETRY_MS = 500;

export function createTaskRuns(options: {
  readonly store: TaskStore;
  readonly by: InstanceId;
  /** A place for a run of a tenant's; a refusal: there is none now. Null: there is no such tenant. */
  readonly enter: (tenantId: TenantId) => Promise<Place | Refusal | null>;
  /** Runs the operation and answers through `run`. */
  readonly perform: (
    task: TaskRow,
    run: TaskRun,
    of: {
      readonly place: Place;
      /** Until the task's time is over. */
      readonly leftMs: number;
    },
  ) => Promise<void>;
  /** Told when a run has changed its task. */
  readonly onChanged: (name: TaskName) => void;
  /** JSON of the error of a task that could not be run. */
  readonly failure: string;
  readonly onFault: (cause: unknown) => void;
}): TaskRuns {
  const { store, by, enter, perform, onChanged, onFault } = options;
  // Bounded by the tenants' open tasks.
  const running = new Map<string, { readonly name: TaskRunName; readonly run: TaskRun }>();
  /** Runs that the store names as this instance's, and that were not here at the last sweep. */
  let astray: ReadonlySet<string> = new Set();
  let draining = false;
  let closed = false;
  let idle: (() => void) | null = null;

  const pause = (milliseconds: number): Promise<void> => delay(milliseconds, undefined, { ref: false });

  /** Tries again for as long as the database does not answer. */
  const patiently = async <T>(attempt: () => Promise<T>): Promise<T> => {
    for (let told = false; ; told = true) {
      try {
        return await attempt();
      } catch (cause) {
        if (closed || !(cause instanceof Fault && cause.code === "database_unavailable")) throw cause;
        if (!told) onFault(cause);
      }
      await pause(STORE_RETRY_MS);
    }
  };

  const insist = (write: () => Promise<boolean>): Promise<boolean> =>
    patiently(write).catch((cause: unknown) => {
      onFault(cause);
      return false;
    });

  /** Null: it need not run any more. */
  const placeFor = async (tenantId: TenantId, run: TaskRun): Promise<Place | null> => {
    while (!run.gone && !draining) {
      const place = await patiently(() => enter(tenantId));
      if (place === null) return null;
      if (!isRefusal(place)) return place;
      await pause(PLACE_RETRY_MS);
    }
    return null;
  };

  const drive = async (task: TaskRow, name: TaskRunName, run: TaskRun): Promise<void> => {
    const place = await placeFor(task.tenantId, run);
    if (place === null) return;
    try {
      // From here on it would be lost with this instance.
      const leftMs = await patiently(() => store.begin(name));
      if (leftMs === null) return;
      await perform(task, run, { place, leftMs });
      if (await run.written) onChanged(name);
    } finally {
      place.leave();
    }
  };

  const ended = (key: string): void => {
    running.delete(key);
    if (running.size === 0) idle?.();
  };

  return {
    start(task) {
      const { tenantId, taskId, run: number } = task;
      const name: TaskRunName = { tenantId, taskId, by, run: number };
      const key = keyOf(name);
      if (draining) return;
      const run = new TaskRun(task, { store, name, insist, onFault });
      running.get(key)?.run.stop();
      const entry = { name, run };
      running.set(key, entry);
      drive(task, name, run)
        .catch(async (cause: unknown) => {
          onFault(cause);
          if (await insist(() => store.end(name, "failed", options.failure))) onChanged(name);
        })
        .finally(() => {
          if (running.get(key) === entry) ended(key);
        });
    },

    changed(name) {
      const found = running.get(keyOf(name));
      if (found === undefined) return;
      store.counts(found.name).then((counts) => {
        if (!counts) found.run.stop();
      }, onFault);
    },

    async sweep() {
      const here = new Map(running);
      const kept = new Map((await store.runsOf(by)).map((name) => [keyOf(name), name]));
      for (const [key, { name, run }] of here) if (kept.get(key)?.run !== name.run) run.stop();
      const before = astray;
      const missing = [...kept].filter(([key]) => !running.has(key));
      astray = new Set(missing.map(([key, { run }]) => `${key} ${run}`));
      if (draining) return;
      for (const [key, name] of missing) {
        // A moment ago it may have been on its way here; not for as long as from one sweep to the next.
        if (!before.has(`${key} ${name.run}`)) continue;
        if (await store.end(name, "failed", options.failure)) onChanged(name);
      }
    },

    drain() {
      draining = true;
    },

    finished() {
      if (running.size === 0) return Promise.resolve();
      return new Promise((resolve) => {
        idle = resolve;
      });
    },

    close() {
      closed = true;
    },
  };
}

function keyOf({ tenantId, taskId }: TaskName): string {
  return `${tenantId} ${taskId}`;
}
