import type { Eventually } from "../core/eventually.ts";
import type { Refusal } from "../core/refusal.ts";
import type { BeginLiving, Continuation } from "../tenancy/living-call.ts";
import type { TenantContext } from "../tenancy/tenant-context.ts";
import type { JsonObject } from "./json-rpc.ts";
import type { Performed } from "./performed.ts";

/** A request to the client, as it goes over the wire. */
export interface InputRequest {
  readonly method: "elicitation/create" | "sampling/createMessage" | "roots/list";
  readonly params: JsonObject;
}

/**
 * How handlers of one request ask back: at once, on the open stream of an earlier revision; or by ending the run with
 * `input_required` and beginning it again when the answers are there.
 */
export interface Conversation {
  /**
   * The client's result for a question.
   *
   * @param accept says whether a result will do: where it does not, the client is asked again, or the call ends.
   */
  ask(
    key: string,
    request: InputRequest,
    accept: (result: JsonObject) => Eventually<boolean>,
  ): Promise<JsonObject>;
  /** Runs a step once in the whole call and gives what it gave. */
  step(key: string, run: () => unknown): Promise<unknown>;
  /**
   * Runs a handler that cannot be run from the top again, or goes on with the one of this call. Absent: handlers wait for
   * the client in the run that they began in.
   */
  live?(round: LivingRound, begin: BeginLiving): Promise<unknown>;
}

/** One request of a call whose handler lives on while its client is asked. */
export interface LivingRound {
  readonly ctx: TenantContext;
  /** Another context of the call, for a request that came to another instance: what is said in it goes nowhere. */
  again(of: Continuation & { readonly conversation: Conversation; readonly run: RunControl }): TenantContext;
}

/** How a handler stands it that its client has to be asked. */
export type HandlerKind = "replayed" | "living";

/** What a conversation can do with the run that it belongs to. */
export interface RunControl {
  /** Ends the run here and now with an answer: what the handler does afterwards is of no account. */
  suspend(end: Performed | Refusal): void;
  /** Waits for the client. Meanwhile the time limit of the call stands still. */
  waiting<T>(answer: Promise<T>): Promise<T>;
}

/** Makes the conversation of one request when its handler first asks. @param kind default `replayed`. */
export type OpenConversation = (run: RunControl, kind?: HandlerKind) => Conversation;
