import { AsyncLocalStorage } from "node:async_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "../../core/fault.ts";
import type { InstanceId, TenantId } from "../../core/ids.ts";
import type { Refusal } from "../../core/refusal.ts";
import type { BegunTask, TaskName, TaskRow, TaskRunName, TaskTakeOver } from "../../tenancy/task-record.ts";
import { createPlaceLines, type RunPlace } from "./place-lines.ts";
import { TaskRun } from "./task-run.ts";
import type { TaskStore } from "./task-store.ts";

/** The runs of tasks on this instance. */
export interface TaskRuns {
  /** Runs it as soon as there is a place for it. It must be in the store as this instance's. */
  start(task: Pick<TaskRow, "tenantId" | "taskId" | "run">): void;
  /** Somebody else has changed a task: where it is run here, and that does not count any more, it stops. */
  changed(name: TaskName): void;
  /** To be called every few seconds: ends what does not count any more, also where nobody has told. */
  sweep(): Promise<void>;
  /** To be called as often: takes over what instances that are gone have left. One that drains leaves it to others. */
  takeOver(of: Omit<TaskTakeOver, "by" | "failure">): Promise<void>;
  /** Begins nothing more: what has not begun is left to other instances. */
  drain(): void;
  /** Resolves when nothing runs any more. */
  finished(): Promise<void>;
  /** Writes nothing more. */
  close(): void;
}

/** What the database did not take is tried again after this long. */
const STORE_RETRY_MS = 500;

/** A run from when it was begun to wait for its place. Until it has one its task is in the store alone: those may be large. */
interface Entry {
  readonly name: TaskRunName;
  gone: boolean;
  run: TaskRun | null;
}

export function createTaskRuns(options: {
  readonly store: TaskStore;
  readonly by: InstanceId;
  /** A place for a run of a tenant's; a refusal: there is none now. Null: there is no such tenant. */
  readonly enter: (tenantId: TenantId) => Promise<RunPlace | Refusal | null>;
  /** Runs the operation and answers through `run`. */
  readonly perform: (task: BegunTask, run: TaskRun, place: Pick<RunPlace, "keepUntil">) => Promise<void>;
  /** Told when a run has changed its task. */
  readonly onChanged: (name: TaskName) => void;
  /** JSON of the error of a task that could not be run … */
  readonly failure: string;
  /** … and of one whose run was lost. */
  readonly lost: string;
  readonly onFault: (cause: unknown) => void;
}): TaskRuns {
  const { store, by, enter, perform, onChanged, onFault } = options;
  // Bounded by the tenants' open tasks.
  const running = new Map<string, Entry>();
  /** Runs that the store names as this instance's, and that were not here at the last sweep. */
  let astray: ReadonlySet<string> = new Set();
  let draining = false;
  let closed = false;
  let idle: (() => void) | null = null;

  const pause = (milliseconds: number): Promise<void> => delay(milliseconds, undefined, { ref: false });

  /** Tries again for as long as the database does not answer and this is wanted. */
  const patiently = async <T>(attempt: () => Promise<T>, wanted = () => true): Promise<T> => {
    for (let told = false; ; told = true) {
      try {
        return await attempt();
      } catch (cause) {
        const mayPass = cause instanceof Fault && cause.code === "database_unavailable";
        if (closed || !mayPass || !wanted()) throw cause;
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

  const lines = createPlaceLines((tenantId) => patiently(() => enter(tenantId)));

  // A run waits and goes on for long, and for nobody but its task: it must not keep the context of the call that made it.
  const outside = AsyncLocalStorage.snapshot();
  const drive = async (entry: Entry): Promise<void> => {
    const { name } = entry;
    const place = await lines.placeFor(name.tenantId, () => entry.gone || draining);
    if (place === null) return;
    try {
      // From here on it would be lost with this instance.
      const task = await patiently(() => store.begin(name));
      if (task === null) return;
      const run = new TaskRun(task, { store, name, patiently, insist, onFault });
      entry.run = run;
      if (entry.gone) run.stop();
      await perform(task, run, place);
      if (await run.written) onChanged(name);
    } finally {
      place.leave();
    }
  };

  const stop = (entry: Entry): void => {
    entry.gone = true;
    entry.run?.stop();
  };

  const ended = (key: string): void => {
    running.delete(key);
    if (running.size === 0) idle?.();
  };

  const start: TaskRuns["start"] = ({ tenantId, taskId, run }) => {
    const name: TaskRunName = { tenantId, taskId, by, run };
    const key = keyOf(name);
    if (draining) return;
    const before = running.get(key);
    if (before !== undefined) stop(before);
    const entry: Entry = { name, gone: false, run: null };
    running.set(key, entry);
    void outside(() =>
      drive(entry)
        .catch(async (cause: unknown) => {
          onFault(cause);
          if (await insist(() => store.fail(name, options.failure))) onChanged(name);
        })
        .finally(() => {
          if (running.get(key) === entry) ended(key);
        }),
    );
  };

  return {
    start,

    changed(name) {
      const found = running.get(keyOf(name));
      if (found === undefined) return;
      store.counts(found.name).then((counts) => {
        if (!counts) stop(found);
      }, onFault);
    },

    async sweep() {
      const here = new Map(running);
      const kept = new Map((await store.runsOf(by)).map((name) => [keyOf(name), name]));
      for (const [key, entry] of here) if (kept.get(key)?.run !== entry.name.run) stop(entry);
      const before = astray;
      const missing = [...kept].filter(([key]) => !running.has(key));
      astray = new Set(missing.map(([key, { run }]) => `${key} ${run}`));
      if (draining) return;
      for (const [key, name] of missing) {
        // A moment ago it may have been on its way here; not for as long as from one sweep to the next.
        if (!before.has(`${key} ${name.run}`)) continue;
        if (await store.fail(name, options.lost)) onChanged(name);
      }
    },

    async takeOver(of) {
      // Nothing of it would begin here: it would wait until this instance has stopped, and be taken over once more.
      if (draining) return;
      for (const task of await store.takeOver({ ...of, by, failure: options.lost })) {
        if (task.status === "working") start(task);
        onChanged(task);
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
