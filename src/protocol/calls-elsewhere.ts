import type { Eventually } from "../core/eventually.ts";
import { Fault } from "../core/fault.ts";
import type { TenantId } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { SignalPayloads } from "../core/signal.ts";
import type { Rights } from "../tenancy/principal.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import type { InputRequest } from "./conversation.ts";
import { isObject, type JsonObject } from "./json-rpc.ts";
import { type CallOwner, type HeldCall, type ParkedCalls, tooManyParked } from "./parked-calls.ts";
import { AskedInVain } from "./request-link.ts";
import type { SignalPort } from "./signal-port.ts";

/** What the instance that has a call says of it. */
export type TurnElsewhere =
  | { readonly kind: "ended"; readonly value: unknown }
  | { readonly kind: "asks"; readonly requests: Readonly<Record<string, InputRequest>> }
  | { readonly kind: "refused"; readonly refusal: Refusal };

/** Requests of calls that are parked on another instance, and those of others for calls that are parked here. */
export interface CallsElsewhere {
  /** Brings answers to the instance that has a call, and waits for what comes of them. */
  resume(
    callId: string,
    of: {
      readonly owner: CallOwner;
      readonly rights: Rights;
      readonly responses: JsonObject;
      readonly signal: AbortSignal;
    },
  ): Promise<TurnElsewhere>;
  close(): void;
}

/** How soon an instance that has a call says so, in milliseconds: signals are read every half second at the least. */
const TAKEN_WITHIN_MS = 5_000;

/** What is said of one attempt. `taken` and `failed` come from the call's instance, `left` from whoever waited for it. */
type Said = TurnSaid | { readonly kind: "taken" | "failed" | "left" };
type TurnSaid =
  | { readonly kind: "ended"; readonly value: unknown }
  | { readonly kind: "asks"; readonly requests: Readonly<Record<string, InputRequest>> }
  | { readonly kind: "refused"; readonly code: "request_state_invalid" | "rate_limited" };

export function createCallsElsewhere(options: {
  readonly parked: ParkedCalls;
  readonly signals: SignalPort;
  /** The tenant as it is now; null: it is gone. */
  readonly current: (tenantId: TenantId) => Eventually<TenantSnapshot | null>;
  readonly random: (bytes: number) => Uint8Array;
  readonly onFault: (message: string, cause: unknown) => void;
  readonly takenWithinMs?: number;
}): CallsElsewhere {
  const { parked, signals, current, random, onFault, takenWithinMs = TAKEN_WITHIN_MS } = options;
  /** Attempts of this instance's own callers. Bounded by the tenants' limits of operations in flight. */
  const waiting = new Map<string, { readonly tenantId: TenantId; tell(said: Said): void }>();
  /** Attempts of other instances, for calls that are here. Bounded as calls are. */
  const serving = new Map<string, HeldCall>();

  const say = (tenantId: TenantId, attempt: string, said: Said): Refusal | null =>
    signals.publish({
      tenantId,
      topic: "call_answered",
      payload: { callId: attempt, round: 0, text: JSON.stringify(said) },
    });

  const serve = async (
    attempt: string,
    held: HeldCall,
    { rights, responses }: SignalPayloads["call_resumed"],
  ): Promise<void> => {
    const { call, owner } = held;
    const over = new AbortController();
    let limit: NodeJS.Timeout | null = null;
    serving.set(attempt, held);
    say(owner.tenantId, attempt, { kind: "taken" });
    try {
      // As of this request, and not of the one with which the call began.
      const snapshot = await current(owner.tenantId);
      if (snapshot === null) throw new Fault("tenant_not_found");
      const ctx = held.standIn({
        signal: over.signal,
        snapshot,
        rights: { ...rights, permissions: new Set(rights.permissions) },
        end: () => call.end(),
      });
      // Its own limit: who waits elsewhere may have gone without a word.
      const limitMs = ctx.tenant.limits.callTimeoutMs;
      if (limitMs !== null) limit = setTimeout(() => call.end(), limitMs).unref();
      const turn = await call.resume(ctx, responses);
      const untold = say(owner.tenantId, attempt, saidOf(turn, held));
      if (untold !== null) say(owner.tenantId, attempt, { kind: "failed" });
    } finally {
      clearTimeout(limit ?? undefined);
      serving.delete(attempt);
      over.abort();
    }
  };

  const saidOf = (turn: Awaited<ReturnType<HeldCall["call"]["resume"]>>, held: HeldCall): Said => {
    switch (turn.kind) {
      case "ended":
        return turn;
      case "asks":
        return parked.park(held) === null ? turn : { kind: "refused", code: "rate_limited" };
      case "failed":
        if (!(turn.cause instanceof AskedInVain)) onFault("A parked call failed.", turn.cause);
        return { kind: "failed" };
    }
  };

  const ends = [
    signals.subscribe("call_resumed", ({ tenantId, payload }) => {
      const { callId: attempt, principal } = payload;
      const callId = attempt.slice(0, attempt.lastIndexOf("."));
      if (!parked.isOurs(callId)) return;
      const held = parked.take(callId, { tenantId, principal });
      if (held === null) {
        say(tenantId, attempt, { kind: "refused", code: "request_state_invalid" });
        return;
      }
      serve(attempt, held, payload).catch((cause: unknown) => {
        held.call.end();
        say(tenantId, attempt, { kind: "failed" });
        onFault("A parked call could not go on.", cause);
      });
    }),
    signals.subscribe("call_answered", ({ tenantId, payload }) => {
      const said = parseSaid(payload.text);
      if (said === null) return;
      const held = serving.get(payload.callId);
      if (said.kind === "left" && held?.owner.tenantId === tenantId) held.call.end();
      const waiter = waiting.get(payload.callId);
      if (waiter?.tenantId === tenantId) waiter.tell(said);
    }),
  ];

  return {
    resume(callId, { owner, rights, responses, signal }) {
      const { tenantId, principal } = owner;
      const attempt = `${callId}.${Buffer.from(random(12)).toString("base64url")}`;
      return new Promise<TurnElsewhere>((resolve, reject) => {
        const end = (): void => {
          clearTimeout(timer);
          signal.removeEventListener("abort", leave);
          waiting.delete(attempt);
        };
        const refused = (refusal: Refusal): void => {
          end();
          resolve({ kind: "refused", refusal });
        };
        const leave = (): void => {
          end();
          say(tenantId, attempt, { kind: "left" });
          reject(new AskedInVain());
        };
        // The instance is gone, and with it the call. If it was only slow the handler must not go on for nobody.
        const giveUp = (): void => {
          say(tenantId, attempt, { kind: "left" });
          refused(refuse("request_state_invalid"));
        };
        const timer = setTimeout(giveUp, takenWithinMs);
        signal.addEventListener("abort", leave);
        waiting.set(attempt, {
          tenantId,
          tell(said) {
            switch (said.kind) {
              case "taken":
                clearTimeout(timer);
                return;
              case "left":
                return;
              case "failed":
                return refused(refuse("handler_failed"));
              case "refused":
                return refused(said.code === "rate_limited" ? tooManyParked() : refuse(said.code));
              default:
                end();
                resolve(said);
            }
          },
        });
        const { permissions, roles, expiresAt } = rights;
        const payload = {
          callId: attempt,
          principal,
          rights: { permissions: [...permissions], roles, expiresAt },
          responses,
        };
        if (signal.aborted) return leave();
        const untold = signals.publish({ tenantId, topic: "call_resumed", payload });
        if (untold !== null) refused(untold);
      });
    },
    close() {
      for (const each of ends) each();
    },
  };
}

/** What another instance said, perhaps one of another version. */
function parseSaid(text: string): Said | null {
  const said: unknown = JSON.parse(text);
  if (!isObject(said)) return null;
  const { kind, value, requests, code } = said;
  switch (kind) {
    case "taken":
    case "failed":
    case "left":
      return { kind };
    case "ended":
      return { kind, value };
    case "asks":
      return isRequests(requests) ? { kind, requests } : null;
    case "refused":
      return code === "request_state_invalid" || code === "rate_limited" ? { kind, code } : null;
    default:
      return null;
  }
}

const ASKED: ReadonlySet<unknown> = new Set(["elicitation/create", "sampling/createMessage", "roots/list"]);

function isRequests(value: unknown): value is Readonly<Record<string, InputRequest>> {
  return (
    isObject(value) &&
    Object.values(value).every((each) => isObject(each) && ASKED.has(each.method) && isObject(each.params))
  );
}
