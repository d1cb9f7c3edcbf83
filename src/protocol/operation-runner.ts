import type { OperationEvent } from "../core/event.ts";
import { Fault } from "../core/fault.ts";
import type { OperationId } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { Principal } from "../tenancy/principal.ts";
import { type ContextPorts, RequestContext } from "../tenancy/request-context.ts";
import { runInTenant } from "../tenancy/tenant-context.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import type { OpenConversation, RunControl } from "./conversation.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import type { Elicitations } from "./elicitations.ts";
import type { McpRequest } from "./mcp-request.ts";
import type { Work } from "./open-work.ts";
import type { Operation } from "./operations.ts";
import type { Performed } from "./performed.ts";
import type { Reply } from "./reply.ts";
import { RequestLink } from "./request-link.ts";

/** What running a handler came to. */
export interface Run {
  readonly result: Performed | Refusal;
  readonly notes: OperationEvent["notes"];
  /** What the handler threw, for the log. */
  readonly cause?: unknown;
  /** Where the answer did not wait for the handler: settles when it has ended. */
  readonly stillWorking: Promise<unknown> | null;
}

/** One operation to be run. */
export interface RunnableOperation {
  readonly operation: Operation;
  readonly request: McpRequest;
  readonly snapshot: TenantSnapshot;
  readonly principal: Principal;
  readonly operationId: OperationId;
  /** When nobody waits for its answer any more, the run ends. */
  readonly reply: Reply;
  /** When it must end the handler is told by its signal, and the caller answered with the reason. */
  readonly work: Work;
  readonly open: OpenConversation;
  /** In milliseconds. Default: the tenant's time limit of calls. */
  readonly limitMs?: number | undefined;
}

/** Runs handlers in their tenant's context, each until it ends or is stopped. */
export interface OperationRunner {
  run(of: RunnableOperation): Promise<Run>;
}

export function createOperationRunner(parts: {
  readonly portsFor: (snapshot: TenantSnapshot, readOnly: boolean) => ContextPorts;
  readonly deadlines: Deadlines;
  readonly elicitations: Elicitations;
}): OperationRunner {
  return {
    run(of) {
      const { operation, reply, work } = of;
      const end = (result: Performed | Refusal): Promise<Run> =>
        Promise.resolve({ result, notes: null, stillWorking: null });
      // Its intent was awaited since it was last looked at.
      if (work.ended !== null) return end(work.ended);
      if (operation.answer !== null) return end(operation.answer);
      if (reply.gone) return end(refuse("cancelled"));
      return new Promise((resolve) => new RunningOperation(of, parts, resolve).begin());
    },
  };
}

/** What a context says that was kept beyond its call. */
class CallIsOver extends Fault {
  constructor() {
    super("context_missing", { detail: "The call is over." });
  }
}

/**
 * Why a handler is to stop. Without a stack, which would say nothing of the handler: V8 keeps with it the functions that
 * are on it, and so the request, for as long as anybody keeps the signal.
 */
function reasonOf(why: Refusal | null): Fault {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return why === null ? new CallIsOver() : new Fault(why.code);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** A handler at work: ends once, by its own end, by a suspension, or by whoever stops it. */
class RunningOperation implements RunControl {
  /** Null when it is over. What a handler leaves behind, such as a timer, keeps its context, which must keep nothing then. */
  #of: RunnableOperation | null;
  readonly #resolve: (run: Run) => void;
  readonly #link: RequestLink;
  readonly #context: RequestContext;
  readonly #deadline: Deadline | null;
  #controller: AbortController | null = null;
  /** Set where somebody waits for the handler although the answer has gone. */
  #onSettled: (() => void) | null = null;
  #stopped: Refusal | null = null;
  #waits = 0;

  constructor(
    of: RunnableOperation,
    parts: {
      readonly portsFor: (snapshot: TenantSnapshot, readOnly: boolean) => ContextPorts;
      readonly deadlines: Deadlines;
      readonly elicitations: Elicitations;
    },
    resolve: (run: Run) => void,
  ) {
    this.#of = of;
    this.#resolve = resolve;
    const { snapshot, principal, operationId, operation, request, reply, open } = of;
    const limitMs = of.limitMs ?? snapshot.limits.callTimeoutMs;
    this.#deadline =
      limitMs === null
        ? null
        : parts.deadlines.begin(limitMs, () => this.#stop(refuse("call_timed_out", { data: { limitMs } })));
    this.#link = new RequestLink(request, reply, { open, run: this, elicitations: parts.elicitations });
    this.#context = new RequestContext({
      snapshot,
      principal,
      operationId,
      signal: () => this.#signal(),
      link: this.#link,
      ports: parts.portsFor(snapshot, operation.readOnly),
    });
  }

  begin(): void {
    if (this.#of === null) return;
    const { operation, reply, work } = this.#of;
    reply.onGone(() => this.#stop(refuse("cancelled")));
    work.onEnd((why) => this.#stop(why));
    runInTenant(this.#context, () => operation.perform(this.#context)).then(
      (result) => this.#settle(result),
      (cause: unknown) => this.#settle(failureOf(cause), cause),
    );
  }

  #settle(result: Performed | Refusal, cause?: unknown): void {
    this.#end(result, false, cause);
    this.#onSettled?.();
  }

  suspend(end: Performed | Refusal): void {
    this.#end(end, true);
  }

  async waiting<T>(answer: Promise<T>): Promise<T> {
    if (this.#waits++ === 0) this.#deadline?.pause();
    try {
      return await answer;
    } finally {
      if (--this.#waits === 0) this.#deadline?.resume();
    }
  }

  #handlerSettled(): Promise<void> {
    return new Promise((resolve) => {
      this.#onSettled = resolve;
    });
  }

  #signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#stopped !== null || this.#of === null) this.#controller.abort(reasonOf(this.#stopped));
    }
    return this.#controller.signal;
  }

  #stop(why: Refusal): void {
    if (this.#of === null) return;
    this.#stopped = why;
    this.#controller?.abort(reasonOf(why));
    this.#end(why, true);
  }

  #end(result: Performed | Refusal, stillWorking: boolean, cause?: unknown): void {
    if (this.#of === null) return;
    this.#of.reply.onGone(null);
    this.#of = null;
    this.#deadline?.clear();
    this.#link.release();
    // A context does not outlive its call: whoever kept it finds its signal aborted and its door shut.
    this.#controller?.abort(reasonOf(null));
    this.#resolve({
      result,
      notes: this.#context.notes(),
      cause,
      stillWorking: stillWorking ? this.#handlerSettled() : null,
    });
  }
}

/** What a caller is told of an exception: that it failed, and nothing of why. */
function failureOf(cause: unknown): Refusal {
  if (cause instanceof Fault && cause.code === "database_unavailable") {
    return refuse("database_unavailable", { retryAfterMs: 1_000, cause });
  }
  return refuse("handler_failed", { cause });
}
