import { Fault } from "../../core/fault.ts";
import type { InputRequest } from "../conversation.ts";
import { isObject, type JsonObject, member } from "../json-rpc.ts";
import type { ReplayState } from "../replay.ts";

/** What a run of a task goes by, and what its client is asked at the moment. */
export interface TaskState {
  readonly replay: ReplayState;
  /** How often each question was asked, by its key. */
  readonly times: Readonly<Record<string, number>>;
  /** What the client is asked, by the name under which it is: see {@link pose}. */
  readonly questions: Readonly<Record<string, PosedQuestion>>;
  /** What the client has answered since the last run, by the key of the question. Nothing of it is trusted. */
  readonly responses: JsonObject;
}

interface PosedQuestion {
  readonly key: string;
  readonly request: JsonObject;
}

/** Bytes of a state with questions in it, as JSON. Answers come on top of it, and have a bound of their own. */
const MAX_TASK_STATE = 1_048_576;

export function taskState(replay: ReplayState): TaskState {
  return { replay, times: {}, questions: {}, responses: {} };
}

export function readTaskState(text: string): TaskState {
  const state: unknown = JSON.parse(text);
  const part = (name: string): JsonObject => {
    const value = isObject(state) ? member(state, name) : undefined;
    if (!isObject(value)) throw new TypeError("The state of a task cannot be read.");
    return value;
  };
  const replay = part("replay");
  const texts = (name: string): Record<string, string> => {
    const value = member(replay, name);
    return mapped(isObject(value) ? value : {}, (given) => (typeof given === "string" ? given : null));
  };
  return {
    replay: { answers: texts("answers"), asked: texts("asked"), steps: texts("steps") },
    times: mapped(part("times"), (given) => (typeof given === "number" ? given : null)),
    questions: mapped(part("questions"), (given) => {
      if (!isObject(given)) return null;
      const { key, request } = given;
      return typeof key === "string" && isObject(request) ? { key, request } : null;
    }),
    responses: part("responses"),
  };
}

/**
 * The state of a task whose run ended with questions. A key of the handler's may be asked again, where an answer did not
 * fit; but a name that the client sees is never used twice ("Each request key in inputRequests MUST be unique over the
 * lifetime of a single task"). So the second time it has a number, behind a character that no key has.
 *
 * @throws Fault `handler_failed` where that would be more than a task may hold.
 */
export function pose(
  state: TaskState,
  requests: Readonly<Record<string, InputRequest>>,
  replay: ReplayState,
): TaskState {
  const times = new Map(Object.entries(state.times));
  const questions = Object.entries(requests).map(([key, { method, params }]) => {
    const time = (times.get(key) ?? 0) + 1;
    times.set(key, time);
    return [time === 1 ? key : `${key}~${time}`, { key, request: { method, params } }] as const;
  });
  const posed = {
    replay,
    times: Object.fromEntries(times),
    questions: Object.fromEntries(questions),
    responses: {},
  };
  if (Buffer.byteLength(JSON.stringify(posed)) > MAX_TASK_STATE)
    throw new Fault("handler_failed", {
      detail: `What a task asks and remembers may have ${MAX_TASK_STATE} bytes together.`,
    });
  return posed;
}

/** What `inputRequests` shows. */
export function inputRequestsOf({ questions }: TaskState): JsonObject {
  return mapped(questions, ({ request }) => request);
}

/**
 * Takes the answers to what is asked, and ignores all others. The task goes on when nothing is left to be asked: then
 * `questions` is empty.
 */
export function takeResponses(state: TaskState, inputResponses: JsonObject): TaskState {
  const left: [string, PosedQuestion][] = [];
  const responses = new Map(Object.entries(state.responses));
  for (const [name, question] of Object.entries(state.questions)) {
    const given = member(inputResponses, name);
    if (isObject(given)) responses.set(question.key, given);
    else left.push([name, question]);
  }
  return { ...state, questions: Object.fromEntries(left), responses: Object.fromEntries(responses) };
}

/** A record of the same keys; those are left out for which `change` gives null. Whatever a key is, it is only a key. */
function mapped<T, R>(of: Readonly<Record<string, T>>, change: (value: T) => R | null): Record<string, R> {
  const entries: [string, R][] = [];
  for (const [key, value] of Object.entries(of)) {
    const changed = change(value);
    if (changed !== null) entries.push([key, changed]);
  }
  return Object.fromEntries(entries);
}
