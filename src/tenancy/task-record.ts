import type { InstanceId, TaskId, TenantId } from "../core/ids.ts";

type TaskStatus = "working" | "input_required" | "completed" | "failed" | "cancelled";

export interface TaskName {
  readonly tenantId: TenantId;
  readonly taskId: TaskId;
}

/** What a task is found by: to anybody but its principal it is not there. */
export interface OwnedTaskName extends TaskName {
  readonly principalKey: string;
}

/** One run of a task: what it says counts as long as no later one has begun and it has not been ended. */
export interface TaskRunName extends TaskName {
  readonly by: InstanceId;
  readonly run: number;
}

/** A task as it is made. */
export interface NewTask extends OwnedTaskName {
  /** JSON: whom its runs act as … */
  readonly caller: string;
  /** … and the request that they answer. */
  readonly request: string;
  /** Name of the tool. */
  readonly target: string;
  /** JSON of what its runs go by, and what its client is asked. */
  readonly state: string;
  readonly by: InstanceId;
  /** Whether a run that was lost with its instance is begun again. */
  readonly rerun: boolean;
  readonly ttlMs: number;
  readonly pollIntervalMs: number;
}

/** A task as it is kept, but for what its runs alone need: clients ask for it again and again, and a request may be large. */
export interface TaskRow extends OwnedTaskName {
  readonly target: string;
  readonly status: TaskStatus;
  readonly statusMessage: string | null;
  /** Empty when it has ended. */
  readonly state: string;
  /** JSON of the result or the error with which it ended. */
  readonly outcome: string | null;
  readonly run: number;
  readonly pollIntervalMs: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly updatedAt: number;
  /** From its making to its end. */
  readonly ttlMs: number;
}

/** A task whose run may begin. */
export interface BegunTask extends TaskRow {
  readonly caller: string;
  readonly request: string;
  /** Milliseconds until its time is over. */
  readonly leftMs: number;
}

/** What became of a task that was to be made: which of the bounds is reached, where one is. */
export type TaskMade = "made" | "open" | "kept" | "bytes" | "no_tenant";

/** What became of what a run wrote. "full": its tenant's tasks may not hold it. "void": the run does not count any more. */
export type TaskWrite = "written" | "full" | "void";

/** What answers make of a task's state, and whether it goes on now. */
export interface TaskDecision {
  readonly state: string;
  readonly resumes: boolean;
}

/** Tasks to be taken over from instances that are gone. */
export interface TaskTakeOver {
  readonly by: InstanceId;
  /** An instance that was not heard of for this long is gone. */
  readonly deadAfterMs: number;
  readonly mostLost: number;
  /** JSON of the error with which those fail that are not run again. */
  readonly failure: string;
  readonly atOnce: number;
}
