import { AsyncLocalStorage } from "node:async_hooks";
import { hash } from "node:crypto";
import type { Eventually } from "../core/eventually.ts";
import { Fault } from "../core/fault.ts";
import type { Conversation, InputRequest } from "./conversation.ts";
import { isObject, type JsonObject, member } from "./json-rpc.ts";
import { AskedInVain } from "./request-link.ts";

/**
 * What a call has come to before its handler is run from the top again. Values are JSON as text: so they go into any
 * store, whatever characters a client put into them, and nobody changes what is remembered.
 */
export interface ReplayState {
  /** Results of the client that were accepted, by the key of their question. */
  readonly answers: Readonly<Record<string, string>>;
  /** Digests of the forms that users were shown, by key. */
  readonly asked: Readonly<Record<string, string>>;
  /** What steps gave, by key; empty for undefined. */
  readonly steps: Readonly<Record<string, string>>;
  /** The call whose handler lives on and waits, where it is one that cannot be run again: then the rest is empty. */
  readonly parked?: string;
}

/** The state of a call whose handler has not run yet. */
export const NOTHING_YET: ReplayState = Object.freeze({ answers: {}, asked: {}, steps: {} });

/** Questions of one call, and steps. */
const MAX_QUESTIONS = 64;
const MAX_STEPS = 64;
/** Bytes of what one step gave, as JSON. */
const MAX_STEP = 65_536;
/** Bytes of a state, as JSON: it travels with every round. */
const MAX_STATE = 262_144;

/** A question, or a step under way. */
interface Awaited {
  /** The steps whose code waits for it. */
  readonly awaitedBy: Set<Awaited>;
}

/** In which step code runs: nothing else says what a step waits for. */
const inStep = new AsyncLocalStorage<Awaited>();

interface Question extends Awaited {
  /** The request as JSON. */
  readonly text: string;
  readonly answer: Promise<JsonObject>;
}

interface StepUnderWay {
  readonly step: Awaited;
  readonly result: Promise<unknown>;
}

interface OpenQuestion {
  readonly request: InputRequest;
  readonly reject: (cause: unknown) => void;
}

/**
 * Asks by ending the run: a handler is run from the top for each round of answers, and finds the answers of before and
 * what its steps gave in the state. Questions that are asked together go out together.
 */
export class ReplayConversation implements Conversation {
  readonly #responses: JsonObject;
  readonly #suspend: (requests: Readonly<Record<string, InputRequest>>, state: ReplayState) => void;
  readonly #answers: Map<string, string>;
  readonly #asked: Map<string, string>;
  readonly #steps: Map<string, string>;
  readonly #questions = new Map<string, Question>();
  readonly #open = new Map<string, OpenQuestion>();
  readonly #underWay = new Map<string, StepUnderWay>();
  /** Answers that are being looked at. */
  #judging = 0;
  #due = false;
  #over = false;

  /**
   * @param of.responses what the client answered since, by key: as it came, so nothing of it is trusted.
   * @param of.suspend ends the run; called at most once, outside the handler's turn.
   */
  constructor(of: {
    readonly state: ReplayState;
    readonly responses: JsonObject;
    readonly suspend: (requests: Readonly<Record<string, InputRequest>>, state: ReplayState) => void;
  }) {
    this.#responses = of.responses;
    this.#suspend = of.suspend;
    this.#answers = new Map(Object.entries(of.state.answers));
    this.#asked = new Map(Object.entries(of.state.asked));
    this.#steps = new Map(Object.entries(of.state.steps));
  }

  ask(
    key: string,
    request: InputRequest,
    accept: (result: JsonObject) => Eventually<boolean>,
  ): Promise<JsonObject> {
    if (this.#over) return Promise.reject(new AskedInVain());
    const text = JSON.stringify(request);
    const before = this.#questions.get(key);
    if (before !== undefined) {
      if (before.text !== text)
        return Promise.reject(new TypeError(`Two different questions have the key ${key}.`));
      noteWho(before);
      return before.answer;
    }
    if (this.#questions.size === MAX_QUESTIONS)
      return Promise.reject(tooMuch(`A call may ask ${MAX_QUESTIONS} questions.`));
    const answer = this.#answer(key, { request, digest: formDigest(request, text) }, accept);
    // Who asks two questions and awaits the first never hears what became of the second.
    answer.catch(() => {});
    const question = { text, answer, awaitedBy: new Set<Awaited>() };
    noteWho(question);
    this.#questions.set(key, question);
    return answer;
  }

  step(key: string, run: () => unknown): Promise<unknown> {
    // The run is over: what a handler still does must not be done, since the next run does it again.
    if (this.#over) return Promise.reject(new AskedInVain());
    const begun = this.#underWay.get(key);
    if (begun !== undefined) {
      // Also by way of others: it would wait until the time of the call, or of the task, is over.
      const within = inStep.getStore();
      if (within !== undefined && (begun.step === within || allAwaiting([within]).has(begun.step)))
        return Promise.reject(new TypeError(`The step ${key} waits for itself.`));
      noteWho(begun.step);
      return begun.result;
    }
    const done = this.#steps.get(key);
    if (done !== undefined) return Promise.resolve(remembered(done));
    if (this.#steps.size + this.#underWay.size >= MAX_STEPS)
      return Promise.reject(tooMuch(`A call may have ${MAX_STEPS} steps.`));
    const step = { awaitedBy: new Set<Awaited>() };
    noteWho(step);
    const result = this.#perform(key, step, run);
    result.catch(() => {});
    this.#underWay.set(key, { step, result });
    return result;
  }

  async #answer(
    key: string,
    { request, digest }: { readonly request: InputRequest; readonly digest: string | null },
    accept: (result: JsonObject) => Eventually<boolean>,
  ): Promise<JsonObject> {
    const shown = this.#asked.get(key);
    // What a user answered to one form is no answer to another, for example with another price in it.
    const isAnother = digest !== null && shown !== undefined && shown !== digest;
    if (digest !== null) this.#asked.set(key, digest);
    for (const given of isAnother ? [] : this.#given(key)) {
      if (!(await this.#judge(given, accept))) continue;
      this.#answers.set(key, JSON.stringify(given));
      return given;
    }
    this.#answers.delete(key);
    return new Promise((_resolve, reject) => {
      this.#open.set(key, { request, reject });
      this.#suspendSoon();
    });
  }

  /** The answer of before, which stands, or else the client's of now. */
  #given(key: string): JsonObject[] {
    const kept = this.#answers.get(key);
    const values: unknown[] = [
      ...(kept === undefined ? [] : [JSON.parse(kept)]),
      member(this.#responses, key),
    ];
    return values.filter((value) => isObject(value));
  }

  async #judge(given: JsonObject, accept: (result: JsonObject) => Eventually<boolean>): Promise<boolean> {
    this.#judging++;
    try {
      return await accept(given);
    } finally {
      this.#judging--;
      this.#suspendSoon();
    }
  }

  async #perform(key: string, step: Awaited, run: () => unknown): Promise<unknown> {
    try {
      // It is known to have begun before its code runs, which may end at once or come here again.
      await null;
      const text = rememberable(key, await inStep.run(step, run));
      this.#steps.set(key, text);
      return remembered(text);
    } finally {
      this.#underWay.delete(key);
      this.#suspendSoon();
    }
  }

  /** After this turn of the handler, in which it may ask more. */
  #suspendSoon(): void {
    if (this.#due || this.#over || this.#open.size === 0) return;
    this.#due = true;
    setImmediate(() => {
      this.#due = false;
      this.#suspendNow();
    });
  }

  #suspendNow(): void {
    // In the order in which they were asked, which is not the one in which they were found to be unanswered.
    const asked = [...this.#questions].filter(([key]) => this.#open.has(key));
    // What a step gives must be in the state, or else the next run does it once more; the same for an answer that is
    // being looked at. A step that waits for an answer is done again with it.
    const waiting = allAwaiting(asked.map(([, question]) => question));
    if (this.#judging > 0 || [...this.#underWay.values()].some(({ step }) => !waiting.has(step))) return;
    const open = asked.flatMap(([key]) => {
      const question = this.#open.get(key);
      return question === undefined ? [] : [[key, question] as const];
    });
    this.#open.clear();
    let why: unknown = new AskedInVain();
    try {
      const requests = Object.fromEntries(open.map(([key, { request }]) => [key, request]));
      this.#suspend(requests, this.#state());
      this.#over = true;
    } catch (cause) {
      why = cause;
    }
    for (const [, { reject }] of open) reject(why);
  }

  #state(): ReplayState {
    return bounded({
      answers: Object.fromEntries(this.#answers),
      asked: Object.fromEntries(this.#asked),
      steps: Object.fromEntries(this.#steps),
    });
  }
}

/** The same state. @throws Fault `handler_failed` where it has more bytes than a state may. */
export function bounded(state: ReplayState): ReplayState {
  if (Buffer.byteLength(JSON.stringify(state)) > MAX_STATE)
    throw tooMuch(`The answers and steps of a call may have ${MAX_STATE} bytes together.`);
  return state;
}

/** Notes that the step in which this code runs waits for something. */
function noteWho({ awaitedBy }: Awaited): void {
  const step = inStep.getStore();
  if (step !== undefined) awaitedBy.add(step);
}

/** The steps that wait for any of these, or for a step that does. */
function allAwaiting(these: readonly Awaited[]): ReadonlySet<Awaited> {
  const found = new Set<Awaited>();
  const rest = [...these];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    for (const step of next.awaitedBy) {
      if (found.has(step)) continue;
      found.add(step);
      rest.push(step);
    }
  }
  return found;
}

function tooMuch(detail: string): Fault {
  return new Fault("handler_failed", { detail });
}

/** What a step gave, as JSON. */
function rememberable(key: string, value: unknown): string {
  if (value === undefined) return "";
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new Fault("handler_failed", { detail: `The step ${key} gave what is not JSON.`, cause });
  }
  if (text === undefined)
    throw new Fault("handler_failed", { detail: `The step ${key} gave what is not JSON.` });
  if (Buffer.byteLength(text) > MAX_STEP) throw tooMuch(`The step ${key} gave more than ${MAX_STEP} bytes.`);
  return text;
}

/** In the run in which it was done too, so that a handler sees the same in all of them. */
function remembered(text: string): unknown {
  return text === "" ? undefined : JSON.parse(text);
}

/**
 * By which a form is known again, so that an answer counts for what its user was shown. Of a form alone: what a model is
 * asked may have the time in it, and a visit's address is its own.
 */
export function formDigest({ method, params }: InputRequest, text: string): string | null {
  return method === "elicitation/create" && member(params, "mode") !== "url"
    ? hash("sha256", text, "base64url")
    : null;
}
