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
const bob: CallOwner = { ...owner, principal: "bob" };
/** Of another tenant. */
const stranger: CallOwner = { tenantId: ids.tenant(), principal: "ada" };
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
  test("are as many for a tenant as there may be: what is beyond ends", () => {
    const parked = places({ ofTenant: { ...WEIGHTLESS, calls: 2 } });
    expect(parked.park(held("a"))).toBeNull();
    expect(parked.park(held("b", bob))).toBeNull();
    const tooMany = held("c", { ...owner, principal: "eve" });
    expect(parked.park(tooMany)).toMatchObject({ code: "rate_limited", data: { limit: "parkedCalls" } });
    expect(tooMany.call.signal.aborted).toBe(true);
    expect(parked.park(held("d", stranger))).toBeNull();
    expect(parked.take("a", owner)).not.toBeNull();
    expect(parked.park(held("e", { ...owner, principal: "eve" }))).toBeNull();
    parked.close();
  });

  test("are as heavy for a tenant as they may be", () => {
    const parked = places({ ofTenant: { calls: 9, weight: 20 } });
    expect(parked.park(held("a", owner, 10))).toBeNull();
    expect(parked.park(held("b", bob, 6))).toBeNull();
    expect(parked.park(held("c", { ...owner, principal: "eve" }, 5))).toMatchObject({ code: "rate_limited" });
    expect(parked.park(held("d", stranger, 10))).toBeNull();
    expect(parked.park(held("e", bob, 4))).toBeNull();
    parked.close();
  });

  test("are half of a tenant's for one caller, in number and in weight", () => {
    const parked = places({ ofTenant: { calls: 4, weight: 100 } });
    expect(parked.park(held("a"))).toBeNull();
    expect(parked.park(held("b"))).toBeNull();
    expect(parked.park(held("c"))).toMatchObject({ code: "rate_limited", data: { limit: "parkedCalls" } });
    expect(parked.park(held("d", bob, 51))).toMatchObject({ code: "rate_limited" });
    expect(parked.park(held("e", bob, 50))).toBeNull();
    expect(parked.park(held("f", bob, 1))).toMatchObject({ code: "rate_limited" });
    // Who has the same name elsewhere is somebody else.
    expect(parked.park(held("g", stranger))).toBeNull();
    expect(parked.take("a", owner)).not.toBeNull();
    expect(parked.park(held("h"))).toBeNull();
    parked.close();
  });

  test("give way where there are as many as there may be in all: the oldest of who has the most, there of whom", () => {
    const parked = places({ ofTenant: { ...WEIGHTLESS, calls: 8 }, inAll: { ...WEIGHTLESS, calls: 6 } });
    const of = (id: string, whose: CallOwner) => {
      const call = held(id, whose);
      return { call, refused: parked.park(call) };
    };
    const bobs = of("bob", bob);
    const mine = ["a", "b", "c"].map((id) => of(id, owner));
    const others = ["x", "y"].map((id) => of(id, stranger));
    const ended = () =>
      [bobs, ...mine, ...others].filter(({ call }) => call.call.signal.aborted).map(({ call }) => call.id);
    expect(ended()).toEqual([]);
    const third: CallOwner = { tenantId: ids.tenant(), principal: "ada" };
    expect(of("p", third).refused).toBeNull();
    expect(ended()).toEqual(["a"]);
    expect(of("q", third).refused).toBeNull();
    expect(ended()).toEqual(["a", "b"]);
    expect(parked.take("b", owner)).toBeNull();
    // Each tenant has two: nobody gives way to whom it could drive out in turn.
    const late = of("r", third);
    expect(late.refused).toMatchObject({ code: "rate_limited", data: { limit: "parkedCalls" } });
    expect(late.call.call.signal.aborted).toBe(true);
    expect(of("s", stranger).refused).toMatchObject({ code: "rate_limited" });
    expect(ended()).toEqual(["a", "b"]);
    parked.close();
  });

  test("give way where they are as heavy as they may be in all: the heaviest of who has the most", () => {
    const parked = places({ ofTenant: { calls: 9, weight: 40 }, inAll: { calls: 9, weight: 30 } });
    const [light, heavy] = [held("a", owner, 3), held("b", owner, 15)];
    for (const call of [light, heavy, held("c", stranger, 10)]) expect(parked.park(call)).toBeNull();
    const third: CallOwner = { tenantId: ids.tenant(), principal: "ada" };
    expect(parked.park(held("d", third, 18))).toMatchObject({ code: "rate_limited" });
    expect(heavy.call.signal.aborted).toBe(false);
    expect(parked.park(held("e", third, 17))).toBeNull();
    expect([light.call.signal.aborted, heavy.call.signal.aborted]).toEqual([false, true]);
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
          return null;
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
    const publish: SignalPort["publish"] = (signal) => {
      held.push(signal);
      return null;
    };
    const slow: SignalPort = { ...late, publish };
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
