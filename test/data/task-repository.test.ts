import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { createIdSource, type InstanceId, type TaskId, type TenantId } from "../../src/core/ids.ts";
import { createTaskRepository } from "../../src/data/task-repository.ts";
import type { TaskStore } from "../../src/protocol/tasks/task-store.ts";
import type { TaskBounds } from "../../src/tenancy/task-bounds.ts";
import type { NewTask } from "../../src/tenancy/task-record.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

const ids = createIdSource(systemClock.now);
const [here, there, gone] = [ids.instance(), ids.instance(), ids.instance()];
const [acme, globex] = [ids.tenant(), ids.tenant()];
/** So each has a share of 200 bytes. */
const MOST = { open: 3, kept: 5, bytes: 1_000 };
const takeOver = { deadAfterMs: 60_000, mostLost: 3, failure: '{"lost":true}', atOnce: 10 };

let database: TestDatabase;
let tasks: TaskStore;
const tasksWith = (most: Partial<TaskBounds>) => createTaskRepository(database.system, { ...MOST, ...most });
beforeAll(async () => {
  database = await createTestDatabase();
  tasks = tasksWith({});
  for (const [id, slug] of [
    [acme, "acme"],
    [globex, "globex"],
  ])
    await database.admin("INSERT INTO bulkhead.tenants (id, slug, name, plan) VALUES ($1, $2, $2, 'free')", [
      id,
      slug,
    ]);
  for (const id of [here, there, gone])
    await database.admin(
      "INSERT INTO bulkhead.instances (id, mode, version) VALUES ($1, 'development', '1')",
      [id],
    );
});
beforeEach(async () => {
  await database.admin("DELETE FROM bulkhead.tasks");
  await database.admin("UPDATE bulkhead.instances SET stopped_at = NULL, seen_at = now()");
});
afterAll(() => database.drop());

const rowOf = (change: Partial<NewTask> = {}): NewTask => ({
  tenantId: acme,
  taskId: ids.task(),
  principalKey: "ada",
  caller: "{}",
  request: '{"text":"\\u0000\\ud800"}',
  target: "build",
  state: "{}",
  by: here,
  rerun: false,
  ttlMs: 3_600_000,
  pollIntervalMs: 1_000,
  ...change,
});

async function made(change: Partial<NewTask> = {}) {
  const task = rowOf(change);
  expect(await tasks.make(task)).toBe("made");
  const run = { tenantId: task.tenantId, taskId: task.taskId, by: task.by, run: 1 };
  return { ...task, run };
}

/** A state, a request or an outcome of so many bytes. */
const large = (bytes: number) => "x".repeat(bytes);

/** Statements that wait for what another one has. */
const waiting = () =>
  database.admin(
    `SELECT 1 FROM pg_stat_activity a
      WHERE a.datname = current_database() AND cardinality(pg_blocking_pids(a.pid)) > 0`,
  );

const stop = (id: InstanceId) =>
  database.admin("UPDATE bulkhead.instances SET stopped_at = now() WHERE id = $1", [id]);
const find = (tenantId: TenantId, taskId: TaskId, principalKey = "ada") =>
  tasks.find({ tenantId, taskId, principalKey });

describe("a task", () => {
  test("is found by its tenant and its principal, and is as it was made", async () => {
    const { taskId, request, run } = await made();
    expect(await find(acme, taskId)).toMatchObject({
      ...{ taskId, status: "working", statusMessage: null, outcome: null, run: 1, ttlMs: 3_600_000 },
    });
    // What may be large is for its runs alone, and not for every question of its client's.
    expect(await find(acme, taskId)).not.toHaveProperty("request");
    expect(await tasks.begin(run)).toMatchObject({ taskId, request, caller: "{}" });
    expect(await find(acme, taskId, "bob")).toBeNull();
    expect(await find(globex, taskId)).toBeNull();
    expect(await tasks.cancel({ tenantId: acme, taskId, principalKey: "bob" })).toBeNull();
    expect(await tasks.cancel({ tenantId: globex, taskId, principalKey: "ada" })).toBeNull();
    const both = [taskId, ids.task()];
    expect(await tasks.owned(both, { tenantId: acme, principalKey: "ada" })).toEqual([taskId]);
    expect(await tasks.owned(both, { tenantId: acme, principalKey: "bob" })).toEqual([]);
    expect(await tasks.owned(both, { tenantId: globex, principalKey: "ada" })).toEqual([]);
    const decide = () => ({ state: "{}", resumes: true });
    expect(await tasks.answer({ tenantId: acme, taskId, principalKey: "bob" }, here, decide)).toBeNull();
    expect((await find(acme, taskId))?.status).toBe("working");
  });

  test("past its time is not there", async () => {
    const { run, ...task } = await made({ rerun: true });
    await database.admin("UPDATE bulkhead.tasks SET expires_at = now()");
    expect(await find(acme, task.taskId)).toBeNull();
    expect(await tasks.owned([task.taskId], task)).toEqual([]);
    expect(await tasks.cancel(task)).toBeNull();
    expect(await tasks.complete(run, "{}")).toBe("void");
    expect(await tasks.counts(run)).toBe(false);
    expect(await tasks.runsOf(here)).toEqual([]);
    await stop(here);
    expect(await tasks.takeOver({ by: there, ...takeOver })).toEqual([]);
  });

  test("is kept for a while after its end, however long it took, and no longer than was said", async () => {
    const [long, short] = [await made(), await made({ ttlMs: 2_000 })];
    await database.admin("UPDATE bulkhead.tasks SET expires_at = now() + interval '1 second'");
    await tasks.complete(long.run, "{}");
    await tasks.cancel(short);
    const left = async (taskId: TaskId) => {
      const [row] = await database.admin<{ seconds: number }>(
        "SELECT extract(epoch FROM expires_at - now())::float8 AS seconds FROM bulkhead.tasks WHERE id = $1",
        [taskId],
      );
      return row?.seconds;
    };
    expect(await left(long.taskId)).toBeGreaterThan(590);
    expect(await left(short.taskId)).toBeGreaterThan(1.5);
    expect(await left(short.taskId)).toBeLessThanOrEqual(2);
  });
});

describe("a tenant", () => {
  test("has so many open tasks, and so many in all", async () => {
    const open = [await made(), await made(), await made()];
    expect(await tasks.make(rowOf())).toBe("open");
    expect(await tasks.make(rowOf({ tenantId: globex }))).toBe("made");
    for (const { run } of open) await tasks.complete(run, "{}");
    await made();
    await made();
    expect(await tasks.make(rowOf())).toBe("kept");
  });

  test("has so many bytes, at every write: of a large one as many as the shares of the others leave", async () => {
    const [one, two] = [await made(), await made()];
    expect(await tasks.make(rowOf({ request: large(500) }))).toBe("made");
    // Of 1,000 bytes 200 are the other one's, and a little more than 500 the third's.
    expect(await tasks.save(one.run, large(250))).toBe("written");
    expect(await tasks.save(one.run, large(300))).toBe("full");
    expect(await tasks.ask(one.run, large(300))).toBe("full");
    expect(await tasks.complete(one.run, large(300))).toBe("full");
    expect(await find(acme, one.taskId)).toMatchObject({
      status: "working",
      state: large(250),
      outcome: null,
    });
    expect(await tasks.ask(one.run, large(251))).toBe("written");
    const answer = (state: string) => tasks.answer(one, there, () => ({ state, resumes: true }));
    expect(await answer(large(300))).toBe("full");
    expect(await find(acme, one.taskId)).toMatchObject({
      status: "input_required",
      state: large(251),
      run: 1,
    });
    // The share of each is there, whatever the others hold.
    expect(await tasks.complete(two.run, large(200))).toBe("written");
    expect(await tasks.make(rowOf())).toBe("bytes");
    expect(await answer(large(252))).toMatchObject({ status: "working", run: 2 });
  });

  test("has the room again of what has ended, of which the outcome alone is kept", async () => {
    const [one, two, three] = [await made(), await made(), await made({ request: large(550) })];
    expect(await tasks.save(one.run, large(400))).toBe("full");
    await tasks.cancel(three);
    expect(await tasks.save(one.run, large(400))).toBe("written");
    expect(await tasks.save(two.run, large(400))).toBe("full");
    expect(await tasks.fail(one.run, "{}")).toBe(true);
    expect(await tasks.save(two.run, large(400))).toBe("written");
    await tasks.complete(two.run, "{}");
    const lost = await made({ by: gone, request: large(350) });
    await tasks.begin(lost.run);
    await stop(gone);
    await tasks.takeOver({ by: here, ...takeOver });
    const rows = await database.admin(
      "SELECT caller || request || state AS rest, outcome FROM bulkhead.tasks ORDER BY updated_at",
    );
    expect(rows).toEqual([null, "{}", "{}", '{"lost":true}'].map((outcome) => ({ rest: "", outcome })));
  });

  test("does not come by more bytes with two writes at once", async () => {
    const [one, two] = [await made(), await made()];
    const second = await database.system.transaction("keep tasks", async (db) => {
      const [room] = (
        await db.query("SELECT bulkhead.task_has_room($1, $2, 700, 200, 1000) AS room", [acme, one.taskId])
      ).rows;
      expect(room).toEqual({ room: true });
      const saved = tasks.save(two.run, large(500));
      await expect.poll(async () => (await waiting()).length).toBe(1);
      await db.query("UPDATE bulkhead.tasks SET state = $2 WHERE id = $1", [one.taskId, large(700)]);
      return { saved };
    });
    expect(await second.saved).toBe("full");
  });

  test("need not wait for its other tasks to write what is within a share", async () => {
    const [one, two] = [await made(), await made()];
    await database.system.transaction("keep tasks", async (db) => {
      await db.query("SELECT bulkhead.task_has_room($1, $2, 700, 200, 1000)", [acme, one.taskId]);
      expect(await tasks.save(two.run, large(100))).toBe("written");
    });
  });

  test("does not come by another one with two at once", async () => {
    const second = await database.system.transaction("keep tasks", async (db) => {
      // Where the counting of tasks stands while another one is being made.
      await db.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 7305808869231650004))", [acme]);
      const made = tasksWith({ open: 1 }).make(rowOf());
      await expect.poll(async () => (await waiting()).length).toBe(1);
      await db.query(
        `INSERT INTO bulkhead.tasks (tenant_id, id, principal, caller, request, target, state, run_by, rerun, ttl_ms,
                                     poll_interval_ms, expires_at)
         VALUES ($1, $2, 'ada', '{}', '{}', 'build', '{}', $3, false, 1000, 1000, now() + interval '1 hour')`,
        [acme, ids.task(), here],
      );
      return { made };
    });
    expect(await second.made).toBe("open");
  });

  test("that is gone has none", async () => {
    expect(await tasks.make(rowOf({ tenantId: ids.tenant() }))).toBe("no_tenant");
  });
});

describe("a run", () => {
  test("says nothing any more when the task was cancelled", async () => {
    const { run, ...task } = await made();
    expect((await tasks.begin(run))?.leftMs).toBeGreaterThan(3_590_000);
    expect(await tasks.note(run, "half\0way")).toBe(true);
    expect((await find(acme, task.taskId))?.statusMessage).toBe("half\uFFFDway");
    expect(await tasks.cancel(task)).toBe("cancelled");
    expect(await tasks.cancel(task)).toBe("ended");
    for (const late of [tasks.note(run, "late"), tasks.fail(run, "{}"), tasks.counts(run)])
      expect(await late).toBe(false);
    for (const late of [tasks.save(run, "{}"), tasks.ask(run, "{}"), tasks.complete(run, "{}")])
      expect(await late).toBe("void");
    expect(await tasks.begin(run)).toBeNull();
    expect(await find(acme, task.taskId)).toMatchObject({
      status: "cancelled",
      statusMessage: null,
      outcome: null,
    });
  });

  test("of another instance, or one before, does not count", async () => {
    const { run, taskId } = await made();
    expect(await tasks.complete({ ...run, by: there }, "{}")).toBe("void");
    expect(await tasks.fail({ ...run, run: 2 }, "{}")).toBe(false);
    expect(await tasks.complete({ ...run, tenantId: globex }, "{}")).toBe("void");
    expect((await find(acme, taskId))?.status).toBe("working");
  });

  test("begins where the answers came in, and only where they were asked for", async () => {
    const { run, ...task } = await made();
    const resume = (state: string) => () => ({ state, resumes: true });
    expect(await tasks.answer(task, there, resume("early"))).toBe("kept");
    await tasks.ask(run, "asked");
    expect(await tasks.answer(task, there, (state) => ({ state: `${state} once`, resumes: false }))).toBe(
      "kept",
    );
    const both = await Promise.all([
      tasks.answer(task, there, resume("on")),
      tasks.answer(task, here, resume("on")),
    ]);
    expect(both.filter((each) => each === "kept").length).toBe(1);
    const [resumed] = both.filter((each) => each !== "kept");
    expect(resumed).toMatchObject({ status: "working", state: "on", run: 2 });
    expect(await tasks.counts(run)).toBe(false);
  });

  test("goes on with all of its answers, also where another one comes while one is looked at", async () => {
    const { run, ...task } = await made();
    await tasks.ask(run, "asked");
    const second = await database.system.transaction("keep tasks", async (db) => {
      await db.query("UPDATE bulkhead.tasks SET state = 'asked, one' WHERE id = $1", [task.taskId]);
      const answered = tasks.answer(task, here, (state) => ({ state: `${state}, two`, resumes: true }));
      await expect.poll(async () => (await waiting()).length).toBe(1);
      return { answered };
    });
    expect(await second.answered).toMatchObject({ status: "working", state: "asked, one, two", run: 2 });
  });
});

describe("of an instance that is gone", () => {
  test("a task is taken over by one other, and run again where it may be", async () => {
    const again = await made({ rerun: true, by: gone });
    const once = await made({ by: gone });
    const waits = await made({ by: gone, tenantId: globex });
    for (const { run } of [again, once]) await tasks.begin(run);
    expect(await tasks.takeOver({ by: here, ...takeOver })).toEqual([]);
    await stop(gone);
    const taken = await Promise.all([here, there].map((by) => tasks.takeOver({ by, ...takeOver })));
    const rows = taken.flat();
    expect(rows.map(({ taskId }) => taskId).sort()).toEqual([again, once, waits].map((t) => t.taskId).sort());
    expect(await find(acme, once.taskId)).toMatchObject({ status: "failed", outcome: '{"lost":true}' });
    expect(await find(acme, again.taskId)).toMatchObject({ status: "working", run: 2 });
    // It had not begun.
    expect(await find(globex, waits.taskId)).toMatchObject({ status: "working", run: 2 });
    expect(await tasks.complete(again.run, "{}")).toBe("void");
    expect([...(await tasks.runsOf(here)), ...(await tasks.runsOf(there))].length).toBe(2);
  });

  test("a task is passed by that another one is just taking over", async () => {
    const { taskId } = await made({ rerun: true, by: gone });
    await stop(gone);
    await database.system.transaction("keep tasks", async (db) => {
      await db.query("UPDATE bulkhead.tasks SET run_by = $1 WHERE id = $2", [there, taskId]);
      expect(await tasks.takeOver({ by: here, ...takeOver })).toEqual([]);
    });
    expect((await tasks.runsOf(there)).length).toBe(1);
  });

  test("also of one that was not heard of, and not of one that was", async () => {
    const silent = await made({ rerun: true, by: gone });
    const heard = await made({ rerun: true, by: there });
    await database.admin(
      "UPDATE bulkhead.instances SET seen_at = now() - interval '2 minutes' WHERE id = $1",
      [gone],
    );
    const rows = await tasks.takeOver({ by: here, ...takeOver });
    expect(rows.map(({ taskId }) => taskId)).toEqual([silent.taskId]);
    expect(await tasks.counts(heard.run)).toBe(true);
    // Its own are not taken from it by itself, whatever the others think of it.
    await stop(there);
    expect(await tasks.takeOver({ by: there, ...takeOver })).toEqual([]);
  });

  test("a task that was lost with three instances is not run a fourth time", async () => {
    const { taskId } = await made({ rerun: true });
    await stop(gone);
    for (let run = 1; run <= 4; run++) {
      await database.admin("UPDATE bulkhead.tasks SET run_by = $1", [gone]);
      await tasks.begin({ tenantId: acme, taskId, by: gone, run });
      await tasks.takeOver({ by: here, ...takeOver });
      expect((await find(acme, taskId))?.status).toBe(run < 4 ? "working" : "failed");
    }
  });

  test("tasks that wait for their clients stay as they are", async () => {
    const { run, taskId } = await made({ by: gone });
    await tasks.ask(run, "asked");
    await stop(gone);
    expect(await tasks.takeOver({ by: here, ...takeOver })).toEqual([]);
    expect((await find(acme, taskId))?.status).toBe("input_required");
  });
});
