import type { Eventually } from "../../core/eventually.ts";
import { parseTaskId, type TaskId } from "../../core/ids.ts";
import { type Refusal, refuse } from "../../core/refusal.ts";
import { type Principal, principalKey } from "../../tenancy/principal.ts";
import type { OwnedTaskName } from "../../tenancy/task-record.ts";
import { abilitiesOf, missingAbility } from "../client-abilities.ts";
import { isObject, member } from "../json-rpc.ts";
import type { McpRequest } from "../mcp-request.ts";
import type { Outlet } from "../outlet.ts";
import { detailedTaskMembers } from "./task-members.ts";
import type { TaskStore } from "./task-store.ts";

/** Tells clients of their tasks over their streams ("Task Status Notifications"). */
export interface TaskWatches {
  /**
   * The tasks that a `subscriptions/listen` asks to be told of, as far as they are its caller's, and no more than 50. Null:
   * it asks for none. Refuses `client_capability_missing` and `params_invalid`.
   */
  wanted(
    request: McpRequest,
    principal: Principal,
  ): Promise<readonly OwnedTaskName[] | Refusal> | Refusal | null;
  /**
   * Tells of each as it is now, and whenever it has changed, until the outlet closes: to a slow reader of the last state
   * alone.
   *
   * @param mayHave whether the caller may have the result of this tool, now.
   */
  watch(
    outlet: Outlet,
    names: readonly OwnedTaskName[],
    mayHave: (tool: string) => Eventually<boolean>,
  ): void;
}

/** Tasks that one stream tells of: each is read when it opens. */
const MAX_TASKS = 50;
/** What could not be read is read again after this long. */
const RETRY_MS = 1_000;

export function createTaskWatches(options: {
  readonly store: Pick<TaskStore, "find" | "owned">;
  /** Whether any tool may run as a task: where none does, the extension is not there. */
  readonly offered: boolean;
  /** Sets who is told when a task has changed. Gives back what ends it. */
  readonly onChanged: (taskId: TaskId, listener: () => void) => () => void;
  readonly onFault: (cause: unknown) => void;
}): TaskWatches {
  const { store, onFault } = options;

  const found = async (
    texts: readonly string[],
    of: Omit<OwnedTaskName, "taskId">,
  ): Promise<readonly OwnedTaskName[]> => {
    const ids = [...new Set(texts)].map(parseTaskId).filter((id) => id !== null);
    const own = new Set(await store.owned(ids.slice(0, MAX_TASKS), of));
    return ids.filter((id) => own.has(id)).map((taskId) => ({ ...of, taskId }));
  };

  return {
    wanted(request, principal) {
      const filter = member(request.params, "notifications");
      const asked = isObject(filter) ? member(filter, "taskIds") : undefined;
      if (asked === undefined || !options.offered) return null;
      if (!abilitiesOf(request.client.capabilities).has("tasks"))
        return refuse("client_capability_missing", {
          data: { requiredCapabilities: missingAbility("tasks") },
        });
      if (!Array.isArray(asked) || !asked.every((each) => typeof each === "string"))
        return refuse("params_invalid", {
          detail: "params.notifications.taskIds must be an array of texts.",
        });
      return found(asked, { tenantId: principal.tenantId, principalKey: principalKey(principal) });
    },

    watch(outlet, names, mayHave) {
      if (outlet.gone) return;
      const waiting = new Set<OwnedTaskName>();
      let telling = false;
      const tell = async (): Promise<void> => {
        if (telling) return;
        telling = true;
        try {
          for (const name of waiting) {
            if (outlet.gone) return;
            waiting.delete(name);
            await tellOf(name);
          }
        } finally {
          telling = false;
        }
      };
      const tellOf = async (name: OwnedTaskName): Promise<void> => {
        try {
          const task = await store.find(name);
          if (task === null || !(await mayHave(task.target))) return;
          outlet.notify("notifications/tasks", detailedTaskMembers(task));
          await outlet.drained();
        } catch (cause) {
          // Its last change may be the one that the client waits for.
          waiting.add(name);
          throw cause;
        }
      };
      const tellAll = (): void => {
        tell().catch((cause: unknown) => {
          onFault(cause);
          setTimeout(tellAll, RETRY_MS).unref();
        });
      };
      const changed = (name: OwnedTaskName): void => {
        waiting.add(name);
        tellAll();
      };
      const ends = names.map((name) => options.onChanged(name.taskId, () => changed(name)));
      outlet.onClosed(() => {
        for (const end of ends) end();
      });
      for (const name of names) changed(name);
    },
  };
}
