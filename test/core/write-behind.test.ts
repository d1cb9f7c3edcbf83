import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, it } from "vitest";
import { Fault } from "../../src/core/fault.ts";
import { createWriteBehind } from "../../src/core/write-behind.ts";

const UNREACHABLE = new Fault("database_unavailable");

/** A store that can be stopped, and that refuses rows named "bad". */
function setUp(bounds: { batch?: number; held?: number; heldBytes?: number; lingerMs?: number } = {}) {
  const batches: string[][] = [];
  const faults: string[] = [];
  const state = { down: false };
  const writer = createWriteBehind<string>({
    write: async (batch) => {
      await Promise.resolve();
      if (state.down) throw UNREACHABLE;
      if (batch.includes("bad")) throw new TypeError("refused");
      batches.push([...batch]);
    },
    lingerMs: bounds.lingerMs ?? 0,
    retryMs: 1,
    maxBatch: { items: bounds.batch ?? 100, bytes: 100 },
    maxHeld: { items: bounds.held ?? 100, bytes: bounds.heldBytes ?? 1_000 },
    onFault: (message) => faults.push(message),
  });
  return { writer, batches, faults, state };
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, n) => String(n));

describe("what is written behind", () => {
  it("is written together, in order, without being asked for", async () => {
    const { writer, batches } = setUp();
    for (const item of numbers(3)) writer.add(item, 1);
    await expect.poll(() => batches).toEqual([["0", "1", "2"]]);
    await writer.close();
  });

  it("is written in batches of bounded length and weight", async () => {
    const { writer, batches } = setUp({ batch: 2 });
    for (const item of numbers(5)) writer.add(item, 1);
    writer.add("heavy", 100);
    writer.add("more", 2);
    await writer.flush();
    expect(batches).toEqual([["0", "1"], ["2", "3"], ["4"], ["heavy"], ["more"]]);
    await writer.close();
  });

  it("waits while the store does not answer, is told of once, and is written in order when it does", async () => {
    const { writer, batches, faults, state } = setUp();
    state.down = true;
    writer.add("0", 1);
    await expect(writer.flush()).rejects.toThrow(UNREACHABLE.message);
    writer.add("1", 1);
    await expect(writer.flush()).rejects.toThrow(UNREACHABLE.message);
    expect(batches).toEqual([]);
    expect(faults).toEqual(["The database does not answer; what is to be written waits."]);
    state.down = false;
    await expect.poll(() => batches.flat()).toEqual(["0", "1"]);
    await writer.close();
  });

  it("loses the oldest of what is more than may be held, and says how many", async () => {
    for (const bounds of [{ held: 3 }, { heldBytes: 35 }]) {
      const { writer, batches, faults, state } = setUp(bounds);
      state.down = true;
      for (const item of numbers(7)) writer.add(item, 10);
      await expect(writer.flush()).rejects.toThrow(UNREACHABLE.message);
      state.down = false;
      await writer.flush();
      expect(batches.flat()).toEqual(["4", "5", "6"]);
      expect(faults.join()).toMatch(/4 rows could not be written/);
      await writer.close();
    }
  });

  it("loses the rows that the store refuses, and only those", async () => {
    const { writer, batches, faults } = setUp();
    for (const item of ["0", "bad", "1", "2", "bad", "3"]) writer.add(item, 1);
    await writer.flush();
    expect(batches.flat()).toEqual(["0", "1", "2", "3"]);
    expect(faults).toEqual(Array(2).fill("The database refused a row; it is lost."));
    await writer.close();
  });

  it("is written before it closes, and not taken afterwards", async () => {
    const { writer, batches } = setUp({ lingerMs: 60_000 });
    writer.add("0", 1);
    await writer.close();
    writer.add("1", 1);
    await writer.flush();
    expect(batches).toEqual([["0"]]);
  });

  it("is written outside of the context of whoever adds it: a request's is not kept by a timer", async () => {
    const context = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const writer = createWriteBehind<string>({
      write: async () => {
        seen.push(context.getStore());
      },
      lingerMs: 0,
      retryMs: 1,
      maxBatch: { items: 2, bytes: 100 },
      maxHeld: { items: 100, bytes: 100 },
      onFault: () => {},
    });
    context.run("a request", () => {
      writer.add("by timer", 1);
    });
    await expect.poll(() => seen).toEqual([undefined]);
    context.run("a request", () => {
      writer.add("by", 1);
      writer.add("number", 1);
    });
    await expect.poll(() => seen).toEqual([undefined, undefined]);
    await writer.close();
  });
});
