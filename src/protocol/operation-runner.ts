import type { ServerResponse } from "node:http";
import type { OperationEvent } from "../core/event.ts";
import { Fault } from "../core/fault.ts";
import type { OperationId } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { Principal } from "../tenancy/principal.ts";
import { type ContextPorts, RequestContext } from "../tenancy/request-context.ts";
import { runInTenant } from "../tenancy/tenant-context.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import type { Work } from "./open-work.ts";
import type { Operation, Performed } from "./operations.ts";

/** What running a handler came to. */
export interface Run {
  readonly result: Performed | Refusal;
  readonly notes: OperationEvent["notes"];
  /** What the handler threw, for the log. */
  readonly cause?: unknown;
  /** Where the answer did not wait for the handler: settles when it has ended. */
  readonly stillWorking: Promise<unknown> | null;
}

/** Runs handlers in their tenant's context, each until it ends or is stopped. */
export interface OperationRunner {
  run(of: {
    readonly operation: Operation;
    readonly snapshot: TenantSnapshot;
    readonly principal: Principal;
    readonly operationId: OperationId;
    /** The caller's response: when it closes, the caller has gone. */
    readonly res: ServerResponse;
    /** When it must end the handler is told by its signal, and the caller answered with the reason. */
    readonly work: Work;
  }): Promise<Run>;
}

export function createOperationRunner(
  portsFor: (snapshot: TenantSnapshot, readOnly: boolean) => ContextPorts,
): OperationRunner {
  // What a context says that was kept beyond its call. Made once: a stack for each call would cost more than the call.
  const over = new Fault("context_missing", { detail: "The call is over." });

  return {
    async run({ operation, snapshot, principal, operationId, res, work }) {
      // Its intent was awaited since it was last looked at.
      if (work.ended !== null) return { result: work.ended, notes: null, stillWorking: null };
      if (operation.answer !== null) return { result: operation.answer, notes: null, stillWorking: null };
      if (res.destroyed) return { result: refuse("cancelled"), notes: null, stillWorking: null };

      const controller = new AbortController();
      const limitMs = snapshot.limits.callTimeoutMs;
      let stopped: Refusal | null = null;
      let interrupt: (() => void) | undefined;
      const interrupted = new Promise<null>((resolve) => {
        interrupt = () => resolve(null);
      });
      const stop = (why: Refusal): void => {
        stopped ??= why;
        controller.abort(new Fault(why.code));
        interrupt?.();
      };
      const timer =
        limitMs === null
          ? undefined
          : setTimeout(() => stop(refuse("call_timed_out", { data: { limitMs } })), limitMs);
      const onClose = (): void => stop(refuse("cancelled"));
      res.once("close", onClose);
      work.onEnd(stop);
      const context = new RequestContext({
        snapshot,
        principal,
        operationId,
        signal: controller.signal,
        ports: portsFor(snapshot, operation.readOnly),
      });
      try {
        const settled = runInTenant(context, () => operation.perform(context)).then(
          (result): Omit<Run, "notes" | "stillWorking"> => ({ result }),
          (cause: unknown) => ({ result: stopped ?? failureOf(cause), cause }),
        );
        const ended = await Promise.race([settled, interrupted]);
        const notes = context.notes();
        if (ended !== null) return { ...ended, notes, stillWorking: null };
        return { result: stopped ?? refuse("cancelled"), notes, stillWorking: settled };
      } finally {
        clearTimeout(timer);
        res.off("close", onClose);
        // A context does not outlive its call: whoever kept it finds its signal aborted and its door shut.
        controller.abort(over);
      }
    },
  };
}

/** What a caller is told of an exception: that it failed, and nothing of why. */
function failureOf(cause: unknown): Refusal {
  if (cause instanceof Fault && cause.code === "database_unavailable") {
    return refuse("database_unavailable", { retryAfterMs: 1_000, cause });
  }
  return refuse("handler_failed", { cause });
}
