import type { TenantView } from "../../catalog/tenant-view.ts";
import { type InstanceId, parseTaskId } from "../../core/ids.ts";
import { type Refusal, refuse } from "../../core/refusal.ts";
import type { AccessPolicy, AllowedAccess } from "../../identity/access-policy.ts";
import { type Principal, principalKey } from "../../tenancy/principal.ts";
import type { OwnedTaskName, TaskName, TaskRow } from "../../tenancy/task-record.ts";
import { abilitiesOf, missingAbility } from "../client-abilities.ts";
import { isObject, member } from "../json-rpc.ts";
import type { McpRequest } from "../mcp-request.ts";
import { answered, type Operation } from "../operations.ts";
import { complete, type Performed } from "../performed.ts";
import { CURRENT } from "../revisions.ts";
import { detailedTaskMembers } from "./task-members.ts";
import { readTaskState, takeResponses } from "./task-state.ts";
import type { TaskStore } from "./task-store.ts";
import { tooManyTasks } from "./too-many-tasks.ts";

/** Bytes of the answers to one round of questions, as JSON. */
const MAX_RESPONSES = 262_144;

/** Who asks, and what its tenant has. */
interface Asking {
  readonly view: TenantView;
  readonly principal: Principal;
}

/** The operations on tasks: `tasks/get`, `tasks/update`, `tasks/cancel`. */
export interface TaskOperations {
  /** Null: the request is for something else. */
  resolve(request: McpRequest, asking: Asking): Promise<Operation | Refusal> | Refusal | null;
}

const NOT_REQUIRED: AllowedAccess = { allowed: true, reason: "not_required" };

export function createTaskOperations(options: {
  readonly store: TaskStore;
  readonly by: InstanceId;
  readonly policy: AccessPolicy;
  /** Whether any tool may run as a task: where none does, the extension is not there. */
  readonly offered: boolean;
  /** A task goes on here. */
  readonly onResumed: (task: TaskRow) => void;
  readonly onChanged: (name: TaskName) => void;
}): TaskOperations {
  const { store, by, policy, onResumed, onChanged } = options;

  const get = (task: TaskRow, access: AllowedAccess): Operation => {
    const answer: Performed = { ...complete({}), members: detailedTaskMembers(task) };
    return { ...answered(answer), target: task.target, access };
  };

  const update = (task: TaskRow, request: McpRequest, access: AllowedAccess): Operation | Refusal => {
    const responses = member(request.params, "inputResponses");
    if (!isObject(responses))
      return refuse("params_invalid", { detail: "params.inputResponses must be an object." });
    return changing(task, access, async () => {
      let tooLarge = false;
      const decided = await store.answer(task, by, (text) => {
        const state = takeResponses(readTaskState(text), responses);
        tooLarge = Buffer.byteLength(JSON.stringify(state.responses)) > MAX_RESPONSES;
        if (tooLarge) return { state: text, resumes: false };
        return { state: JSON.stringify(state), resumes: Object.keys(state.questions).length === 0 };
      });
      if (decided === null) return refuse("task_unknown");
      if (decided === "full") return tooManyTasks("bytes");
      if (tooLarge)
        return refuse("params_invalid", {
          detail: `The answers may have ${MAX_RESPONSES} bytes together.`,
        });
      if (decided !== "kept") onResumed(decided);
      onChanged(task);
      return complete({});
    });
  };

  const cancel = (task: TaskRow): Operation =>
    // Whoever may not run the tool any more may still stop it.
    changing(task, NOT_REQUIRED, async () => {
      const done = await store.cancel(task);
      if (done === null) return refuse("task_unknown");
      if (done === "cancelled") onChanged(task);
      return complete({});
    });

  const of = async (
    name: OwnedTaskName,
    request: McpRequest,
    view: TenantView,
    granted: ReadonlySet<string>,
  ) => {
    const task = await store.find(name);
    if (task === null) return refuse("task_unknown");
    if (request.method === "tasks/cancel") return cancel(task);
    // A result is for whoever may run the tool: also where the same caller comes with less than it made the task with.
    const tool = view.tool(task.target);
    if (tool === null) return refuse("task_unknown");
    const access = policy.decide(granted, tool.definition.requires);
    if (!access.allowed) return refuse("scope_insufficient", { scopes: [access.permission] });
    return request.method === "tasks/get" ? get(task, access) : update(task, request, access);
  };

  return {
    resolve(request, { view, principal }) {
      const { method, revision, client, name } = request;
      if (method !== "tasks/get" && method !== "tasks/update" && method !== "tasks/cancel") return null;
      if (revision !== CURRENT || !options.offered) return refuse("method_unknown");
      if (!abilitiesOf(client.capabilities).has("tasks"))
        return refuse("client_capability_missing", {
          data: { requiredCapabilities: missingAbility("tasks") },
        });
      const taskId = parseTaskId(name ?? "");
      if (taskId === null) return refuse("task_unknown");
      const owned = { tenantId: principal.tenantId, taskId, principalKey: principalKey(principal) };
      return of(owned, request, view, principal.permissions);
    },
  };
}

/** An operation that changes a task. */
function changing(
  task: TaskRow,
  access: AllowedAccess,
  change: () => Promise<Performed | Refusal>,
): Operation {
  return {
    target: task.target,
    readOnly: false,
    access,
    tool: null,
    answer: null,
    perform(ctx) {
      ctx.audit({ task: task.taskId });
      return change();
    },
  };
}
