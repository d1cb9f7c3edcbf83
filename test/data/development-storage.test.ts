import { afterAll, beforeAll, expect, test } from "vitest";
import {
  createDevelopmentStorage,
  type DevelopmentRecord,
  type DevelopmentStorage,
} from "../../src/data/development-storage.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
let storage: DevelopmentStorage;
beforeAll(async () => {
  database = await createTestDatabase();
  storage = createDevelopmentStorage(database.system);
});
afterAll(() => database.drop());

const record = (changes: Partial<DevelopmentRecord> = {}): DevelopmentRecord => ({
  text: "{}",
  uid: null,
  grantId: null,
  account: null,
  consumed: null,
  ...changes,
});

test("gives back what was put, under its issuer, kind and id alone, and the last of what was put there", async () => {
  const key = { issuer: "acme", kind: "Client", id: "a" };
  await storage.put(key, record(), null);
  const last = record({
    text: JSON.stringify({ a: "\u0000\ud800" }),
    uid: "u",
    grantId: "g",
    account: "tnt_1/ada",
  });
  await storage.put(key, last, 60);
  expect(await storage.find(key)).toEqual(last);
  expect(await storage.findByUid(key, "u")).toEqual(last);
  for (const other of [{ issuer: "globex" }, { kind: "Session" }, { id: "A" }]) {
    expect(await storage.find({ ...key, ...other })).toBeNull();
  }
  expect(await storage.findByUid({ ...key, issuer: "globex" }, "u")).toBeNull();
  await storage.remove(key);
  expect(await storage.find(key)).toBeNull();
});

test("what has expired is not there", async () => {
  const key = { issuer: "acme", kind: "Session", id: "b" };
  await storage.put(key, record({ uid: "b" }), -1);
  expect(await storage.find(key)).toBeNull();
  expect(await storage.findByUid(key, "b")).toBeNull();
});

test("is used up once, however many try at the same moment", async () => {
  const key = { issuer: "acme", kind: "RefreshToken", id: "c" };
  await storage.put(key, record(), 60);
  const outcomes = await Promise.all([1, 2, 3, 4, 5].map((moment) => storage.consume(key, moment)));
  expect(outcomes.filter((first) => first)).toHaveLength(1);
  expect((await storage.find(key))?.consumed).toBe(outcomes.indexOf(true) + 1);
  expect(await storage.consume({ ...key, id: "none" }, 1)).toBe(false);
});

test("what was given on a grant goes with it, of that issuer and kind", async () => {
  const keys = ["acme", "globex"].flatMap((issuer) =>
    ["AuthorizationCode", "RefreshToken"].map((kind) => ({ issuer, kind, id: "d" })),
  );
  for (const key of keys) await storage.put(key, record({ grantId: "shared" }), 60);
  const other = { issuer: "acme", kind: "RefreshToken", id: "e" };
  await storage.put(other, record({ grantId: "other" }), 60);
  await storage.removeOfGrant({ issuer: "acme", kind: "RefreshToken" }, "shared");
  expect(await Promise.all(keys.map((key) => storage.find(key)))).toEqual([
    record({ grantId: "shared" }),
    null,
    record({ grantId: "shared" }),
    record({ grantId: "shared" }),
  ]);
  expect(await storage.find(other)).not.toBeNull();
});

test("keeps 2,000 of a kind and issuer: the oldest go first", async () => {
  await database.admin(
    `INSERT INTO bulkhead.development_storage (issuer_name, kind, id, payload, created_at)
     SELECT issuer, kind, 'n' || n, '{"text":"{}"}', now() - interval '1 hour' + n * interval '1 second'
       FROM generate_series(1, 2000) n, unnest(ARRAY['bounded', 'bounded', 'beside'], ARRAY['Client', 'Grant', 'Client']) AS of(issuer, kind)`,
  );
  const key = { issuer: "bounded", kind: "Client", id: "new" };
  await storage.put(key, record(), null);
  await storage.put({ ...key, id: "n2" }, record(), null);
  await storage.put({ ...key, id: "newer" }, record(), null);
  const counts = await database.admin(
    `SELECT issuer_name, kind, count(*)::int FROM bulkhead.development_storage
      WHERE issuer_name IN ('bounded', 'beside') GROUP BY 1, 2 ORDER BY 1, 2`,
  );
  expect(counts).toEqual([
    { issuer_name: "beside", kind: "Client", count: 2000 },
    { issuer_name: "bounded", kind: "Client", count: 2000 },
    { issuer_name: "bounded", kind: "Grant", count: 2000 },
  ]);
  const there = async (id: string) => (await storage.find({ ...key, id })) !== null;
  expect(await Promise.all(["n1", "n2", "n3", "n4", "new", "newer"].map(there))).toEqual([
    false,
    true,
    false,
    true,
    true,
    true,
  ]);
});
