import { after, type Eventually } from "../core/eventually.ts";
import { isRefusal, type Refusal, refuse } from "../core/refusal.ts";
import { type Principal, principalKey } from "../tenancy/principal.ts";
import type { Conversation, OpenConversation, RunControl } from "./conversation.ts";
import { isObject, type JsonObject, member } from "./json-rpc.ts";
import type { McpRequest, Method } from "./mcp-request.ts";
import { ParkingConversation, type ParkingPlaces } from "./parking-conversation.ts";
import { membersOf } from "./performed.ts";
import { NOTHING_YET, ReplayConversation, type ReplayState } from "./replay.ts";
import type { RequestStates, StateOwner } from "./request-state.ts";

/**
 * The rounds of a request whose handler asks back (2026-07-28, basic, patterns, "Multi Round-Trip Requests"). Waits only
 * where a state was sealed under a key that this instance has not read yet.
 */
export type Rounds = (
  request: McpRequest,
  caller: { readonly principal: Principal },
) => Eventually<OpenConversation | Refusal>;

/** "Supported Requests": no other may be answered with `input_required`. */
const MAY_ASK: ReadonlySet<Method> = new Set(["tools/call", "prompts/get", "resources/read"]);
/** Characters of a state that is looked at. Ours are shorter: 256 KB sealed, in base64. */
const MAX_STATE_TEXT = 400 * 1024;

export function createRounds({
  states,
  places,
}: {
  readonly states: RequestStates;
  readonly places: ParkingPlaces;
}): Rounds {
  return (request, { principal }) => {
    if (!MAY_ASK.has(request.method)) return askNothing;
    const responses = readResponses(member(request.params, "inputResponses"));
    if (isRefusal(responses)) return responses;
    const owner: StateOwner = { request, principal };
    const from = (state: ReplayState) => beginAgain(state, { responses, states, owner, places });
    const text = member(request.params, "requestState");
    if (text === undefined) return from(NOTHING_YET);
    if (typeof text !== "string")
      return refuse("params_invalid", { detail: "params.requestState must be a text." });
    if (text.length > MAX_STATE_TEXT) return refuse("request_state_invalid");
    return after(states.open(text, owner), (state) =>
      state === null ? refuse("request_state_invalid") : from(state),
    );
  };
}

/** What a run from the top finds, and how it ends when it asks. */
function beginAgain(
  state: ReplayState,
  of: {
    readonly responses: JsonObject;
    readonly states: RequestStates;
    readonly owner: StateOwner;
    readonly places: ParkingPlaces;
  },
): OpenConversation {
  return (run, kind) => {
    if (kind === "living" || state.parked !== undefined) return park(run, state.parked ?? null, of);
    return new ReplayConversation({
      state,
      responses: of.responses,
      suspend: (inputRequests, next) =>
        run.suspend({
          resultType: "input_required",
          members: membersOf({ inputRequests, requestState: of.states.seal(next, of.owner) }),
          meta: null,
          outcome: "input_required",
          code: null,
        }),
    });
  };
}

/** For a handler that cannot be run again. */
function park(
  run: RunControl,
  callId: string | null,
  of: Parameters<typeof beginAgain>[1],
): ParkingConversation {
  const { owner, responses, states } = of;
  const { principal } = owner;
  return new ParkingConversation(
    run,
    {
      owner: { tenantId: principal.tenantId, principal: principalKey(principal) },
      callId,
      responses,
      weigh: () => weightOf(owner.request.params),
      seal: (parked) => states.seal({ ...NOTHING_YET, parked }, owner),
    },
    of.places,
  );
}

/** Of one value among others, on the heap, in bytes or thereabouts. */
const VALUE_BYTES = 32;

/** Of JSON, in bytes or thereabouts. Without recursion: arguments may be nested deeper than the stack is. */
function weightOf(value: unknown): number {
  const rest = [value];
  let bytes = 0;
  while (rest.length > 0) {
    const next = rest.pop();
    bytes += VALUE_BYTES + (typeof next === "string" ? next.length : 0);
    if (typeof next !== "object" || next === null) continue;
    // One by one: a million of them are too many arguments for a call.
    for (const [name, each] of Object.entries(next)) {
      bytes += name.length;
      rest.push(each);
    }
  }
  return bytes;
}

const NO_RESPONSES: JsonObject = Object.freeze({});

/** `InputResponses`: results by key. Whether one answers its question is seen when that is asked. */
function readResponses(value: unknown): JsonObject | Refusal {
  if (value === undefined) return NO_RESPONSES;
  if (isObject(value) && Object.values(value).every(isObject)) return value;
  return refuse("params_invalid", { detail: "params.inputResponses must be an object of results." });
}

/** For handlers of what cannot be asked about, such as completers. */
function askNothing(): Conversation {
  return {
    ask: () => Promise.reject(new TypeError("Only tools, prompts and resources can ask the client.")),
    step: async (_key, run) => run(),
  };
}
