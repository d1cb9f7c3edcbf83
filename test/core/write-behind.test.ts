import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, it } from "vitest";
import { Fault } from "../../src/core/fault.ts";
import { createWriteBehind } from "../../src/core/write-behind.ts";

const UNREACHABLE = new Fault("database_unavailable");

/** A store that can be stopped, and that refuses rows named "bad". */
function setUp(
  bounds: {
    batch?: number;
    held?: number;
    heldBytes?: number;
    lingerMs?: number;
    ownerOf?: (item: string) => string;
  } = {},
) {
  const batches: string[][] = [];
  const faults: string[] = [];
  const state = { down: false, held: Promise.resolve() };
  const writer = createWriteBehind<string>({
    write: async (batch) => {
      await state.held;
      if (state.down) throw UNREACHABLE;
      if (batch.includes("bad")) throw new TypeError("refused");
      batches.push([...batch]);
    },
    ...(bounds.ownerOf === undefined ? {} : { ownerOf: bounds.ownerOf }),
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

  it("is lost by the owner of the most, be it by count or by weight, and nobody waits for what is lost", async () => {
    const setUpOwners = { items: { held: 4, heldBytes: 1_000 }, bytes: { held: 100, heldBytes: 40 } };
    for (const bounds of Object.values(setUpOwners)) {
      const { writer, batches, faults, state } = setUp({ ...bounds, ownerOf: (item) => item.charAt(0) });
      state.down = true;
      for (const item of ["b1", "a1", "a2", "b2", "a3", "a4", "a5"]) writer.add(item, 10);
      const held = writer.flush();
      await expect(held).rejects.toThrow(UNREACHABLE.message);
      state.down = false;
      await writer.flush();
      expect(batches.flat()).toEqual(["b1", "b2", "a4", "a5"]);
      expect(faults.join()).toMatch(/3 rows could not be written/);
      await writer.close();
    }
  });

  it("is written before a flush of it resolves, whatever is lost of what came later", async () => {
    const { writer, batches, state } = setUp({
      held: 3,
      ownerOf: (item) => item.charAt(0),
      lingerMs: 60_000,
    });
    let goOn = (): void => {};
    state.held = new Promise((resolve) => {
      goOn = resolve;
    });
    writer.add("a1", 1);
    const first = writer.flush();
    // It is not held any more, and not written yet.
    const again = writer.flush().then(() => batches.flat().includes("a1"));
    writer.add("a2", 1);
    const flushed = writer.flush().then(() => batches.flat().includes("a2"));
    for (const item of numbers(6)) writer.add(`b${item}`, 1);
    goOn();
    expect(await Promise.all([again, flushed])).toEqual([true, true]);
    await first;
    await writer.close();
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
