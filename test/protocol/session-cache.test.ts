import { expect, test } from "vitest";
import { createIdSource } from "../../src/core/ids.ts";
import { type CachedSession, createSessionCache } from "../../src/protocol/session-cache.ts";

const ids = createIdSource(() => 1_800_000_000_000);

/** A session into which a client has put so many characters. */
function cached(characters: number): CachedSession {
  const [id, tenantId, half] = [ids.session(), ids.tenant(), characters / 2];
  const session = {
    id,
    tenantId,
    principalKey: "p",
    revision: "2025-11-25",
    client: { name: null, version: null, capabilities: {} },
    logLevel: null,
    subscriptions: new Set<string>(),
  } as const;
  const row = {
    tenantId,
    sessionId: id,
    principalKey: "p",
    revision: "2025-11-25",
    client: "x".repeat(half),
    logLevel: null,
    subscriptions: ["x".repeat(half)],
    unseen: false,
  };
  return { session, row, goodUntil: 0 };
}

test("the sessions used the longest ago go first when there are too many", () => {
  const cache = createSessionCache({ sessions: 3, characters: 1_000 });
  for (const key of ["a", "b", "c"]) cache.put(key, cached(2));
  cache.get("a");
  cache.put("d", cached(2));
  expect(["a", "b", "c", "d"].filter((key) => cache.get(key) !== undefined)).toEqual(["a", "c", "d"]);
});

test("they go as well when clients have put too much into them, and what has gone weighs nothing", () => {
  const cache = createSessionCache({ sessions: 100, characters: 10 });
  for (const key of ["a", "b", "c"]) cache.put(key, cached(4));
  expect(["a", "b", "c"].filter((key) => cache.get(key) !== undefined)).toEqual(["b", "c"]);
  for (let n = 0; n < 10; n++) cache.put("b", cached(4));
  cache.drop("c");
  cache.put("d", cached(6));
  expect(["b", "c", "d"].filter((key) => cache.get(key) !== undefined)).toEqual(["b", "d"]);
  cache.put("e", cached(12));
  expect(["b", "d", "e"].filter((key) => cache.get(key) !== undefined)).toEqual([]);
});
