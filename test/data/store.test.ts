import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createStore } from "../../src/data/store.ts";
import type { TenantStore } from "../../src/tenancy/tenant-context.ts";
import { type DoorFixture, openDoorFixture } from "../support/tenant-doors.ts";

let fixture: DoorFixture;
let acme: TenantStore;
let globex: TenantStore;
beforeAll(async () => {
  fixture = await openDoorFixture(2);
  acme = createStore(fixture.as(fixture.acme));
  globex = createStore(fixture.as(fixture.globex));
});
afterAll(() => fixture.close());
beforeEach(async () => {
  await fixture.database.admin("DELETE FROM bulkhead.store_entries");
});

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "done",
    (error: { code?: string }) => error.code ?? String(error),
  );
/** Any text of 16-bit units, halves of surrogate pairs and NUL included. */
const units = fc
  .array(
    fc.oneof(fc.nat(0x7f), fc.nat(0xffff), fc.integer({ min: 0xd800, max: 0xdfff }), fc.constant(0x5c)),
    {
      maxLength: 8,
    },
  )
  .map((codes) => String.fromCharCode(...codes));

describe("an entry", () => {
  test("is put, read, replaced and deleted", async () => {
    expect(await acme.get("k")).toBeUndefined();
    expect(await acme.delete("k")).toBe(false);
    await acme.put("k", { n: 1 });
    expect(await acme.get("k")).toEqual({ n: 1 });
    await acme.put("k", "two");
    expect(await acme.get("k")).toBe("two");
    const [row] = await fixture.database.admin<{ version: string }>(
      "SELECT version FROM bulkhead.store_entries",
    );
    expect(row?.version).toBe("2");
    expect(await acme.delete("k")).toBe(true);
    expect(await acme.delete("k")).toBe(false);
    expect(await acme.get("k")).toBeUndefined();
    expect(await acme.list()).toEqual([]);
  });

  test("is of one tenant: the same key is another entry for another", async () => {
    await acme.put("k", "acme's");
    expect([await globex.get("k"), await globex.delete("k"), await globex.list()]).toEqual([
      undefined,
      false,
      [],
    ]);
    await globex.put("k", "globex's");
    await globex.put("only", 1);
    expect([await acme.get("k"), await globex.get("k")]).toEqual(["acme's", "globex's"]);
    expect([await acme.list(), await globex.list()]).toEqual([["k"], ["k", "only"]]);
    expect(await globex.delete("k")).toBe(true);
    expect(await acme.get("k")).toBe("acme's");
  });

  test.each<[string, unknown]>([
    ["null, which is not nothing", null],
    ["false", false],
    ["zero", 0],
    ["an empty text", ""],
    ["a text that looks like JSON", '{"a":1}'],
    ["a number with a fraction", 0.1],
    ["the largest number", Number.MAX_VALUE],
    ["the smallest number", Number.MIN_VALUE],
    ["a large integer", 9_007_199_254_740_991],
    ["a list", [1, [null, {}], "x"]],
    ["an empty object", {}],
    ["quotes, backslashes and SQL", { "'; DROP TABLE x; --": '\\"\\u0000\\\\u0000 $1 %s' }],
    ["text beyond the basic plane", { "😀": "𝒳\u2028\uFFFF" }],
  ])("gives back %s", async (_what, value) => {
    await acme.put("k", value);
    expect(await acme.get("k")).toStrictEqual(value);
  });

  test("is what JSON makes of it: dates are texts, undefined members are gone", async () => {
    await acme.put("k", { at: new Date(0), none: undefined, list: [undefined, Number.NaN] });
    expect(await acme.get("k")).toEqual({ at: "1970-01-01T00:00:00.000Z", list: [null, null] });
  });

  test("gives any JSON back that a database can hold, and refuses the rest", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.jsonValue({ maxDepth: 3 }), units, fc.dictionary(units, units), fc.array(units)),
        async (value) => {
          const texts: string[] = [];
          JSON.stringify(value, (key, member: unknown) => {
            texts.push(key);
            if (typeof member === "string") texts.push(member);
            return member;
          });
          const holds = texts.every((text) => text.isWellFormed() && !text.includes("\0"));
          expect(await codeOf(acme.put("k", value))).toBe(holds ? "done" : "store_value_invalid");
          if (holds) expect(await acme.get("k")).toEqual(JSON.parse(JSON.stringify(value)));
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("a list", () => {
  test("has the keys that begin with the prefix, % and _ and backslashes being no more than letters", async () => {
    const keys = ["a%b", "a%c", "a_b", "axb", "a\\b", "a\\%", "%", "_", "A%b", "ba%b"];
    for (const key of keys) await acme.put(key, 1);
    const of = (prefix: string) => acme.list(prefix);
    expect(await of("a%")).toEqual(["a%b", "a%c"]);
    expect(await of("a_")).toEqual(["a_b"]);
    expect(await of("%")).toEqual(["%"]);
    expect(await of("_")).toEqual(["_"]);
    expect(await of("a\\")).toEqual(["a\\%", "a\\b"]);
    expect(await of("a\\%")).toEqual(["a\\%"]);
    expect(await of("a")).toEqual(["a%b", "a%c", "a\\%", "a\\b", "a_b", "axb"]);
    expect(await of("axb")).toEqual(["axb"]);
    expect(await of("axbc")).toEqual([]);
    expect(await of("")).toHaveLength(keys.length);
  });

  test("is in byte order", async () => {
    const keys = ["b", "a", "B", "é", "z", "😀", "\uFFFD", "a b", "a-b", "a/b", "ab", "1", "10", "2"];
    for (const key of keys) await acme.put(key, 1);
    expect(await acme.list()).toEqual(
      [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    );
    expect((await acme.list()).slice(-2)).toEqual(["\uFFFD", "😀"]);
  });

  test("is at most 100 keys, or as many as are asked for, at most 1,000", async () => {
    await fixture.database.admin(
      "INSERT INTO bulkhead.store_entries (tenant_id, key, value) SELECT $1, 'k' || to_char(n, 'FM0000'), '1' FROM generate_series(1, 1200) n",
      [fixture.acme],
    );
    const length = async (limit: number) => (await acme.list("k", { limit })).length;
    expect((await acme.list()).length).toBe(100);
    expect([await length(1), await length(2.9), await length(1_000)]).toEqual([1, 2, 1_000]);
    expect([await length(1_001), await length(Number.POSITIVE_INFINITY)]).toEqual([1_000, 1_000]);
    expect([await length(0), await length(-5), await length(0.5), await length(Number.NaN)]).toEqual([
      0, 0, 0, 0,
    ]);
  });

  test("goes on after a key, so that pages have every key exactly once", async () => {
    const keys = Array.from({ length: 25 }, (_, i) => `k${String(i).padStart(2, "0")}`);
    for (const key of keys) await acme.put(key, 1);
    const seen: string[] = [];
    for (let after = ""; ; after = seen.at(-1) ?? "") {
      const page = await acme.list("k", { limit: 10, after });
      seen.push(...page);
      if (page.length < 10) break;
    }
    expect(seen).toEqual(keys);
    expect(await acme.list("k", { after: "k21x" })).toEqual(["k22", "k23", "k24"]);
    expect(await acme.list("k", { after: "z" })).toEqual([]);
    expect(await acme.list("k1", { after: "a" })).toHaveLength(10);
  });

  test("is that of a sorted list, whatever the keys", async () => {
    const key = fc.string({ unit: fc.constantFrom(..."a%_\\.é😀"), minLength: 1, maxLength: 4 });
    const keys = fc.sample(key, { numRuns: 60, seed: 1 });
    for (const name of keys) await acme.put(name, 1);
    const sorted = [...new Set(keys)].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(key, fc.constant("")),
        fc.oneof(key, fc.constant("")),
        fc.integer({ min: 1, max: 70 }),
        async (prefix, after, limit) => {
          const expected = sorted.filter(
            (name) => name.startsWith(prefix) && Buffer.compare(Buffer.from(name), Buffer.from(after)) > 0,
          );
          expect(await acme.list(prefix, { after, limit })).toEqual(expected.slice(0, limit));
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe("a key", () => {
  test.each<[string, unknown]>([
    ["empty", ""],
    ["of 513 characters", "k".repeat(513)],
    ["with a NUL", "a\0b"],
    ["with half a surrogate pair", "a\ud800"],
    ["with the other half", "\udc00a"],
    ["that is a number", 5],
    ["that is a list", ["k"]],
    ["that is not there", undefined],
    ["that is null", null],
  ])("%s is refused everywhere", async (_what, key) => {
    const bad = key as string;
    expect(await codeOf(acme.put(bad, 1))).toBe("store_key_invalid");
    expect(await codeOf(acme.get(bad))).toBe("store_key_invalid");
    expect(await codeOf(acme.delete(bad))).toBe("store_key_invalid");
    // For a list, nothing is everything.
    if (bad === "" || bad === undefined) return;
    expect(await codeOf(acme.list(bad))).toBe("store_key_invalid");
    if (bad !== null) expect(await codeOf(acme.list("", { after: bad }))).toBe("store_key_invalid");
  });

  test("of 512 characters is one, also where they are more bytes", async () => {
    for (const key of ["k".repeat(512), "é".repeat(512), "😀".repeat(256)]) {
      await acme.put(key, key.length);
      expect(await acme.get(key)).toBe(512);
      expect(await acme.list(key)).toEqual([key]);
      expect(await acme.delete(key)).toBe(true);
    }
  });

  test("is what it is: nothing is trimmed, folded or normalised", async () => {
    const keys = ["k", "K", " k", "k ", "k\n", "\u00e9", "e\u0301", "NULL", "*migration*", "__proto__"];
    for (const [i, key] of keys.entries()) await acme.put(key, i);
    for (const [i, key] of keys.entries()) expect(await acme.get(key)).toBe(i);
  });
});

describe("a value", () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;

  test.each<[string, unknown]>([
    ["undefined", undefined],
    ["a function", () => 1],
    ["a symbol", Symbol("s")],
    ["a bigint", 10n],
    ["a bigint inside", { n: [10n] }],
    ["an object that contains itself", circular],
    [
      "an object that cannot be written",
      {
        toJSON() {
          throw new Error("no");
        },
      },
    ],
    ["an object that says it is nothing", { toJSON: () => undefined }],
    ["a NUL", "a\0b"],
    ["a NUL inside", { a: ["\0"] }],
    ["a NUL in a member's name", { "a\0": 1 }],
    ["a NUL behind a backslash", "\\\0"],
    ["half a surrogate pair", "\ud83d"],
    ["the other half", "\ude00"],
    ["the halves in the wrong order", ["\ude00\ud83d"]],
    ["half a pair in a member's name", { "\udfff": 1 }],
  ])("%s is refused, and what was there stays", async (_what, value) => {
    await acme.put("k", "before");
    expect(await codeOf(acme.put("k", value))).toBe("store_value_invalid");
    expect(await acme.get("k")).toBe("before");
  });

  test("of 1,000,000 bytes of JSON is one, and of one more is not", async () => {
    const text = (bytes: number) => "x".repeat(bytes - 2);
    await acme.put("k", text(1_000_000));
    expect((await acme.get<string>("k"))?.length).toBe(999_998);
    expect(await codeOf(acme.put("k", text(1_000_001)))).toBe("store_value_invalid");
    // Bytes, not characters.
    expect(await codeOf(acme.put("k", "é".repeat(500_000)))).toBe("store_value_invalid");
    expect(await codeOf(acme.put("k", "é".repeat(499_999)))).toBe("done");
    expect(await codeOf(acme.put("k", "\\".repeat(500_000)))).toBe("store_value_invalid");
  });

  test("nested deeper than anybody's stack is refused with a code, and harms nothing", async () => {
    for (const depth of [1_000, 5_000, 20_000, 400_000]) {
      const value: unknown = JSON.parse(`${"[".repeat(depth)}${"]".repeat(depth)}`);
      expect([depth, await codeOf(acme.put("k", value))]).toEqual([
        depth,
        expect.stringMatching(depth === 1_000 ? /^done$/ : /^(done|store_value_invalid|sql_failed)$/),
      ]);
    }
    await acme.put("k", 1);
    expect(await acme.get("k")).toBe(1);
  });
});

describe("__proto__ and its like", () => {
  test("are keys as any others", async () => {
    for (const key of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
      expect(await acme.get(key)).toBeUndefined();
      await acme.put(key, { of: key });
      expect(await acme.get(key)).toEqual({ of: key });
    }
    expect(await acme.list()).toEqual(["__proto__", "constructor", "hasOwnProperty", "toString"]);
  });

  test("are members as any others, and change no prototype", async () => {
    const text =
      '{"__proto__":{"admin":true},"a":{"__proto__":{"admin":true}},"constructor":{"prototype":{"admin":true}}}';
    await acme.put("k", JSON.parse(text));
    const value = await acme.get<Record<string, unknown>>("k");
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.keys(value ?? {}).sort()).toEqual(["__proto__", "a", "constructor"]);
    expect(Object.hasOwn(value?.a as object, "__proto__")).toBe(true);
    for (const object of [{}, value, value?.a] as Record<string, unknown>[])
      expect(object.admin).toBeUndefined();
  });

  test("the store itself cannot be changed", () => {
    expect(Object.isFrozen(acme)).toBe(true);
  });
});
