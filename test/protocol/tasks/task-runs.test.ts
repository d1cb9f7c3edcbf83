import { AsyncLocalStorage } from "node:async_hooks";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import { Fault } from "../../../src/core/fault.ts";
import { createIdSource } from "../../../src/core/ids.ts";
import { refuse } from "../../../src/core/refusal.ts";
import { createTaskRepository } from "../../../src/data/task-repository.ts";
import { NOTHING_YET } from "../../../src/protocol/replay.ts";
import type { TaskRun } from "../../../src/protocol/tasks/task-run.ts";
import { createTaskRuns, type TaskRuns } from "../../../src/protocol/tasks/task-runs.ts";
import { taskState } from "../../../src/protocol/tasks/task-state.ts";
import type { TaskStore } from "../../../src/protocol/tasks/task-store.ts";
import type { BegunTask, TaskRow } from "../../../src/tenancy/task-record.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { heldMemory } from "../../support/held-memory.ts";

const ids = createIdSource(systemClock.now);
const [by, tenantId] = [ids.instance(), ids.tenant()];
let database: TestDatabase;
let store: TaskStore;
const BOUNDS = { open: 99, kept: 99, bytes: 1e9 };
beforeAll(async () => {
  database = await createTestDatabase();
  store = createTaskRepository(database.system, BOUNDS);
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
    lost: '{"lost":true}',
    onFault: (cause) => faults.push(cause),
  });
}

async function make(on = by): Promise<TaskRow> {
  const name = { tenantId, taskId: ids.task(), principalKey: "ada" };
  const more = { caller: "{}", request: "{}", target: "job", rerun: false, ttlMs: 60_000 };
  const state = JSON.stringify(taskState(NOTHING_YET));
  await store.make({ ...name, ...more, state, by: on, pollIntervalMs: 100 });
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
  expect(await store.find(task)).toMatchObject({ status: "failed", outcome: '{"lost":true}' });
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

/** Whose first call finds no database. */
function unavailable<A extends unknown[], R>(method: (...args: A) => Promise<R>) {
  let failed = false;
  return async (...args: A): Promise<R> => {
    if (failed) return method(...args);
    failed = true;
    throw new Fault("database_unavailable");
  };
}

/** The conversation of a run's handler. */
const conversationOf = (run: TaskRun) => run.open({ suspend: () => {}, waiting: (answer) => answer });

test("while the database does not answer, nothing is lost and nothing fails", async () => {
  const runs = runsWith({ ...store, begin: unavailable(store.begin), complete: unavailable(store.complete) });
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
      answers = [() => reject(new TypeError("It broke.")), resolve];
    });
    return store.save(...args);
  };
  const runs = runsWith({ ...store, save: failing });
  const task = await make();
  runs.start(task);
  const { run, done } = await first();
  const conversation = conversationOf(run);
  let times = 0;
  const step = () => conversation.step("pay", () => ++times);
  const steps = async () => JSON.parse(`${(await store.find(task))?.state}`).replay.steps;

  const outcomes: string[] = [];
  const both = [1, 2].map((n) => step().then(() => outcomes.push(`${n} done`)));
  await expect.poll(() => answers.length).toBe(2);
  expect(outcomes).toEqual([]);
  answers[0]?.();
  for (const each of both) await expect(each).rejects.toThrow("It broke.");
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

test("a step waits while the database does not answer, as long as its run goes on", async () => {
  const runs = runsWith({ ...store, save: unavailable(store.save) });
  const [task, over] = [await make(), await make()];
  runs.start(task);
  const { run, done } = await first();
  let times = 0;
  expect(await conversationOf(run).step("pay", () => ++times)).toBe(1);
  expect(JSON.parse(`${(await store.find(task))?.state}`).replay.steps).toEqual({ pay: "1" });
  expect(faults).toEqual([new Fault("database_unavailable")]);
  run.answer("{}", null);
  done();
  await runs.finished();

  let tried = 0;
  const away = async () => {
    tried++;
    throw new Fault("database_unavailable");
  };
  begun = [];
  const others = runsWith({ ...store, save: away });
  others.start(over);
  const second = await first();
  const paid = conversationOf(second.run).step("pay", () => ++times);
  await expect.poll(() => tried).toBe(1);
  second.run.stop();
  await expect(paid).rejects.toMatchObject({ code: "database_unavailable" });
  expect(tried).toBe(2);
  await store.cancel(over);
  second.done();
  await others.finished();
});

describe("what a task holds is bounded:", () => {
  /** A run that has begun, of a task that may hold 300 bytes and no more, unless others leave it the room. */
  const begin = async (most = { open: 99, kept: 1, bytes: 300 }) => {
    const { save, ask, complete } = createTaskRepository(database.system, most);
    const runs = runsWith({ ...store, save, ask, complete });
    runs.start(await make());
    return { runs, ...(await first()) };
  };

  test("a step that its tenant's tasks may not hold fails, and so does a result", async () => {
    const { task, runs, run, done } = await begin();
    const conversation = conversationOf(run);
    await conversation.step("small", () => 1);
    await expect(conversation.step("large", () => "x".repeat(300))).rejects.toMatchObject({
      code: "handler_failed",
      message: expect.stringContaining("hold as much as they may"),
    });
    run.answer(JSON.stringify({ content: "x".repeat(300) }), null);
    done();
    await runs.finished();
    const failed = await store.find(task);
    expect(failed?.status).toBe("failed");
    expect(JSON.parse(`${failed?.outcome}`)).toMatchObject({
      code: -32603,
      data: { code: "handler_failed", limit: "taskBytes" },
    });
    expect(changed).toEqual([task.taskId]);
  });

  test("steps have so many bytes together, and those that do not fit fail alone", async () => {
    const { task, runs, run, done } = await begin(BOUNDS);
    const conversation = conversationOf(run);
    const step = (n: number, bytes: number) => conversation.step(`${n}`, () => "x".repeat(bytes));
    for (let n = 0; n < 4; n++) await step(n, 60_000);
    await expect(step(4, 60_000)).rejects.toThrow("262144 bytes together");
    await step(5, 100);
    const { steps } = JSON.parse(`${(await store.find(task))?.state}`).replay;
    expect(Object.keys(steps)).toEqual(["0", "1", "2", "3", "5"]);
    run.answer("{}", null);
    done();
    await runs.finished();
  });

  test("questions that are more than that are not asked", async () => {
    const { task, runs, run, done } = await begin(BOUNDS);
    const params = { message: "x".repeat(1_048_576) };
    const answer = conversationOf(run).ask("q", { method: "elicitation/create", params }, () => true);
    await expect(answer).rejects.toThrow("1048576 bytes together");
    run.answer('{"code":-32603}', refuse("handler_failed"));
    done();
    await runs.finished();
    expect(await statusOf(task)).toBe("failed");
  });
});

test("of instances that are gone it takes over what has not begun, unless it drains", async () => {
  const gone = ids.instance();
  const of = { deadAfterMs: 60_000, mostLost: 3, atOnce: 10 };
  const [task, late] = [await make(gone), await make(gone)];
  const runs = runsWith(store);
  await runs.takeOver({ ...of, atOnce: 1 });
  const { run, done, task: begunTask } = await first();
  const left = begunTask.taskId === task.taskId ? late : task;
  expect(changed).toEqual([begunTask.taskId]);
  runs.drain();
  await runs.takeOver(of);
  expect((await store.runsOf(gone)).map(({ taskId }) => taskId)).toEqual([left.taskId]);
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
