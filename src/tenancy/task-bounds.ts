/** Most that a tenant's tasks may be and hold: see docs/handlers.md. */
export interface TaskBounds {
  /** Tasks that work or wait for input. */
  readonly open: number;
  /** Tasks in all. */
  readonly kept: number;
  /** What all of them hold: callers, requests, states and outcomes. */
  readonly bytes: number;
}

/**
 * The bytes hold at every write, not only when a task is made. Each task counts as its share (`bytes / kept`, 52 KiB) at
 * least. So what stays within the share is written without a look at the others, and waits for nobody: all of them together
 * cannot be more. What is larger is weighed against the others in the statement that writes it. A task's error alone is not
 * weighed: it is a text of ours, below any share, and written when all else of the task goes. Status messages, of 1,000
 * characters at most, are not counted.
 *
 * A tenant's `maxRequestBytes` does not hold for what a run goes by. That was a request once, and is restored from the row:
 * no body is parsed again. What one task may hold is bounded by MAX_STATE in protocol/replay.ts, MAX_TASK_STATE in
 * protocol/tasks/task-state.ts, and the bounds of answers and results beside it.
 */
export const TASK_BOUNDS: TaskBounds = Object.freeze({ open: 1_000, kept: 5_000, bytes: 256 * 1_048_576 });
