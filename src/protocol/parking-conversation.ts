import type { Eventually } from "../core/eventually.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { BeginLiving } from "../tenancy/living-call.ts";
import type { TenantContext } from "../tenancy/tenant-context.ts";
import type { CallsElsewhere } from "./calls-elsewhere.ts";
import type { Conversation, InputRequest, LivingRound, RunControl } from "./conversation.ts";
import type { JsonObject } from "./json-rpc.ts";
import { ParkedCall, type Turn } from "./parked-call.ts";
import type { CallOwner, HeldCall, ParkedCalls, StandIn } from "./parked-calls.ts";
import { membersOf } from "./performed.ts";
import { AskedInVain } from "./request-link.ts";

/** What a request has to do with a parked call. */
export interface ParkingOrder {
  readonly owner: CallOwner;
  /** The call that its state names; null: it begins one. */
  readonly callId: string | null;
  readonly responses: JsonObject;
  /** Of the request, in bytes or thereabouts. */
  readonly weigh: () => number;
  /** Makes the state that names a call. */
  readonly seal: (callId: string) => string;
}

/** Where calls with living handlers are. */
export interface ParkingPlaces {
  readonly parked: ParkedCalls;
  readonly elsewhere: CallsElsewhere;
}

/**
 * How a handler that lives on asks back on the current revision: the request is answered `input_required`, the handler
 * waits where it is, and the request that brings the answers waits for it, from whichever instance.
 */
export class ParkingConversation implements Conversation {
  readonly #run: RunControl;
  readonly #order: ParkingOrder;
  readonly #places: ParkingPlaces;
  /** Null while there is none here. */
  #call: ParkedCall | null = null;

  constructor(run: RunControl, order: ParkingOrder, places: ParkingPlaces) {
    this.#run = run;
    this.#order = order;
    this.#places = places;
  }

  ask(
    key: string,
    request: InputRequest,
    accept: (result: JsonObject) => Eventually<boolean>,
  ): Promise<JsonObject> {
    return this.#call === null ? Promise.reject(new AskedInVain()) : this.#call.ask(key, request, accept);
  }

  /** Nothing is run twice. */
  async step(_key: string, run: () => unknown): Promise<unknown> {
    return run();
  }

  async live({ ctx, again }: LivingRound, begin: BeginLiving): Promise<unknown> {
    const { owner, callId, responses } = this.#order;
    const { parked, elsewhere } = this.#places;
    if (callId === null) {
      const call = new ParkedCall();
      const standIn: StandIn = ({ end, ...continuation }) =>
        again({
          ...continuation,
          conversation: { ask: (...asked) => call.ask(...asked), step: async (_key, run) => run() },
          run: { suspend: end, waiting: (answer) => answer },
        });
      const held: HeldCall = { id: parked.newId(), owner, call, weight: this.#order.weigh(), standIn };
      return this.#serve(held, ctx, () => call.begin(ctx, begin));
    }
    if (parked.isOurs(callId)) {
      const held = parked.take(callId, owner);
      if (held === null) return this.#refuse(refuse("request_state_invalid"));
      return this.#serve(held, ctx, () => held.call.resume(ctx, responses));
    }
    const turn = await elsewhere.resume(callId, {
      owner,
      rights: ctx.principal,
      responses,
      signal: ctx.signal,
    });
    switch (turn.kind) {
      case "ended":
        return turn.value;
      case "asks":
        return this.#ask(callId, turn.requests);
      case "refused":
        return this.#refuse(turn.refusal);
    }
  }

  async #serve(held: HeldCall, ctx: TenantContext, serve: () => Promise<Turn>): Promise<unknown> {
    this.#call = held.call;
    const turn = await held.call.whileWanted(ctx.signal, serve);
    switch (turn.kind) {
      case "ended":
        return turn.value;
      case "failed":
        // The handler of a call that was ended has its place until it has ended itself.
        await held.call.handlerEnded;
        throw turn.cause;
      case "asks": {
        const refusal = this.#places.parked.park(held);
        if (refusal === null) return this.#ask(held.id, turn.requests);
        this.#run.suspend(refusal);
        await held.call.handlerEnded;
        throw new AskedInVain();
      }
    }
  }

  #ask(callId: string, inputRequests: Readonly<Record<string, InputRequest>>): never {
    this.#run.suspend({
      resultType: "input_required",
      members: membersOf({ inputRequests, requestState: this.#order.seal(callId) }),
      meta: null,
      outcome: "input_required",
      code: null,
    });
    throw new AskedInVain();
  }

  #refuse(refusal: Refusal): never {
    this.#run.suspend(refusal);
    throw new AskedInVain();
  }
}
