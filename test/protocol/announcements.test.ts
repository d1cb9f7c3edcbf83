import { AsyncLocalStorage } from "node:async_hooks";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { createIdSource, type TenantId } from "../../src/core/ids.ts";
import { isOfTopic, type Signal, type SignalTopic } from "../../src/core/signal.ts";
import { createAnnouncements } from "../../src/protocol/announcements.ts";
import type { SignalPort } from "../../src/protocol/signal-port.ts";
import type { Change } from "../../src/tenancy/client.ts";

const ids = createIdSource(systemClock.now);
const [acme, globex] = [ids.tenant(), ids.tenant()];
const uri = (n: number): Change => ({ resource: `shop://shelves/${n}` });

/** Announcements of an instance whose bus and streams the test plays. */
function begin() {
  const said: Signal[] = [];
  const listeners: ((signal: Signal) => void)[] = [];
  const signals: SignalPort = {
    publish(signal) {
      said.push(signal);
      return null;
    },
    subscribe<T extends SignalTopic>(topic: T, listener: (signal: Signal<T>) => void) {
      const heard = (signal: Signal): void => {
        if (isOfTopic(signal, topic)) listener(signal);
      };
      listeners.push(heard);
      return () => void listeners.splice(listeners.indexOf(heard), 1);
    },
  };
  const told: [TenantId, readonly Change[]][] = [];
  const faults: string[] = [];
  const failures: Error[] = [];
  const announcements = createAnnouncements({
    signals,
    listened: (tenantId) => tenantId === acme,
    tell: async (tenantId, changes) => {
      told.push([tenantId, changes]);
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
    },
    onFault: (message) => faults.push(message),
  });
  const hear = (signal: Signal): void => {
    for (const listener of listeners) listener(signal);
  };
  return { announcements, said, told, faults, failures, hear, listeners };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a change that is announced", () => {
  test("is told here at once, and to the other instances by signal", () => {
    const { announcements, said, told } = begin();
    announcements.announce(acme, "tools");
    announcements.announce(globex, uri(7));
    expect(told).toEqual([
      [acme, ["tools"]],
      [globex, [uri(7)]],
    ]);
    expect(said).toEqual([
      { tenantId: acme, topic: "list_changed", payload: { list: "tools" } },
      { tenantId: globex, topic: "resource_updated", payload: { uri: "shop://shelves/7" } },
    ]);
  });

  test("again and again is told once in 50 ms, and after the last time", async () => {
    const { announcements, said, told } = begin();
    for (let i = 0; i < 1_000; i++) announcements.announce(acme, "tools");
    await vi.advanceTimersByTimeAsync(49);
    expect(told).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(told).toEqual([
      [acme, ["tools"]],
      [acme, ["tools"]],
    ]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect([told.length, said.length]).toEqual([2, 2]);
    announcements.announce(acme, "tools");
    expect(told).toHaveLength(3);
  });

  test("among many waits for its turn: 20 different ones in 50 ms, in their order; each tenant by itself", async () => {
    const { announcements, said, told } = begin();
    for (let i = 0; i < 50; i++) announcements.announce(acme, uri(i));
    announcements.announce(globex, "tools");
    expect(told.map(([tenantId, changes]) => [tenantId, changes.length])).toEqual([
      [acme, 1],
      [globex, 1],
    ]);
    await vi.advanceTimersByTimeAsync(200);
    expect(told.slice(2).map(([, changes]) => changes.length)).toEqual([20, 20, 9]);
    const all = told.filter(([tenantId]) => tenantId === acme).flatMap(([, changes]) => changes);
    expect(all).toEqual(Array.from({ length: 50 }, (_unused, i) => uri(i)));
    expect(said).toHaveLength(51);
  });

  test("beyond 1,000 that wait is lost, and the operator is told once", async () => {
    const { announcements, told, faults } = begin();
    for (let i = 0; i < 1_100; i++) announcements.announce(acme, uri(i));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told.flatMap(([, changes]) => changes)).toEqual(
      Array.from({ length: 1_001 }, (_unused, i) => uri(i)),
    );
    expect(faults).toEqual([`The tenant ${acme} announces more changes than are told: some are lost.`]);
  });

  test("that could not be told is told half a second later, and not again to other instances", async () => {
    const { announcements, said, told, faults, failures } = begin();
    failures.push(new Error("unreachable"), new Error("unreachable"));
    announcements.announce(acme, "tools");
    await vi.advanceTimersByTimeAsync(499);
    expect(told).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told).toHaveLength(3);
    expect(said).toHaveLength(1);
    expect(faults).toEqual(["Changes could not be told; they are tried again."]);
  });

  test("is what it was when it was announced", async () => {
    const { announcements, told } = begin();
    announcements.announce(acme, "tools");
    const change = { resource: "shop://a" };
    announcements.announce(acme, change);
    change.resource = "shop://b";
    await vi.advanceTimersByTimeAsync(50);
    expect(told[1]).toEqual([acme, [{ resource: "shop://a" }]]);
  });

  test("is told outside the context of whoever announces it", async () => {
    const context = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const announcements = createAnnouncements({
      signals: { publish: () => null, subscribe: () => () => {} },
      listened: () => true,
      tell: async () => void seen.push(context.getStore()),
      onFault: () => {},
    });
    context.run("a call", () => {
      announcements.announce(acme, "tools");
      announcements.announce(acme, "prompts");
    });
    await vi.advanceTimersByTimeAsync(50);
    expect(seen).toEqual([undefined, undefined]);
  });

  test.each([
    "taskLists",
    null,
    undefined,
    7,
    {},
    { resource: 7 },
    { resource: "x".repeat(2_049) },
    { resource: "a\0b" },
    { resource: "\ud800" },
  ])("cannot be %j", (change) => {
    const { announcements, told } = begin();
    expect(() => announcements.announce(acme, change as Change)).toThrow(TypeError);
    expect(told).toEqual([]);
  });
});

describe("a change that another instance tells of", () => {
  test("is told to the streams there are, and not passed on", async () => {
    const { said, told, hear } = begin();
    hear({ tenantId: acme, topic: "list_changed", payload: { list: "prompts" } });
    hear({ tenantId: globex, topic: "list_changed", payload: { list: "prompts" } });
    hear({ tenantId: acme, topic: "resource_updated", payload: { uri: "shop://shelves/1" } });
    await vi.advanceTimersByTimeAsync(50);
    expect(told).toEqual([
      [acme, ["prompts"]],
      [acme, [uri(1)]],
    ]);
    expect(said).toEqual([]);
  });

  test("and that is announced here as well while it waits is passed on", async () => {
    const { announcements, said, told, hear } = begin();
    announcements.announce(acme, "tools");
    hear({ tenantId: acme, topic: "list_changed", payload: { list: "prompts" } });
    announcements.announce(acme, "prompts");
    await vi.advanceTimersByTimeAsync(50);
    expect(told).toEqual([
      [acme, ["tools"]],
      [acme, ["prompts"]],
    ]);
    expect(said.map(({ payload }) => payload)).toEqual([{ list: "tools" }, { list: "prompts" }]);
  });
});

test("after closing nothing is told, heard or waited for", async () => {
  const { announcements, told, listeners } = begin();
  announcements.announce(acme, "tools");
  announcements.announce(acme, "prompts");
  announcements.close();
  await vi.advanceTimersByTimeAsync(1_000);
  announcements.announce(globex, "tools");
  expect(told).toEqual([[acme, ["tools"]]]);
  expect([listeners.length, vi.getTimerCount()]).toEqual([0, 0]);
});
