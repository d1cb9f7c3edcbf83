import { afterEach, describe, expect, test } from "vitest";
import type { InputRequest } from "../../src/protocol/conversation.ts";
import type { JsonObject } from "../../src/protocol/json-rpc.ts";
import { NOTHING_YET, ReplayConversation, type ReplayState } from "../../src/protocol/replay.ts";
import { AskedInVain } from "../../src/protocol/request-link.ts";

const ROOTS: InputRequest = { method: "roots/list", params: {} };
const form = (message: string): InputRequest => ({
  method: "elicitation/create",
  params: { mode: "form", message, requestedSchema: { type: "object", properties: {} } },
});
const anything = (): boolean => true;

/** A handler, as far as it knows of conversations. */
type Handler = (talk: ReplayConversation) => Promise<unknown>;

interface Round {
  /** What the client is asked; null: the handler ended. */
  readonly requests: Readonly<Record<string, InputRequest>> | null;
  readonly state: ReplayState;
  readonly result?: unknown;
  /** What became of the handler. */
  readonly ended: Promise<unknown>;
}

/** One run of a handler, from the top to its end or to its questions. */
function run(handler: Handler, responses: JsonObject = {}, state: ReplayState = NOTHING_YET): Promise<Round> {
  return new Promise((resolve, reject) => {
    const talk = new ReplayConversation({
      // As it comes from its seal.
      state: JSON.parse(JSON.stringify(state)),
      responses,
      suspend: (requests, next) => resolve({ requests, state: next, ended }),
    });
    const ended = handler(talk);
    ended.then(
      (result) => resolve({ requests: null, state, result, ended: Promise.resolve(result) }),
      reject,
    );
    ended.catch((cause) => {
      if (!(cause instanceof AskedInVain)) reject(cause);
    });
  });
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const unheard: unknown[] = [];
const hear = (cause: unknown): void => void unheard.push(cause);
process.on("unhandledRejection", hear);
afterEach(async () => {
  await turn();
  expect(unheard.splice(0)).toEqual([]);
});

describe("questions", () => {
  test("that are asked in one turn go out together, and their answers are found by the next run", async () => {
    const handler: Handler = (talk) =>
      Promise.all([talk.ask("a", form("A?"), anything), talk.ask("b", ROOTS, anything)]);
    const first = await run(handler);
    expect(first.requests).toEqual({ a: form("A?"), b: ROOTS });
    const second = await run(handler, { a: { x: 1 }, b: { y: 2 } }, first.state);
    expect(second).toMatchObject({ requests: null, result: [{ x: 1 }, { y: 2 }] });
  });

  test("one after the other are rounds, and earlier answers come from the state", async () => {
    const handler: Handler = async (talk) => [
      await talk.ask("a", form("A?"), anything),
      await talk.ask("b", form("B?"), anything),
    ];
    const first = await run(handler);
    expect(Object.keys(first.requests ?? {})).toEqual(["a"]);
    const second = await run(handler, { a: { x: 1 } }, first.state);
    expect(Object.keys(second.requests ?? {})).toEqual(["b"]);
    const third = await run(handler, { b: { y: 2 } }, second.state);
    expect(third.result).toEqual([{ x: 1 }, { y: 2 }]);
  });

  test("whose answer is missing or does not fit are asked again, and those that were answered are not", async () => {
    const handler: Handler = (talk) =>
      Promise.all(["a", "b", "c"].map((key) => talk.ask(key, form(key), (result) => result.fits === true)));
    const first = await run(handler);
    const second = await run(handler, { a: { fits: true }, b: { fits: false } }, first.state);
    expect(Object.keys(second.requests ?? {})).toEqual(["b", "c"]);
    const third = await run(handler, { b: { fits: true }, c: { fits: true } }, second.state);
    expect(third.result).toEqual([{ fits: true }, { fits: true }, { fits: true }]);
  });

  test("wait for what says whether an answer fits", async () => {
    let decide = (_fits: boolean): void => {};
    const handler: Handler = (talk) =>
      Promise.all([
        talk.ask("now", ROOTS, anything),
        talk.ask(
          "later",
          ROOTS,
          () =>
            new Promise((resolve) => {
              decide = resolve;
            }),
        ),
      ]);
    const running = run(handler, { later: { x: 1 } });
    await turn();
    await turn();
    decide(true);
    const { requests, state } = await running;
    expect(Object.keys(requests ?? {})).toEqual(["now"]);
    expect(Object.keys(state.answers)).toEqual(["later"]);
  });

  test("that were answered keep their answer, whatever the client says later", async () => {
    const handler: Handler = async (talk) => [
      await talk.ask("a", ROOTS, anything),
      await talk.ask("b", ROOTS, anything),
    ];
    const second = await run(handler, { a: { said: "first" } });
    const third = await run(handler, { a: { said: "other" }, b: {} }, second.state);
    expect(third.result).toEqual([{ said: "first" }, {}]);
  });

  test("answers to what nobody asks are ignored, and not kept", async () => {
    const handler: Handler = (talk) => talk.ask("a", ROOTS, anything);
    const first = await run(handler, { z: { x: 1 }, toString: { x: 1 } });
    expect(first.requests).toEqual({ a: ROOTS });
    expect(first.state.answers).toEqual({});
  });

  test.each(["toString", "__proto__", "constructor"])("may have the key %s", async (key) => {
    const handler: Handler = async (talk) => [
      await talk.ask(key, ROOTS, anything),
      await talk.step(key, () => 7),
      await talk.ask("more", ROOTS, anything),
    ];
    const first = await run(handler);
    expect(Object.keys(first.requests ?? {})).toEqual([key]);
    const second = await run(handler, JSON.parse(`{"${key}":{"x":1}}`), first.state);
    expect(Object.keys(second.requests ?? {})).toEqual(["more"]);
    expect((await run(handler, { more: {} }, second.state)).result).toEqual([{ x: 1 }, 7, {}]);
  });

  test("of one key are one question, asked once and answered once", async () => {
    const handler: Handler = (talk) =>
      Promise.all([talk.ask("a", ROOTS, anything), talk.ask("a", ROOTS, anything)]);
    const first = await run(handler);
    expect(first.requests).toEqual({ a: ROOTS });
    expect((await run(handler, { a: { x: 1 } }, first.state)).result).toEqual([{ x: 1 }, { x: 1 }]);
  });

  test("of one key that are two questions are a mistake of the handler", async () => {
    const handler: Handler = async (talk) => {
      talk.ask("a", form("One?"), anything).catch(() => {});
      await talk.ask("a", form("Two?"), anything);
    };
    await expect(run(handler)).rejects.toThrow(new TypeError("Two different questions have the key a."));
  });

  test("to users are asked again when they have become others: who agreed to one price did not agree to another", async () => {
    const pay =
      (price: number): Handler =>
      (talk) =>
        talk.ask("pay", form(`Pay ${price}?`), anything);
    const first = await run(pay(10));
    const second = await run(pay(20), { pay: { action: "accept" } }, first.state);
    expect(second.requests).toEqual({ pay: form("Pay 20?") });
    expect((await run(pay(20), { pay: { action: "accept" } }, second.state)).requests).toBeNull();
  });

  test("to users that were answered are asked again too when they have become others", async () => {
    const pay =
      (price: number): Handler =>
      async (talk) => {
        await talk.ask("pay", form(`Pay ${price}?`), anything);
        await talk.ask("more", ROOTS, anything);
      };
    const first = await run(pay(10));
    const second = await run(pay(10), { pay: {} }, first.state);
    const third = await run(pay(20), { more: {} }, second.state);
    expect(Object.keys(third.requests ?? {})).toEqual(["pay"]);
  });

  test("to users that were answered before they were asked are no exception", async () => {
    const pay =
      (price: number): Handler =>
      async (talk) => {
        await talk.ask("pay", form(`Pay ${price}?`), anything);
        await talk.ask("more", ROOTS, anything);
      };
    const first = await run(pay(10), { pay: {} });
    expect(Object.keys(first.requests ?? {})).toEqual(["more"]);
    expect(Object.keys((await run(pay(20), { more: {} }, first.state)).requests ?? {})).toEqual(["pay"]);
  });

  test("to a model, and visits, may differ from run to run", async () => {
    let runs = 0;
    const handler: Handler = (talk) =>
      Promise.all([
        talk.ask("m", { method: "sampling/createMessage", params: { now: ++runs } }, anything),
        talk.ask(
          "v",
          { method: "elicitation/create", params: { mode: "url", url: `https://x/${runs}` } },
          anything,
        ),
      ]);
    const first = await run(handler);
    expect((await run(handler, { m: {}, v: {} }, first.state)).requests).toBeNull();
    expect(runs).toBe(2);
  });

  test("end the run: finally runs, and what the handler still asks or does comes to nothing", async () => {
    const seen: unknown[] = [];
    let stepped = false;
    const { ended } = await run(async (talk) => {
      try {
        await talk.ask("a", ROOTS, anything);
      } catch (cause) {
        seen.push(cause);
        await talk
          .step("s", () => {
            stepped = true;
          })
          .catch((later: unknown) => seen.push(later));
        await talk.ask("b", ROOTS, anything).catch((later: unknown) => seen.push(later));
      } finally {
        seen.push("finally");
      }
    });
    await ended;
    expect(seen).toEqual([
      expect.any(AskedInVain),
      expect.any(AskedInVain),
      expect.any(AskedInVain),
      "finally",
    ]);
    expect(stepped).toBe(false);
  });

  test("that nobody awaits leave no rejection unheard", async () => {
    const { ended } = await run(async (talk) => {
      const [a, b] = [talk.ask("a", ROOTS, anything), talk.ask("b", ROOTS, anything)];
      return [await a, await b];
    });
    await expect(ended).rejects.toThrow(AskedInVain);
    await turn();
  });
});

describe("steps", () => {
  test("run once in a call, and give in every run what they gave", async () => {
    let done = 0;
    const handler: Handler = async (talk) => {
      const order = await talk.step("order", () => ({ number: ++done, at: new Date(0) }));
      await talk.ask("a", ROOTS, anything);
      const nothing = await talk.step("nothing", () => {
        done++;
      });
      await talk.ask("b", ROOTS, anything);
      return [order, nothing];
    };
    const first = await run(handler);
    const second = await run(handler, { a: {} }, first.state);
    const third = await run(handler, { b: {} }, second.state);
    expect(third.result).toStrictEqual([{ number: 1, at: "1970-01-01T00:00:00.000Z" }, undefined]);
    expect(done).toBe(2);
  });

  test("give the same in the first run as in later ones", async () => {
    expect((await run((talk) => talk.step("s", () => new Date(0)))).result).toBe("1970-01-01T00:00:00.000Z");
  });

  test("that throw are not remembered", async () => {
    let tries = 0;
    const handler: Handler = async (talk) => {
      const flaky = (): number => {
        if (++tries < 3) throw new TypeError("not yet");
        return tries;
      };
      const once = await talk.step("s", flaky).catch(() => "failed");
      const again = await talk.step("s", flaky).catch(() => "failed");
      await talk.ask("a", ROOTS, anything);
      return [once, again, await talk.step("s", flaky)];
    };
    const first = await run(handler);
    expect(first.state.steps).toEqual({});
    expect((await run(handler, { a: {} }, first.state)).result).toEqual([3, 3, 3]);
  });

  test("of one key are one step", async () => {
    let done = 0;
    const handler: Handler = (talk) =>
      Promise.all([talk.step("s", async () => ++done), talk.step("s", async () => ++done)]);
    expect((await run(handler)).result).toEqual([1, 1]);
  });

  test("under way when something is asked are awaited, so that they are not done twice", async () => {
    let finish = (): void => {};
    let done = 0;
    const handler: Handler = (talk) =>
      Promise.all([
        talk.ask("a", ROOTS, anything),
        talk.step("slow", async () => {
          await new Promise<void>((resolve) => {
            finish = resolve;
          });
          return ++done;
        }),
      ]);
    const running = run(handler);
    await turn();
    await turn();
    finish();
    const first = await running;
    expect(first.state.steps).toEqual({ slow: "1" });
    expect((await run(handler, { a: {} }, first.state)).result).toEqual([{}, 1]);
    expect(done).toBe(1);
  });

  test("may ask, also within one another: they run again when the answer is there", async () => {
    const handler: Handler = (talk) =>
      talk.step("outer", () =>
        talk.step("inner", async () => ({ got: await talk.ask("a", ROOTS, anything) })),
      );
    const first = await run(handler);
    expect(first.requests).toEqual({ a: ROOTS });
    expect(first.state.steps).toEqual({});
    expect((await run(handler, { a: { x: 1 } }, first.state)).result).toEqual({ got: { x: 1 } });
  });

  test("may wait for a question that was asked outside, and for one another", async () => {
    const handler: Handler = (talk) => {
      const name = () => talk.ask("a", ROOTS, anything);
      const inner = () => talk.step("inner", name);
      return Promise.all([name(), inner(), talk.step("outer", inner)]);
    };
    const first = await run(handler);
    expect(first.requests).toEqual({ a: ROOTS });
    expect((await run(handler, { a: { x: 1 } }, first.state)).result).toEqual([{ x: 1 }, { x: 1 }, { x: 1 }]);
  });

  test("that wait for themselves are a mistake of the handler", async () => {
    const handler: Handler = (talk) => talk.step("s", () => talk.step("s", () => 1));
    await expect(run(handler)).rejects.toThrow(new TypeError("The step s waits for itself."));
    const round: Handler = (talk) => {
      const step = (key: string, next: string): Promise<unknown> =>
        talk.step(key, () => (next === "" ? 1 : step(next, next === "a" ? "b" : "a")));
      return step("a", "b");
    };
    await expect(run(round)).rejects.toThrow(new TypeError("The step a waits for itself."));
  });

  test("give copies: what a handler does to one changes nothing that is remembered", async () => {
    const handler: Handler = async (talk) => {
      const list = (await talk.step("s", () => [1])) as number[];
      list.push(2);
      await talk.ask("a", ROOTS, anything);
      return talk.step("s", () => []);
    };
    const first = await run(handler);
    expect((await run(handler, { a: {} }, first.state)).result).toEqual([1]);
  });
});

const circle: Record<string, unknown> = {};
circle.whole = circle;

describe("bounds", () => {
  const failed = (detail: RegExp) =>
    expect.objectContaining({ code: "handler_failed", detail: expect.stringMatching(detail) });

  test("a call asks 64 questions at most", async () => {
    const ask =
      (count: number): Handler =>
      (talk) =>
        Promise.all(Array.from({ length: count }, (_, i) => talk.ask(`q${i}`, ROOTS, anything)));
    expect(Object.keys((await run(ask(64))).requests ?? {})).toHaveLength(64);
    await expect(run(ask(65))).rejects.toThrow(failed(/64 questions/));
  });

  test("a call has 64 steps at most, those under way among them", async () => {
    const steps =
      (count: number): Handler =>
      (talk) =>
        Promise.all(Array.from({ length: count }, (_, i) => talk.step(`s${i}`, () => i)));
    expect((await run(steps(64))).result).toHaveLength(64);
    await expect(run(steps(65))).rejects.toThrow(failed(/64 steps/));
  });

  test("a step gives 64 KB at most", async () => {
    const step =
      (characters: number): Handler =>
      (talk) =>
        talk.step("s", () => "é".repeat(characters));
    expect((await run(step(32_767))).result).toHaveLength(32_767);
    await expect(run(step(32_768))).rejects.toThrow(failed(/65536 bytes/));
  });

  test.each([
    ["a bigint", 1n],
    ["a function", () => 1],
    ["what holds itself", circle],
  ])("a step does not give %s", async (_name, value) => {
    await expect(run((talk) => talk.step("s", () => value))).rejects.toThrow(failed(/not JSON/));
  });

  test("answers and steps have 256 KB together at most, and the handler that has more fails", async () => {
    const handler: Handler = async (talk) => {
      for (const key of ["a", "b", "c", "d", "e"]) await talk.step(key, () => "x".repeat(60_000));
      await talk.ask("q", ROOTS, anything);
    };
    await expect(run(handler)).rejects.toThrow(failed(/262144 bytes/));
    const answered: Handler = async (talk) => {
      await talk.ask("big", ROOTS, anything);
      await talk.ask("q", ROOTS, anything);
    };
    await expect(run(answered, { big: { text: "x".repeat(262_144) } })).rejects.toThrow(
      failed(/262144 bytes/),
    );
  });

  test("what cannot end the run fails the handler", async () => {
    const talk = new ReplayConversation({
      state: NOTHING_YET,
      responses: {},
      suspend: () => {
        throw new TypeError("no key");
      },
    });
    await expect(talk.ask("a", ROOTS, anything)).rejects.toThrow("no key");
  });
});
