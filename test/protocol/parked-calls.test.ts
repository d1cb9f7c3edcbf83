import { describe, expect, test, vi } from "vitest";
import { createIdSource } from "../../src/core/ids.ts";
import type { Signal, SignalTopic } from "../../src/core/signal.ts";
import { createCallsElsewhere } from "../../src/protocol/calls-elsewhere.ts";
import { ParkedCall } from "../../src/protocol/parked-call.ts";
import { type CallOwner, createParkedCalls, type HeldCall } from "../../src/protocol/parked-calls.ts";
import type { SignalPort } from "../../src/protocol/signal-port.ts";
import type { TenantContext } from "../../src/tenancy/tenant-context.ts";
import { tenantSnapshot } from "../support/tenant-snapshot.ts";

const ids = createIdSource(Date.now);
const owner: CallOwner = { tenantId: ids.tenant(), principal: "ada" };
let randoms = 0;
const random = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(++randoms);

/** A context of which these parts look at nothing but its limits. */
const contextOf = (callTimeoutMs: number | null) =>
  ({ tenant: { limits: { callTimeoutMs } } }) as unknown as TenantContext;
const ctx = contextOf(50);
const unlimited = contextOf(null);

type Bounds = NonNullable<Parameters<typeof createParkedCalls>[0]["bounds"]>;
const WEIGHTLESS = { weight: Number.POSITIVE_INFINITY };

function places(bounds: Bounds = {}) {
  return createParkedCalls({ instanceId: ids.instance(), random, bounds });
}

function held(id: string, of: CallOwner = owner, weight = 0): HeldCall {
  return { id, owner: of, call: new ParkedCall(), weight, standIn: () => ctx };
}

const snapshot = tenantSnapshot("acme");
const question = { method: "elicitation/create", params: {} } as const;

describe("calls that are parked", () => {
  test("are as many for a tenant, and in all, as there may be: what is beyond ends", () => {
    const parked = places({ ofTenant: { ...WEIGHTLESS, calls: 2 }, inAll: { ...WEIGHTLESS, calls: 3 } });
    const other: CallOwner = { tenantId: ids.tenant(), principal: "ada" };
    expect(parked.park(held("a"))).toBeNull();
    expect(parked.park(held("b"))).toBeNull();
    const tooMany = held("c");
    expect(parked.park(tooMany)).toMatchObject({ code: "rate_limited", data: { limit: "parkedCalls" } });
    expect(tooMany.call.signal.aborted).toBe(true);
    expect(parked.park(held("d", other))).toBeNull();
    expect(parked.park(held("e", other))).toMatchObject({ code: "rate_limited" });
    expect(parked.take("a", owner)).not.toBeNull();
    expect(parked.park(held("f", other))).toBeNull();
    parked.close();
  });

  test("are as heavy for a tenant, and in all, as they may be", () => {
    const parked = places({ ofTenant: { calls: 9, weight: 20 }, inAll: { calls: 9, weight: 30 } });
    const other: CallOwner = { tenantId: ids.tenant(), principal: "ada" };
    expect(parked.park(held("a", owner, 11))).toBeNull();
    expect(parked.park(held("b", owner, 10))).toMatchObject({ code: "rate_limited" });
    expect(parked.park(held("c", other, 19))).toBeNull();
    expect(parked.park(held("d", owner, 1))).toMatchObject({ code: "rate_limited" });
    parked.take("c", other);
    expect(parked.park(held("e", owner, 9))).toBeNull();
    parked.close();
  });

  test("are their owner's alone, and one request's at a time", () => {
    const parked = places();
    parked.park(held("a"));
    expect(parked.take("a", { ...owner, principal: "bob" })).toBeNull();
    expect(parked.take("a", { ...owner, tenantId: ids.tenant() })).toBeNull();
    expect(parked.take("a", owner)).not.toBeNull();
    expect(parked.take("a", owner)).toBeNull();
  });

  test("end when nobody has come for them in time, or the server stops", async () => {
    const parked = places({ parkedMs: 5 });
    const one = held("a");
    parked.park(one);
    await vi.waitUntil(() => one.call.signal.aborted);
    expect(parked.take("a", owner)).toBeNull();
    const two = held("b");
    parked.park(two);
    parked.close();
    expect(two.call.signal.aborted).toBe(true);
  });
});

test("a handler has a context only while a request waits for it", async () => {
  const call = new ParkedCall();
  const asked = await call.begin(ctx, async (living) => {
    expect(living.current()).toBe(ctx);
    await call.ask("q", question, () => true);
    expect(call.current()).toBe(second);
    return "done";
  });
  expect(asked.kind).toBe("asks");
  expect(() => call.current()).toThrow(expect.objectContaining({ code: "context_missing" }));
  const second: TenantContext = { ...ctx };
  expect(await call.resume(second, { q: {} })).toEqual({ kind: "ended", value: "done" });
  expect(() => call.current()).toThrow(expect.objectContaining({ code: "context_missing" }));
});

test("a call whose caller has left before it began does not begin", async () => {
  const call = new ParkedCall();
  const run = vi.fn(async () => null);
  const turn = await call.whileWanted(AbortSignal.abort(), () => call.begin(ctx, run));
  expect(turn.kind).toBe("failed");
  expect(run).not.toHaveBeenCalled();
});

test("a call whose answers cannot be looked at ends: it is parked no more, and nobody could come for it", async () => {
  const call = new ParkedCall();
  let asking: Promise<unknown> = Promise.resolve();
  await call.begin(ctx, () => {
    asking = call.ask("q", question, () => {
      throw new RangeError("too deep");
    });
    return asking;
  });
  const { signal } = new AbortController();
  await expect(call.whileWanted(signal, () => call.resume(ctx, { q: {} }))).rejects.toThrow("too deep");
  expect(call.signal.aborted).toBe(true);
  await expect(asking).rejects.toThrow("The run ended here");
});

/** Instances that hear each other, and nobody who reads between the lines. */
function bus(): { port(): SignalPort; readonly said: Signal[] } {
  const listeners: { readonly of: object; readonly topic: SignalTopic; hear(signal: never): void }[] = [];
  const said: Signal[] = [];
  return {
    said,
    port() {
      const of = {};
      return {
        publish(signal) {
          said.push(signal);
          for (const each of listeners)
            if (each.of !== of && each.topic === signal.topic) setImmediate(() => each.hear(signal as never));
          return true;
        },
        subscribe(topic, hear) {
          const listener = { of, topic, hear };
          listeners.push(listener);
          return () => void listeners.splice(listeners.indexOf(listener), 1);
        },
      };
    },
  };
}

describe("a call that is parked elsewhere", () => {
  const faults: unknown[] = [];
  const setting = () => {
    const { port, said } = bus();
    const [here, there] = [places(), places()];
    const onFault = (_message: string, cause: unknown) => void faults.push(cause);
    const of = { random, onFault, takenWithinMs: 40, current: () => snapshot };
    const ours = createCallsElsewhere({ ...of, parked: here, signals: port() });
    createCallsElsewhere({ ...of, parked: there, signals: port() });
    return { ours, there, said, port, of };
  };
  const rights = { permissions: new Set(["a:read"]), roles: ["author"], expiresAt: 7 };
  const order = (more: object = {}) => ({
    owner,
    rights,
    responses: {},
    signal: new AbortController().signal,
    ...more,
  });
  /** A call that asks, and then goes on as `next` says. */
  const asking = async (id: string, next: (answer: unknown, signal: AbortSignal) => Promise<unknown>) => {
    const of = held(id);
    await of.call.begin(ctx, async ({ signal }) =>
      next(await of.call.ask("q", question, () => true), signal),
    );
    return of;
  };

  test("goes on there, and what comes of it is told here", async () => {
    const { ours, there } = setting();
    const id = there.newId();
    there.park(await asking(id, async (answer) => ({ answer })));
    const turn = await ours.resume(id, order({ responses: { q: { action: "accept" } } }));
    expect(turn).toEqual({ kind: "ended", value: { answer: { action: "accept" } } });
  });

  test("goes on with the rights of the request, and its tenant as it is then", async () => {
    const { ours, there } = setting();
    const id = there.newId();
    const standIn = vi.fn(() => ctx);
    there.park({ ...(await asking(id, async () => null)), standIn });
    await ours.resume(id, order({ responses: { q: {} } }));
    expect(standIn).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ snapshot, rights }));
  });

  test("ends where its tenant is gone", async () => {
    const { ours, port, of } = setting();
    const parked = places();
    createCallsElsewhere({ ...of, parked, signals: port(), current: () => null });
    const call = await asking(parked.newId(), async () => null);
    parked.park(call);
    expect(await ours.resume(call.id, order({ responses: { q: {} } }))).toMatchObject({ kind: "refused" });
    expect(call.call.signal.aborted).toBe(true);
  });

  test("ends where its instance hears of the answers when nobody waits any more", async () => {
    const { there, port, of } = setting();
    const call = await asking(there.newId(), () => new Promise(() => {}));
    there.park({ ...call, standIn: () => unlimited });
    // Its words come late, but in order.
    const late = port();
    const held: Signal[] = [];
    const slow: SignalPort = { ...late, publish: (signal) => held.push(signal) > 0 };
    const ours = createCallsElsewhere({ ...of, parked: places(), signals: slow, takenWithinMs: 1 });
    const refused = await ours.resume(call.id, order({ responses: { q: {} } }));
    expect(refused).toMatchObject({ kind: "refused", refusal: { code: "request_state_invalid" } });
    for (const signal of held) late.publish(signal);
    await vi.waitUntil(() => call.call.signal.aborted);
  });

  test("cannot go on where its instance has it no more, for whomever else, or is gone", async () => {
    const { ours, there } = setting();
    const refused = { kind: "refused", refusal: { code: "request_state_invalid" } };
    const id = there.newId();
    expect(await ours.resume(id, order())).toMatchObject(refused);
    there.park(await asking(id, async () => null));
    expect(await ours.resume(id, order({ owner: { ...owner, principal: "bob" } }))).toMatchObject(refused);
    expect(await ours.resume(`${ids.instance()}.abc`, order())).toMatchObject(refused);
  });

  test("ends when the one who waits for it leaves", async () => {
    const { ours, there, said } = setting();
    const id = there.newId();
    const of = await asking(id, () => new Promise(() => {}));
    there.park(of);
    const leaving = new AbortController();
    const waiting = ours.resume(id, order({ responses: { q: {} }, signal: leaving.signal }));
    await vi.waitUntil(() => said.some(({ payload }) => JSON.stringify(payload).includes("taken")));
    leaving.abort();
    await expect(waiting).rejects.toThrow();
    await vi.waitUntil(() => of.call.signal.aborted);
  });

  test("ends after its tenant's time limit, although nobody says a word", async () => {
    const { ours, there } = setting();
    const id = there.newId();
    const of = await asking(id, () => new Promise(() => {}));
    there.park(of);
    expect(await ours.resume(id, order({ responses: { q: {} } }))).toMatchObject({
      kind: "refused",
      refusal: { code: "handler_failed" },
    });
    expect(of.call.signal.aborted).toBe(true);
  });

  test("is not answered by what is said for another tenant, or cannot be read", async () => {
    const { ours, there, said, port } = setting();
    const stranger = port();
    const id = there.newId();
    let answer = (_value: unknown): void => {};
    there.park(
      await asking(
        id,
        () =>
          new Promise((resolve) => {
            answer = resolve;
          }),
      ),
    );
    const waiting = ours.resume(id, order({ responses: { q: {} } }));
    const [attempt] = said.flatMap((each) => (each.topic === "call_resumed" ? [each.payload.callId] : []));
    const say = (tenantId: CallOwner["tenantId"], text: string) =>
      stranger.publish({
        tenantId,
        topic: "call_answered",
        payload: { callId: attempt ?? "", round: 0, text },
      });
    say(ids.tenant(), '{"kind":"ended","value":"another\'s"}');
    say(ids.tenant(), '{"kind":"left"}');
    for (const text of ['{"kind":"unheard-of"}', "[]", '{"kind":"asks","requests":{"q":{"method":"x"}}}'])
      say(owner.tenantId, text);
    await new Promise((resolve) => setImmediate(resolve));
    answer("mine");
    expect(await waiting).toEqual({ kind: "ended", value: "mine" });
  });
});
