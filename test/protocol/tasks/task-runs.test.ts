import { AsyncLocalStorage } from "node:async_hooks";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import { Fault } from "../../../src/core/fault.ts";
import { createIdSource } from "../../../src/core/ids.ts";
import { refuse } from "../../../src/core/refusal.ts";
import { createTaskRepository } from "../../../src/data/task-repository.ts";
import { NOTHING_YET } from "../../../src/protocol/replay.ts";
import type { TaskRun } from "../../../src/protocol/tasks/task-run.ts";
import { createTaskRuns, type TaskRuns } from "../../../src/protocol/tasks/task-runs.ts";
import { taskState } from "../../../src/protocol/tasks/task-state.ts";
import type { BegunTask, TaskRow, TaskStore } from "../../../src/protocol/tasks/task-store.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { heldMemory } from "../../support/held-memory.ts";

const ids = createIdSource(systemClock.now);
const [by, tenantId] = [ids.instance(), ids.tenant()];
let database: TestDatabase;
let store: TaskStore;
beforeAll(async () => {
  database = await createTestDatabase();
  store = createTaskRepository(database.system);
  await database.admin(
    "INSERT INTO bulkhead.tenants (id, slug, name, plan) VALUES ($1, 'acme', 'Acme', 'free')",
    [tenantId],
  );
});
afterAll(() => database.drop());

let faults: unknown[];
/** Runs that were begun, to be answered by the test. */
let begun: { readonly task: BegunTask; readonly run: TaskRun; readonly done: () => void }[];
let places: number;
let changed: string[];
beforeEach(() => {
  [faults, begun, places, changed] = [[], [], 1, []];
});

function runsWith(given: TaskStore): TaskRuns {
  return createTaskRuns({
    store: given,
    by,
    async enter() {
      if (places === 0) return refuse("rate_limited");
      places--;
      return {
        leave() {
          places++;
        },
        keepUntil() {},
      };
    },
    perform: (task, run) =>
      new Promise((done) => {
        begun.push({ task, run, done });
      }),
    onChanged: ({ taskId }) => changed.push(taskId),
    failure: '{"code":-32603}',
    onFault: (cause) => faults.push(cause),
  });
}

async function make(): Promise<TaskRow> {
  const name = { tenantId, taskId: ids.task(), principalKey: "ada" };
  const more = { caller: "{}", request: "{}", target: "job", rerun: false, ttlMs: 60_000 };
  const state = JSON.stringify(taskState(NOTHING_YET));
  await store.make({ ...name, ...more, state, by, pollIntervalMs: 100 }, { open: 99, kept: 99, bytes: 1e9 });
  const task = await store.find(name);
  if (task === null) throw new TypeError("It was not made.");
  return task;
}

const statusOf = async (task: TaskRow) => (await store.find(task))?.status;
const first = async () => {
  await expect.poll(() => begun.length).toBeGreaterThan(0);
  const [one] = begun;
  if (one === undefined) throw new TypeError("None has begun.");
  return one;
};

test("a run waits for its place, and what was cancelled meanwhile does not begin", async () => {
  const runs = runsWith(store);
  const [waits, next] = [await make(), await make()];
  places = 0;
  runs.start(waits);
  runs.start(next);
  await store.cancel(waits);
  places = 1;
  const { task, run, done } = await first();
  expect(task.taskId).toBe(next.taskId);
  run.answer('{"content":[]}', null);
  done();
  await runs.finished();
  expect(begun.length).toBe(1);
  expect(places).toBe(1);
  expect(changed).toEqual([next.taskId]);
  expect(await store.find(next)).toMatchObject({ status: "completed", outcome: '{"content":[]}' });
});

test("while a run waits its task is in the store alone, from which it is read when the run begins", async () => {
  const runs = runsWith(store);
  const waits = await make();
  places = 0;
  runs.start(waits);
  await database.admin("UPDATE bulkhead.tasks SET request = '[1]' WHERE id = $1", [waits.taskId]);
  places = 1;
  const { task, run, done } = await first();
  expect(task.request).toBe("[1]");
  expect(task.leftMs).toBeGreaterThan(50_000);
  run.answer("{}", null);
  done();
  await runs.finished();
});

test("a run that waits keeps nothing of the call that made it", async () => {
  const runs = runsWith(store);
  const waits = await make();
  places = 0;
  const call = new AsyncLocalStorage<object>();
  const begin = (): WeakRef<object> => {
    const context = { large: true };
    call.run(context, () => runs.start(waits));
    return new WeakRef(context);
  };
  const context = begin();
  await expect.poll(() => heldMemory() > 0 && context.deref() === undefined).toBe(true);
  await store.cancel(waits);
  places = 1;
  await runs.finished();
});

test("a run is stopped when its task was cancelled elsewhere, and not by any other change", async () => {
  const runs = runsWith(store);
  const task = await make();
  runs.start(task);
  const { run, done } = await first();
  const stopped = new Promise<void>((resolve) => run.onGone(resolve));
  runs.changed(task);
  await runs.sweep();
  expect(run.gone).toBe(false);
  await store.cancel(task);
  runs.changed(task);
  await stopped;
  run.answer('{"code":-31499}', refuse("cancelled"));
  done();
  await runs.finished();
  expect(await statusOf(task)).toBe("cancelled");
  expect(changed).toEqual([]);
});

test("a run that nobody told is looked for: at the second sweep it is stopped, and its task fails", async () => {
  const runs = runsWith(store);
  const task = await make();
  runs.start(task);
  const { run, done } = await first();
  const gone: string[] = [];
  run.onGone(() => gone.push("gone"));
  await runs.sweep();
  expect(gone).toEqual([]);
  // As if another run of the task had been begun here, and nothing of it had come about.
  await database.admin("UPDATE bulkhead.tasks SET run = run + 1 WHERE id = $1", [task.taskId]);
  await runs.sweep();
  expect(gone).toEqual(["gone"]);
  run.answer('{"content":[]}', null);
  done();
  await runs.finished();
  expect(await statusOf(task)).toBe("working");
  await runs.sweep();
  expect(await statusOf(task)).toBe("working");
  await runs.sweep();
  expect(await store.find(task)).toMatchObject({ status: "failed", outcome: '{"code":-32603}' });
});

test("a run that cannot be performed fails", async () => {
  const runs = runsWith({
    ...store,
    begin: () => Promise.reject(new TypeError("It broke.")),
  });
  const task = await make();
  runs.start(task);
  await runs.finished();
  expect(await statusOf(task)).toBe("failed");
  expect(faults).toEqual([new TypeError("It broke.")]);
  expect(places).toBe(1);
});

test("while the database does not answer, nothing is lost and nothing fails", async () => {
  const unavailable = <A extends unknown[], R>(method: (...args: A) => Promise<R>) => {
    let failed = false;
    return async (...args: A): Promise<R> => {
      if (failed) return method(...args);
      failed = true;
      throw new Fault("database_unavailable");
    };
  };
  const runs = runsWith({ ...store, begin: unavailable(store.begin), end: unavailable(store.end) });
  const task = await make();
  runs.start(task);
  await expect.poll(() => begun.length, { timeout: 5_000 }).toBe(1);
  const { run, done } = await first();
  run.answer('{"content":[]}', null);
  done();
  await runs.finished();
  expect(await statusOf(task)).toBe("completed");
  expect(faults.length).toBe(2);
});

test("a step is done when it is in the row, for all who wait for it, and tried again where it is not", async () => {
  let answers: (() => void)[] = [];
  const failing: TaskStore["save"] = async (...args) => {
    await new Promise<void>((resolve, reject) => {
      answers = [() => reject(new Fault("database_unavailable")), resolve];
    });
    return store.save(...args);
  };
  const runs = runsWith({ ...store, save: failing });
  const task = await make();
  runs.start(task);
  const { run, done } = await first();
  const conversation = run.open({ suspend: () => {}, waiting: (answer) => answer });
  let times = 0;
  const step = () => conversation.step("pay", () => ++times);
  const steps = async () => JSON.parse(`${(await store.find(task))?.state}`).replay.steps;

  const outcomes: string[] = [];
  const both = [1, 2].map((n) => step().then(() => outcomes.push(`${n} done`)));
  await expect.poll(() => answers.length).toBe(2);
  expect(outcomes).toEqual([]);
  answers[0]?.();
  for (const each of both) await expect(each).rejects.toMatchObject({ code: "database_unavailable" });
  expect(await steps()).toEqual({});

  answers = [];
  const again = step();
  await expect.poll(() => answers.length).toBe(2);
  answers[1]?.();
  expect(await again).toBe(1);
  expect(await steps()).toEqual({ pay: "1" });
  run.answer("{}", null);
  done();
  await runs.finished();
});

test("one that drains begins nothing, and leaves to others what was interrupted", async () => {
  const runs = runsWith(store);
  const [runsNow, waits] = [await make(), await make()];
  runs.start(runsNow);
  const { run, done } = await first();
  runs.start(waits);
  runs.drain();
  runs.start(await make());
  run.answer('{"code":-31503}', refuse("stopping"));
  done();
  await runs.finished();
  expect(begun.length).toBe(1);
  expect([await statusOf(runsNow), await statusOf(waits)]).toEqual(["working", "working"]);
  expect(changed).toEqual([]);
  // Its own sweeps do not take them for lost.
  for (let n = 0; n < 3; n++) await runs.sweep();
  expect(await statusOf(waits)).toBe("working");
});
