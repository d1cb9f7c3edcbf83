import type { Refusal } from "../../core/refusal.ts";
import type { Conversation, OpenConversation } from "../conversation.ts";
import { isObject, member } from "../json-rpc.ts";
import type { Performed } from "../performed.ts";
import { ReplayConversation } from "../replay.ts";
import type { Reply } from "../reply.ts";
import { AskedInVain } from "../request-link.ts";
import { pose, readTaskState, type TaskState } from "./task-state.ts";
import type { TaskRow, TaskRunName, TaskStore } from "./task-store.ts";

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

/** What a run needs of its instance. */
export interface TaskRunParts {
  readonly store: TaskStore;
  readonly name: TaskRunName;
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
    const { store, name, insist } = this.#parts;
    const asks = this.#asks;
    this.#written = insist(() => {
      if (refusal !== null) return store.end(name, "failed", text);
      return asks === null ? store.end(name, "completed", text) : store.ask(name, JSON.stringify(asks));
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
    this.#state = { ...this.#state, replay: { ...replay, steps } };
    const state = JSON.stringify(this.#state);
    // One after the other: an older state must not come after a newer one.
    const saved = this.#saving.then(() => this.#parts.store.save(this.#parts.name, state));
    this.#saving = saved.catch(() => {});
    if (await saved) return;
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

/** What `notifications/progress` says, for a person. */
function progressText(params: string): string | null {
  const said: unknown = JSON.parse(params);
  if (!isObject(said)) return null;
  const [message, progress, total] = ["message", "progress", "total"].map((name) => member(said, name));
  if (typeof message === "string") return message.slice(0, MAX_NOTE);
  return total === undefined ? `${progress}` : `${progress} of ${total}`;
}
