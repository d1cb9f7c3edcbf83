import type { InstanceId, TaskId } from "../../core/ids.ts";
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
} from "../../tenancy/task-record.ts";

/** Where tasks are kept that all instances share: the data room's port. A task past its time is not there. */
export interface TaskStore {
  make(task: NewTask): Promise<TaskMade>;
  find(name: OwnedTaskName): Promise<TaskRow | null>;
  /** Those of these ids that are this principal's. */
  owned(ids: readonly TaskId[], of: Omit<OwnedTaskName, "taskId">): Promise<readonly TaskId[]>;
  /**
   * Takes answers for a task that waits for them; leaves any other as it is.
   *
   * @param decide what they make of its state. Called once more where the state has changed meanwhile.
   * @returns the task where it goes on, as a run of instance `by`; "kept" where it does not; "full": the tenant's tasks
   *   may not hold the answers, and nothing has changed; null: there is no such task.
   */
  answer(
    name: OwnedTaskName,
    by: InstanceId,
    decide: (state: string) => TaskDecision,
  ): Promise<TaskRow | "kept" | "full" | null>;
  /** Ends it, unless it has ended. Null: there is no such task. */
  cancel(name: OwnedTaskName): Promise<"cancelled" | "ended" | null>;

  // Of a run. False: it does not count any more.
  counts(run: TaskRunName): Promise<boolean>;
  /** The task as it is now; null: the run does not count any more. */
  begin(run: TaskRunName): Promise<BegunTask | null>;
  note(run: TaskRunName, message: string): Promise<boolean>;
  save(run: TaskRunName, state: string): Promise<TaskWrite>;
  ask(run: TaskRunName, state: string): Promise<TaskWrite>;
  complete(run: TaskRunName, result: string): Promise<TaskWrite>;
  fail(run: TaskRunName, error: string): Promise<boolean>;

  /** The runs of an instance that count. */
  runsOf(by: InstanceId): Promise<readonly TaskRunName[]>;
  /**
   * Takes over tasks whose instance is gone, each once among all instances: to be run again where that may be and it was
   * not lost too often; the others fail.
   */
  takeOver(of: TaskTakeOver): Promise<readonly TaskRow[]>;
}
