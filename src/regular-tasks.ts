/** Time: what an instance does again and again as long as it serves. */

import type { Clock } from "./core/clock.ts";
import { every } from "./core/every.ts";
import type { InstanceId } from "./core/ids.ts";
import type { createAuditRepository } from "./data/audit-repository.ts";
import type { createInstanceRepository } from "./data/instance-repository.ts";
import type { TenantDirectory } from "./tenancy/tenant-directory.ts";
import type { Wire } from "./wire.ts";

/** The global version of the configuration is polled this often. */
const POLL_MS = 500;
const SUMMARY_MS = 5_000;
const HEARTBEAT_MS = 1_000;
const RECOVERY_MS = 2_000;
const SWEEP_MS = 60_000;
/** Open streams are looked at this often: how late the end of a credential can end one. */
const STREAMS_MS = 500;
/** What runs in sessions looks at them this often: their end may have gone unheard. */
const SESSIONS_MS = 2_000;
/** A key of another instance is known here before it is used: see state-keys.ts. */
const STATE_KEYS_MS = 60_000;
const HOUSEKEEPING_MS = 10 * 60_000;
/** What is kept for a minute or five: signals, events of streams. */
const PASSED_MS = 30_000;

export interface RegularTasks {
  stop(): void;
}

/** @param of.tell makes what puts the failure of a task on record; the task is tried again. */
export function startRegularTasks(of: {
  readonly clock: Pick<Clock, "now">;
  readonly instanceId: InstanceId;
  readonly deadAfterMs: number;
  readonly tell: (where: string) => (cause: unknown) => void;
  /** Removes what has passed its time: rows of hours and days, and those of minutes. */
  readonly housekeeping: { expired(): Promise<unknown>; passed(): Promise<unknown> };
  readonly directory: Pick<TenantDirectory, "refresh">;
  readonly signals: { catchUp(): Promise<void> };
  readonly instances: Pick<ReturnType<typeof createInstanceRepository>, "heartbeat">;
  readonly audit: Pick<ReturnType<typeof createAuditRepository>, "closeOrphans">;
  readonly stateKeys: { refresh(): Promise<void> };
  readonly refusals: { report(): void };
  readonly limiters: readonly { sweep(): void }[];
  readonly wire: Pick<Wire, "tasks" | "streams" | "resumable" | "follower" | "previous">;
}): RegularTasks {
  const { instanceId, deadAfterMs, tell, housekeeping, wire } = of;
  const tasks = [
    every(POLL_MS, () => of.directory.refresh(), tell("configuration")),
    every(POLL_MS, () => of.signals.catchUp(), tell("signals")),
    every(HEARTBEAT_MS, () => of.instances.heartbeat(instanceId), tell("heartbeat")),
    every(
      RECOVERY_MS,
      () => of.audit.closeOrphans({ runId: instanceId, deadAfterMs, now: of.clock.now() }),
      tell("recovery"),
    ),
    every(RECOVERY_MS, () => wire.tasks.recover(), tell("tasks")),
    every(SUMMARY_MS, () => of.refusals.report(), tell("refusals")),
    every(
      SWEEP_MS,
      () => {
        for (const each of of.limiters) each.sweep();
      },
      tell("rates"),
    ),
    every(
      STREAMS_MS,
      () => {
        wire.streams.sweep();
        wire.resumable.sweep();
        wire.follower.retry();
      },
      tell("streams"),
    ),
    every(SESSIONS_MS, () => wire.previous.sweep(), tell("sessions")),
    every(STATE_KEYS_MS, () => of.stateKeys.refresh(), tell("state keys")),
    every(HOUSEKEEPING_MS, () => housekeeping.expired(), tell("housekeeping")),
    every(PASSED_MS, () => housekeeping.passed(), tell("housekeeping")),
  ];
  return {
    stop() {
      for (const task of tasks) task.stop();
    },
  };
}
