import type { InstanceId, TaskId, TenantId } from "../core/ids.ts";
import type { SystemDoor } from "./system-door.ts";

interface TaskName {
  readonly tenantId: TenantId;
  readonly taskId: TaskId;
}

interface OwnedTaskName extends TaskName {
  readonly principalKey: string;
}

interface TaskRunName extends TaskName {
  readonly by: InstanceId;
  readonly run: number;
}

interface NewTask extends OwnedTaskName {
  readonly caller: string;
  readonly request: string;
  readonly target: string;
  readonly state: string;
  readonly by: InstanceId;
  readonly rerun: boolean;
  readonly ttlMs: number;
  readonly pollIntervalMs: number;
}

interface KeptTask extends OwnedTaskName {
  readonly target: string;
  readonly status: "working" | "input_required" | "completed" | "failed" | "cancelled";
  readonly statusMessage: string | null;
  readonly state: string;
  readonly outcome: string | null;
  readonly run: number;
  readonly pollIntervalMs: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly ttlMs: number;
}

interface BegunTask extends KeptTask {
  readonly caller: string;
  readonly request: string;
  readonly leftMs: number;
}

/**
 * Tasks in PostgreSQL. Every look-up names tenant and principal, and every write of a run names the run: what a run says
 * that was ended, or replaced by another instance's, changes nothing. One past its time is not found; housekeeping
 * removes it.
 */
export interface TaskRepository {
  make(
    task: NewTask,
    most: { readonly open: number; readonly kept: number; readonly bytes: number },
  ): Promise<"made" | "open" | "kept" | "bytes" | "no_tenant">;
  find(name: OwnedTaskName): Promise<KeptTask | null>;
  owned(ids: readonly TaskId[], of: Omit<OwnedTaskName, "taskId">): Promise<readonly TaskId[]>;
  answer(
    name: OwnedTaskName,
    by: InstanceId,
    decide: (state: string) => { readonly state: string; readonly resumes: boolean },
  ): Promise<KeptTask | "kept" | null>;
  cancel(name: OwnedTaskName): Promise<"cancelled" | "ended" | null>;
  counts(run: TaskRunName): Promise<boolean>;
  begin(run: TaskRunName): Promise<BegunTask | null>;
  note(run: TaskRunName, message: string): Promise<boolean>;
  save(run: TaskRunName, state: string): Promise<boolean>;
  ask(run: TaskRunName, state: string): Promise<boolean>;
  end(run: TaskRunName, status: "completed" | "failed", outcome: string): Promise<boolean>;
  runsOf(by: InstanceId): Promise<readonly TaskRunName[]>;
  takeOver(of: {
    readonly by: InstanceId;
    readonly deadAfterMs: number;
    readonly mostLost: number;
    readonly failure: string;
    readonly atOnce: number;
  }): Promise<readonly KeptTask[]>;
}

const COLUMNS = `t.tenant_id AS "tenantId", t.id AS "taskId", t.principal AS "principalKey", t.target,
  t.status, t.status_message AS "statusMessage", t.state, t.outcome, t.run, t.poll_interval_ms AS "pollIntervalMs",
  floor(extract(epoch FROM t.created_at) * 1000)::float8 AS "createdAt",
  floor(extract(epoch FROM t.updated_at) * 1000)::float8 AS "updatedAt",
  round(extract(epoch FROM t.expires_at - t.created_at) * 1000)::float8 AS "ttlMs"`;

const OWN = "t.tenant_id = $1 AND t.id = $2 AND t.principal = $3 AND t.expires_at > now()";
const COUNTS =
  "t.tenant_id = $1 AND t.id = $2 AND t.run_by = $3 AND t.run = $4 AND t.status = 'working' AND t.expires_at > now()";

/** What has ended is there for a while, so that its caller can fetch it also where it took all of its time. */
const KEPT_AFTER_END =
  "greatest(t.expires_at, now() + make_interval(secs => least(t.ttl_ms, 600000) / 1000.0))";

export function createTaskRepository(system: SystemDoor): TaskRepository {
  /** A change that one run makes, while it counts. */
  const write = (
    { tenantId, taskId, by, run }: TaskRunName,
    change: string,
    values: readonly unknown[] = [],
  ): Promise<boolean> =>
    system.run("keep tasks", async (db) => {
      const text = `UPDATE bulkhead.tasks t SET ${change} WHERE ${COUNTS}`;
      return (await db.query(text, [tenantId, taskId, by, run, ...values])).rowCount === 1;
    });

  return {
    make: (task, most) =>
      system.run("keep tasks", async (db) => {
        const { rows } = await db.query<{ made: Awaited<ReturnType<TaskRepository["make"]>> }>(
          "SELECT bulkhead.make_task($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) AS made",
          [
            ...[task.tenantId, task.taskId, task.principalKey, task.caller, task.request, task.target],
            ...[task.state, task.by, task.rerun, task.ttlMs, task.pollIntervalMs],
            ...[most.open, most.kept, most.bytes],
          ],
        );
        return rows[0]?.made ?? "no_tenant";
      }),

    find: ({ tenantId, taskId, principalKey }) =>
      system.run("keep tasks", async (db) => {
        const text = `SELECT ${COLUMNS} FROM bulkhead.tasks t WHERE ${OWN}`;
        const { rows } = await db.query<KeptTask>(text, [tenantId, taskId, principalKey]);
        return rows[0] ?? null;
      }),

    owned: (ids, { tenantId, principalKey }) =>
      system.run("keep tasks", async (db) => {
        const { rows } = await db.query<{ id: TaskId }>(
          `SELECT t.id FROM bulkhead.tasks t
            WHERE t.tenant_id = $1 AND t.id = ANY ($2) AND t.expires_at > now() AND t.principal = $3`,
          [tenantId, ids, principalKey],
        );
        return rows.map(({ id }) => id);
      }),

    answer: ({ tenantId, taskId, principalKey }, by, decide) =>
      system.transaction("keep tasks", async (db) => {
        const own = [tenantId, taskId, principalKey];
        const { rows } = await db.query<Pick<KeptTask, "status" | "state">>(
          `SELECT t.status, t.state FROM bulkhead.tasks t WHERE ${OWN} FOR UPDATE`,
          own,
        );
        const task = rows[0];
        if (task === undefined) return null;
        if (task.status !== "input_required") return "kept";
        const { state, resumes } = decide(task.state);
        if (!resumes) {
          await db.query(`UPDATE bulkhead.tasks t SET state = $4, updated_at = now() WHERE ${OWN}`, [
            ...own,
            state,
          ]);
          return "kept";
        }
        const resumed = await db.query<KeptTask>(
          `UPDATE bulkhead.tasks t SET state = $4, status = 'working', run_by = $5, run = t.run + 1, begun = false,
             status_message = NULL, updated_at = now() WHERE ${OWN} RETURNING ${COLUMNS}`,
          [...own, state, by],
        );
        return resumed.rows[0] ?? null;
      }),

    cancel: ({ tenantId, taskId, principalKey }) =>
      system.run("keep tasks", async (db) => {
        const own = [tenantId, taskId, principalKey];
        const ended = await db.query(
          `UPDATE bulkhead.tasks t SET status = 'cancelled', status_message = NULL, run_by = NULL, updated_at = now(), expires_at = ${KEPT_AFTER_END}
            WHERE ${OWN} AND t.status IN ('working', 'input_required')`,
          own,
        );
        if (ended.rowCount === 1) return "cancelled";
        const { rowCount } = await db.query(`SELECT 1 FROM bulkhead.tasks t WHERE ${OWN}`, own);
        return rowCount === 1 ? "ended" : null;
      }),

    counts: ({ tenantId, taskId, by, run }) =>
      system.run("keep tasks", async (db) => {
        const text = `SELECT 1 FROM bulkhead.tasks t WHERE ${COUNTS}`;
        return (await db.query(text, [tenantId, taskId, by, run])).rowCount === 1;
      }),

    begin: ({ tenantId, taskId, by, run }) =>
      system.run("keep tasks", async (db) => {
        const { rows } = await db.query<BegunTask>(
          `UPDATE bulkhead.tasks t SET begun = true WHERE ${COUNTS}
           RETURNING ${COLUMNS}, t.caller, t.request, (extract(epoch FROM t.expires_at - now()) * 1000)::float8 AS "leftMs"`,
          [tenantId, taskId, by, run],
        );
        return rows[0] ?? null;
      }),
    note: (run, message) => write(run, "status_message = $5, updated_at = now()", [storable(message)]),
    save: (run, state) => write(run, "state = $5", [state]),
    ask: (run, state) =>
      write(run, "state = $5, status = 'input_required', run_by = NULL, updated_at = now()", [state]),
    end: (run, status, outcome) =>
      write(
        run,
        `status = $5, outcome = $6, status_message = NULL, run_by = NULL, updated_at = now(), expires_at = ${KEPT_AFTER_END}`,
        [status, outcome],
      ),

    runsOf: (by) =>
      system.run("keep tasks", async (db) => {
        const { rows } = await db.query<TaskRunName>(
          `SELECT t.tenant_id AS "tenantId", t.id AS "taskId", t.run_by AS "by", t.run FROM bulkhead.tasks t
            WHERE t.run_by = $1 AND t.expires_at > now()`,
          [by],
        );
        return rows;
      }),

    takeOver: ({ by, deadAfterMs, mostLost, failure, atOnce }) =>
      system.run("keep tasks", async (db) => {
        // What had not begun is not lost: it only waited. Rows that another instance is taking over are passed by.
        const { rows } = await db.query<KeptTask>(
          `WITH orphans AS MATERIALIZED (
             SELECT o.tenant_id, o.id, (o.rerun OR NOT o.begun) AND o.lost < $3 AS again
               FROM bulkhead.tasks o
              WHERE o.run_by IS NOT NULL AND o.run_by <> $1 AND o.expires_at > now()
                AND NOT EXISTS (SELECT 1 FROM bulkhead.instances i
                                 WHERE i.id = o.run_by AND i.stopped_at IS NULL
                                   AND i.seen_at >= now() - make_interval(secs => $2))
              LIMIT $5 FOR UPDATE SKIP LOCKED)
           UPDATE bulkhead.tasks t
              SET status = CASE WHEN o.again THEN 'working' ELSE 'failed' END,
                  outcome = CASE WHEN o.again THEN NULL ELSE $4 END,
                  run_by = CASE WHEN o.again THEN $1 END,
                  expires_at = CASE WHEN o.again THEN t.expires_at ELSE ${KEPT_AFTER_END} END,
                  lost = t.lost + t.begun::integer, run = t.run + 1, begun = false, status_message = NULL, updated_at = now()
             FROM orphans o WHERE t.tenant_id = o.tenant_id AND t.id = o.id
           RETURNING ${COLUMNS}`,
          [by, deadAfterMs / 1000, mostLost, failure, atOnce],
        );
        return rows;
      }),
  };
}

/** PostgreSQL's text takes no NUL. */
function storable(message: string): string {
  return message.toWellFormed().replaceAll("\0", "\uFFFD");
}
