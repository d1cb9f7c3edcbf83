import type { InstanceId, TaskId } from "../core/ids.ts";
import type { TaskBounds } from "../tenancy/task-bounds.ts";
import type {
  BegunTask,
  NewTask,
  OwnedTaskName,
  TaskDecision,
  TaskMade,
  TaskRow,
  TaskRunName,
  TaskTakeOver,
  TaskWrite,
} from "../tenancy/task-record.ts";
import type { SystemDoor } from "./system-door.ts";

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

/** Of what has ended the outcome is kept, and nothing that runs need. */
const ENDED = `caller = '', request = '', state = '', status_message = NULL, run_by = NULL, updated_at = now(),
  expires_at = ${KEPT_AFTER_END}`;

/** Bytes that a task holds with $5 as its state. */
const WITH_STATE = "t.bytes - octet_length(t.state) + octet_length($5::text)";

/**
 * Whether the tenant's tasks may hold as much of this one. Its share it always may: then nobody is counted, and nothing
 * waited for. $6 is the share, $7 the most that all may hold.
 */
const fits = (bytes: string): string =>
  `CASE WHEN ${bytes} <= $6::bigint THEN true
        ELSE bulkhead.task_has_room(t.tenant_id, t.id, ${bytes}, $6::bigint, $7::bigint) END`;

/**
 * Tasks in PostgreSQL. Every look-up names tenant and principal, and every write of a run names the run: what a run says
 * that was ended, or replaced by another instance's, changes nothing. One past its time is not found; housekeeping
 * removes it.
 *
 * @param most of each tenant's.
 */
export function createTaskRepository(system: SystemDoor, most: TaskBounds) {
  const share = Math.floor(most.bytes / most.kept);

  /** A change that one run makes, while it counts. */
  const write = (
    { tenantId, taskId, by, run }: TaskRunName,
    change: string,
    value: string,
  ): Promise<boolean> =>
    system.run("keep tasks", async (db) => {
      const text = `UPDATE bulkhead.tasks t SET ${change} WHERE ${COUNTS}`;
      return (await db.query(text, [tenantId, taskId, by, run, value])).rowCount === 1;
    });

  /** The same for what takes room. @param bytes that the task holds then. */
  const hold = (
    name: TaskRunName,
    { change, value, bytes }: { readonly change: string; readonly value: string; readonly bytes: string },
  ): Promise<TaskWrite> =>
    system.run("keep tasks", async (db) => {
      const run = [name.tenantId, name.taskId, name.by, name.run];
      const written = await db.query(
        `UPDATE bulkhead.tasks t SET ${change} WHERE ${COUNTS} AND ${fits(bytes)}`,
        [...run, value, share, most.bytes],
      );
      if (written.rowCount === 1) return "written";
      const { rowCount } = await db.query(`SELECT 1 FROM bulkhead.tasks t WHERE ${COUNTS}`, run);
      return rowCount === 1 ? "full" : "void";
    });

  return {
    make: (task: NewTask) =>
      system.run("keep tasks", async (db) => {
        const { rows } = await db.query<{ made: TaskMade }>(
          "SELECT bulkhead.make_task($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) AS made",
          [
            ...[task.tenantId, task.taskId, task.principalKey, task.caller, task.request, task.target],
            ...[task.state, task.by, task.rerun, task.ttlMs, task.pollIntervalMs],
            ...[most.open, most.kept, share, most.bytes],
          ],
        );
        return rows[0]?.made ?? "no_tenant";
      }),

    find: ({ tenantId, taskId, principalKey }: OwnedTaskName) =>
      system.run("keep tasks", async (db) => {
        const text = `SELECT ${COLUMNS} FROM bulkhead.tasks t WHERE ${OWN}`;
        const { rows } = await db.query<TaskRow>(text, [tenantId, taskId, principalKey]);
        return rows[0] ?? null;
      }),

    owned: (ids: readonly TaskId[], { tenantId, principalKey }: Omit<OwnedTaskName, "taskId">) =>
      system.run("keep tasks", async (db) => {
        const { rows } = await db.query<{ id: TaskId }>(
          `SELECT t.id FROM bulkhead.tasks t
            WHERE t.tenant_id = $1 AND t.id = ANY ($2) AND t.expires_at > now() AND t.principal = $3`,
          [tenantId, ids, principalKey],
        );
        return rows.map(({ id }) => id);
      }),

    answer: (
      { tenantId, taskId, principalKey }: OwnedTaskName,
      by: InstanceId,
      decide: (state: string) => TaskDecision,
    ) =>
      system.run("keep tasks", async (db): Promise<TaskRow | "kept" | "full" | null> => {
        const own = [tenantId, taskId, principalKey];
        // No lock is held while this instance decides: it writes only if the state is still the one that it has read. It
        // changes as often as there are questions, and no more: so often, at most, is decided anew.
        for (let tried: string | null = null; ; ) {
          const { rows } = await db.query<Pick<TaskRow, "status" | "state">>(
            `SELECT t.status, t.state FROM bulkhead.tasks t WHERE ${OWN}`,
            own,
          );
          const task = rows[0];
          if (task === undefined) return null;
          if (task.status !== "input_required") return "kept";
          if (task.state === tried) return "full";
          tried = task.state;
          const { state, resumes } = decide(task.state);
          const answered = await db.query<TaskRow>(
            `UPDATE bulkhead.tasks t SET state = $5, updated_at = now(),
                    status = CASE WHEN $8 THEN 'working' ELSE t.status END, run_by = CASE WHEN $8 THEN $9 END,
                    run = t.run + $8::boolean::integer, begun = false,
                    status_message = CASE WHEN $8 THEN NULL ELSE t.status_message END
              WHERE ${OWN} AND t.status = 'input_required' AND t.state = $4 AND ${fits(WITH_STATE)} RETURNING ${COLUMNS}`,
            [...own, task.state, state, share, most.bytes, resumes, by],
          );
          const [row] = answered.rows;
          if (row !== undefined) return resumes ? row : "kept";
        }
      }),

    cancel: ({ tenantId, taskId, principalKey }: OwnedTaskName) =>
      system.run("keep tasks", async (db): Promise<"cancelled" | "ended" | null> => {
        const own = [tenantId, taskId, principalKey];
        const ended = await db.query(
          `UPDATE bulkhead.tasks t SET status = 'cancelled', ${ENDED}
            WHERE ${OWN} AND t.status IN ('working', 'input_required')`,
          own,
        );
        if (ended.rowCount === 1) return "cancelled";
        const { rowCount } = await db.query(`SELECT 1 FROM bulkhead.tasks t WHERE ${OWN}`, own);
        return rowCount === 1 ? "ended" : null;
      }),

    counts: ({ tenantId, taskId, by, run }: TaskRunName) =>
      system.run("keep tasks", async (db) => {
        const text = `SELECT 1 FROM bulkhead.tasks t WHERE ${COUNTS}`;
        return (await db.query(text, [tenantId, taskId, by, run])).rowCount === 1;
      }),

    begin: ({ tenantId, taskId, by, run }: TaskRunName) =>
      system.run("keep tasks", async (db) => {
        const { rows } = await db.query<BegunTask>(
          `UPDATE bulkhead.tasks t SET begun = true WHERE ${COUNTS}
           RETURNING ${COLUMNS}, t.caller, t.request, (extract(epoch FROM t.expires_at - now()) * 1000)::float8 AS "leftMs"`,
          [tenantId, taskId, by, run],
        );
        return rows[0] ?? null;
      }),
    note: (run: TaskRunName, message: string) =>
      write(run, "status_message = $5, updated_at = now()", storable(message)),
    save: (run: TaskRunName, state: string) =>
      hold(run, { change: "state = $5", value: state, bytes: WITH_STATE }),
    ask: (run: TaskRunName, state: string) =>
      hold(run, {
        change: "state = $5, status = 'input_required', run_by = NULL, updated_at = now()",
        value: state,
        bytes: WITH_STATE,
      }),
    complete: (run: TaskRunName, result: string) =>
      hold(run, {
        change: `status = 'completed', outcome = $5, ${ENDED}`,
        value: result,
        bytes: "octet_length($5::text)",
      }),
    fail: (run: TaskRunName, error: string) => write(run, `status = 'failed', outcome = $5, ${ENDED}`, error),

    runsOf: (by: InstanceId) =>
      system.run("keep tasks", async (db) => {
        const { rows } = await db.query<TaskRunName>(
          `SELECT t.tenant_id AS "tenantId", t.id AS "taskId", t.run_by AS "by", t.run FROM bulkhead.tasks t
            WHERE t.run_by = $1 AND t.expires_at > now()`,
          [by],
        );
        return rows;
      }),

    takeOver: ({ by, deadAfterMs, mostLost, failure, atOnce }: TaskTakeOver) =>
      system.run("keep tasks", async (db) => {
        // What had not begun is not lost: it only waited. Rows that another instance is taking over are passed by, and so are
        // those that it has just taken: not by NOT EXISTS, which PostgreSQL makes a join of, and that is not asked again for
        // a row that changed before it was locked (EvalPlanQual).
        const { rows } = await db.query<TaskRow>(
          `WITH orphans AS MATERIALIZED (
             SELECT o.tenant_id, o.id, (o.rerun OR NOT o.begun) AND o.lost < $3 AS again
               FROM bulkhead.tasks o
              WHERE o.run_by IS NOT NULL AND o.run_by <> $1 AND o.expires_at > now()
                AND (SELECT true FROM bulkhead.instances i
                      WHERE i.id = o.run_by AND i.stopped_at IS NULL
                        AND i.seen_at >= now() - make_interval(secs => $2)) IS NULL
              LIMIT $5 FOR UPDATE SKIP LOCKED)
           UPDATE bulkhead.tasks t
              SET status = CASE WHEN o.again THEN 'working' ELSE 'failed' END,
                  outcome = CASE WHEN o.again THEN NULL ELSE $4 END,
                  caller = CASE WHEN o.again THEN t.caller ELSE '' END,
                  request = CASE WHEN o.again THEN t.request ELSE '' END,
                  state = CASE WHEN o.again THEN t.state ELSE '' END,
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
