import type { TaskRow } from "../../tenancy/task-record.ts";
import { isObject, member } from "../json-rpc.ts";
import { membersOf } from "../performed.ts";
import { inputRequestsOf, readTaskState } from "./task-state.ts";

/** The members of a `Task`, as its making is answered: without what only some states have. */
export function taskMembers(task: TaskRow): string {
  const said = saidOf(task);
  return membersOf({
    taskId: task.taskId,
    status: task.status,
    ...(said === null ? {} : { statusMessage: said }),
    createdAt: new Date(task.createdAt).toISOString(),
    lastUpdatedAt: new Date(task.updatedAt).toISOString(),
    ttlMs: task.ttlMs,
    pollIntervalMs: task.pollIntervalMs,
  });
}

/** The members of a `DetailedTask`: what `tasks/get` answers and `notifications/tasks` carries. */
export function detailedTaskMembers(task: TaskRow): string {
  const members = taskMembers(task);
  switch (task.status) {
    case "input_required":
      return `${members},"inputRequests":${JSON.stringify(inputRequestsOf(readTaskState(task.state)))}`;
    case "completed":
      return `${members},"result":${task.outcome}`;
    case "failed":
      return `${members},"error":${task.outcome}`;
    default:
      return members;
  }
}

/** "tasks/get SHOULD include a statusMessage with diagnostic information about the failure". */
function saidOf({ status, statusMessage, outcome }: TaskRow): string | null {
  if (status !== "failed" || outcome === null) return statusMessage;
  const error: unknown = JSON.parse(outcome);
  const message = isObject(error) ? member(error, "message") : undefined;
  return typeof message === "string" ? message : null;
}
