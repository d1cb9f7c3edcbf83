import { Fault } from "../../core/fault.ts";
import { type Refusal, refuse } from "../../core/refusal.ts";
import { TASK_BOUNDS } from "../../tenancy/task-bounds.ts";
import type { TaskRow, TaskRunName } from "../../tenancy/task-record.ts";
import type { Conversation, OpenConversation } from "../conversation.ts";
import { errorObject, isObject, member } from "../json-rpc.ts";
import type { Performed } from "../performed.ts";
import { bounded, ReplayConversation } from "../replay.ts";
import type { Reply } from "../reply.ts";
import { AskedInVain } from "../request-link.ts";
import { pose, readTaskState, type TaskState } from "./task-state.ts";
import type { TaskStore } from "./task-store.ts";

/** A status message is written at most this often. */
const NOTE_MS = 1_000;
const MAX_NOTE = 1_000;

/** The answer of a run that ends with questions: what is asked stands in the task's state. */
const ASKS: Performed = {
  resultType: "input_required",
  members: "",
  meta: null,
  outcome: "input_required",
  code: null,
};

const FULL = "The tasks of this tenant hold as much as they may.";

/** What a run needs of its instance. */
export interface TaskRunParts {
  readonly store: TaskStore;
  readonly name: TaskRunName;
  /** Tries again while the database does not answer and this is wanted. Rejects with what else goes wrong. */
  readonly patiently: <T>(attempt: () => Promise<T>, wanted: () => boolean) => Promise<T>;
  /** Writes what must not be lost. Never rejects; false: the run does not count any more. */
  readonly insist: (write: () => Promise<boolean>) => Promise<boolean>;
  readonly onFault: (cause: unknown) => void;
}

/** One run of a task: the way back of its operation leads into the task's row, and so do the questions of its handler. */
export class TaskRun implements Reply {
  readonly #parts: TaskRunParts;
  #state: TaskState;
  #asks: TaskState | null = null;
  #gone = false;
  #onGone: (() => void) | null = null;
  #saving: Promise<unknown> = Promise.resolve();
  /** By key, the steps that are in the row or on their way there. */
  readonly #remembered: Map<string, Promise<void>>;
  #note: string | null = null;
  #noting: NodeJS.Timeout | null = null;
  #over = false;
  #written: Promise<boolean> = Promise.resolve(false);

  constructor(task: Pick<TaskRow, "state">, parts: TaskRunParts) {
    this.#parts = parts;
    this.#state = readTaskState(task.state);
    const { steps } = this.#state.replay;
    this.#remembered = new Map(Object.keys(steps).map((key) => [key, Promise.resolve()]));
  }

  /** Once the operation is answered: resolves when that is in the row. False: nothing of it is. */
  get written(): Promise<boolean> {
    return this.#written;
  }

  /** Nobody wants its result any more: it was cancelled, has expired, or is another instance's. */
  stop(): void {
    if (this.#gone) return;
    this.#gone = true;
    const listener = this.#onGone;
    this.#onGone = null;
    listener?.();
  }

  get gone(): boolean {
    return this.#gone;
  }

  onGone(listener: (() => void) | null): void {
    this.#onGone = listener;
    if (this.#gone) listener?.();
  }

  notify(method: string, params: string): void {
    if (method !== "notifications/progress" || this.#over) return;
    this.#note = progressText(params) ?? this.#note;
    if (this.#noting === null) this.#writeNote();
  }

  answer(text: string, refusal: Refusal | null): void {
    this.#over = true;
    if (this.#noting !== null) clearTimeout(this.#noting);
    // It stays the task of this instance, from which another takes it over.
    if (refusal?.code === "stopping") return;
    const { store, name, insist, onFault } = this.#parts;
    const asks = this.#asks;
    this.#written = insist(async () => {
      if (refusal !== null) return store.fail(name, text);
      const written = await (asks === null
        ? store.complete(name, text)
        : store.ask(name, JSON.stringify(asks)));
      if (written !== "full") return written === "written";
      // The handler did what it did, and is on record with that; but its caller must not wait for what is not kept.
      onFault(new Fault("handler_failed", { detail: FULL }));
      return store.fail(name, fullText());
    });
  }

  detach(): void {
    // There is no stream.
  }

  readonly open: OpenConversation = (run): Conversation => {
    const replay = new ReplayConversation({
      state: this.#state.replay,
      responses: this.#state.responses,
      suspend: (requests, state) => {
        this.#asks = pose(this.#state, requests, state);
        run.suspend(ASKS);
      },
    });
    return {
      ask: (key, request, accept) => replay.ask(key, request, accept),
      step: async (key, perform) => {
        const value = await replay.step(key, perform);
        await this.#remember(key, value === undefined ? "" : JSON.stringify(value));
        return value;
      },
    };
  };

  /** A step is done when it is in the row, for all who wait for it: a run that takes this one's place does not do it again. */
  #remember(key: string, text: string): Promise<void> {
    let remembered = this.#remembered.get(key);
    if (remembered === undefined) {
      remembered = this.#save(key, text);
      this.#remembered.set(key, remembered);
      // A handler that tries the step again tries this again.
      remembered.catch(() => this.#remembered.delete(key));
    }
    return remembered;
  }

  async #save(key: string, text: string): Promise<void> {
    const { replay } = this.#state;
    const steps = Object.fromEntries([...Object.entries(replay.steps), [key, text]]);
    this.#state = { ...this.#state, replay: bounded({ ...replay, steps }) };
    const state = JSON.stringify(this.#state);
    const { store, name, patiently } = this.#parts;
    // What the step did is not to be done twice: the handler waits for the database for as long as the run goes on.
    const save = () =>
      patiently(
        () => store.save(name, state),
        () => !this.#gone && !this.#over,
      );
    // One after the other: an older state must not come after a newer one.
    const saved = this.#saving.then(save);
    this.#saving = saved.catch(() => {});
    const written = await saved;
    if (written === "written") return;
    if (written === "full") throw new Fault("handler_failed", { detail: FULL });
    this.stop();
    throw new AskedInVain();
  }

  #writeNote(): void {
    const note = this.#note;
    this.#note = null;
    if (note === null || this.#over) {
      this.#noting = null;
      return;
    }
    this.#noting = setTimeout(() => this.#writeNote(), NOTE_MS).unref();
    this.#parts.store.note(this.#parts.name, note).catch(this.#parts.onFault);
  }
}

/** The error of a task whose result, or whose questions, its tenant's tasks may not hold. */
function fullText(): string {
  const data = { limit: "taskBytes", value: TASK_BOUNDS.bytes };
  return JSON.stringify(errorObject(refuse("handler_failed", { detail: FULL, data })));
}

/** What `notifications/progress` says, for a person. */
function progressText(params: string): string | null {
  const said: unknown = JSON.parse(params);
  if (!isObject(said)) return null;
  const [message, progress, total] = ["message", "progress", "total"].map((name) => member(said, name));
  if (typeof message === "string") return message.slice(0, MAX_NOTE);
  return total === undefined ? `${progress}` : `${progress} of ${total}`;
}
