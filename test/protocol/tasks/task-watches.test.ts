import { expect, test } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import { Fault } from "../../../src/core/fault.ts";
import { createIdSource, type TaskId } from "../../../src/core/ids.ts";
import type { Outlet } from "../../../src/protocol/outlet.ts";
import { createTaskWatches } from "../../../src/protocol/tasks/task-watches.ts";
import type { TaskRow } from "../../../src/tenancy/task-record.ts";

const ids = createIdSource(systemClock.now);
const name = { tenantId: ids.tenant(), principalKey: "ada" };

test("a change that cannot be read at once is told when it can", async () => {
  const [first, second] = [ids.task(), ids.task()];
  const rowOf = (taskId: TaskId): TaskRow => ({
    ...{
      ...name,
      taskId,
      target: "build",
      status: "cancelled",
      statusMessage: null,
      state: "{}",
      outcome: null,
    },
    ...{ run: 1, pollIntervalMs: 1, createdAt: 0, updatedAt: 0, ttlMs: 1 },
  });
  let failures = 1;
  const faults: unknown[] = [];
  const watches = createTaskWatches({
    store: {
      owned: async (given) => given,
      async find({ taskId }) {
        if (failures-- > 0) throw new Fault("database_unavailable");
        return rowOf(taskId);
      },
    },
    offered: true,
    onChanged: () => () => {},
    onFault: (cause) => faults.push(cause),
  });
  const told: string[] = [];
  const outlet: Outlet = {
    gone: false,
    notify: (_method, params) => void told.push(JSON.parse(`{${params}}`).taskId),
    drained: () => null,
    begin: () => 0,
    keepAlive() {},
    end() {},
    destroy() {},
    onClosed() {},
  };
  watches.watch(
    outlet,
    [first, second].map((taskId) => ({ ...name, taskId })),
    () => true,
  );
  await expect.poll(() => told.toSorted(), { timeout: 5_000 }).toEqual([first, second].toSorted());
  expect(faults).toEqual([new Fault("database_unavailable")]);
});
