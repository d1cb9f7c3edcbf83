import type { InstanceId, TaskId, TenantId } from "../../core/ids.ts";

export type TaskStatus = "working" | "input_required" | "completed" | "failed" | "cancelled";

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
  /** JSON, see task-state.ts. */
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

/** Most that a tenant may have. */
export interface TaskBounds {
  /** Tasks that work or wait for input. */
  readonly open: number;
  /** Tasks in all. */
  readonly kept: number;
  /** Of requests, states and outcomes. */
  readonly bytes: number;
}

/** Where tasks are kept that all instances share: the data room's port. A task past its time is not there. */
export interface TaskStore {
  /** Which of the bounds is reached, where one is. */
  make(task: NewTask, most: TaskBounds): Promise<"made" | "open" | "kept" | "bytes" | "no_tenant">;
  find(name: OwnedTaskName): Promise<TaskRow | null>;
  /** Those of these ids that are this principal's. */
  owned(ids: readonly TaskId[], of: Omit<OwnedTaskName, "taskId">): Promise<readonly TaskId[]>;
  /**
   * Takes answers for a task that waits for them; leaves any other as it is.
   *
   * @param decide what they make of its state, and whether it goes on now. Runs while nobody else can change the task.
   * @returns the task where it goes on, as a run of instance `by`; "kept" where it does not; null: there is no such task.
   */
  answer(
    name: OwnedTaskName,
    by: InstanceId,
    decide: (state: string) => { readonly state: string; readonly resumes: boolean },
  ): Promise<TaskRow | "kept" | null>;
  /** Ends it, unless it has ended. Null: there is no such task. */
  cancel(name: OwnedTaskName): Promise<"cancelled" | "ended" | null>;

  // Of a run. False: it does not count any more.
  counts(run: TaskRunName): Promise<boolean>;
  /** The task as it is now; null: the run does not count any more. */
  begin(run: TaskRunName): Promise<BegunTask | null>;
  note(run: TaskRunName, message: string): Promise<boolean>;
  save(run: TaskRunName, state: string): Promise<boolean>;
  ask(run: TaskRunName, state: string): Promise<boolean>;
  end(run: TaskRunName, status: "completed" | "failed", outcome: string): Promise<boolean>;

  /** The runs of an instance that count. */
  runsOf(by: InstanceId): Promise<readonly TaskRunName[]>;
  /**
   * Takes over tasks whose instance is gone, each once among all instances: to be run again where that may be and it was
   * not lost too often; the others fail.
   */
  takeOver(of: {
    readonly by: InstanceId;
    /** An instance that was not heard of for this long is gone. */
    readonly deadAfterMs: number;
    readonly mostLost: number;
    /** JSON of the error with which those fail that are not run again. */
    readonly failure: string;
    readonly atOnce: number;
  }): Promise<readonly TaskRow[]>;
}
