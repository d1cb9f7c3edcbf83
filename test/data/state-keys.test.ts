import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { removeExpired } from "../../src/data/housekeeping.ts";
import { createStateKeys } from "../../src/data/state-keys.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(() => database.admin("DELETE FROM bulkhead.state_keys"));

/** An instance's keys, with its clock. */
function instance(time = { now: 0 }) {
  return { ...createStateKeys({ system: database.system, monotonic: () => time.now }), time };
}

const age = (id: string, interval: string) =>
  database.admin("UPDATE bulkhead.state_keys SET created_at = now() - $2::interval WHERE id = $1", [
    id,
    interval,
  ]);
const stored = async (): Promise<string[]> =>
  (await database.admin<{ id: string }>("SELECT id FROM bulkhead.state_keys ORDER BY created_at")).map(
    ({ id }) => id,
  );

test("instances that start together make one key and seal with it", async () => {
  const instances = Array.from({ length: 4 }, () => instance());
  await Promise.all(instances.map((each) => each.refresh()));
  const [first] = instances;
  expect(await stored()).toEqual([first?.sealing().id]);
  for (const each of instances) expect(each.sealing()).toEqual(first?.sealing());
  expect(first?.sealing().key).toHaveLength(32);
});

test("there is nothing to seal with before the keys were read", () => {
  expect(() => instance().sealing()).toThrow(expect.objectContaining({ code: "internal" }));
});

test("after a day there is a new key, sealed with once all instances must know it; the old one is known on", async () => {
  const here = instance();
  await here.refresh();
  const old = here.sealing();
  await age(old.id, "23 hours 59 minutes");
  await here.refresh();
  expect(await stored()).toEqual([old.id]);

  await age(old.id, "24 hours 1 minute");
  await here.refresh();
  const [, fresh = ""] = await stored();
  expect(here.sealing()).toEqual(old);
  expect(here.find(fresh)).toMatchObject({ id: fresh });

  await age(fresh, "119 seconds");
  await here.refresh();
  expect(here.sealing()).toEqual(old);
  await age(fresh, "121 seconds");
  await here.refresh();
  expect(here.sealing().id).toBe(fresh);
  expect(here.find(old.id)).toEqual(old);
  expect(here.sealing().key).not.toEqual(old.key);
});

test("an id that is not known is looked for at once, and at most once a second", async () => {
  const [here, there] = [instance(), instance()];
  await here.refresh();
  await there.refresh();
  await age(here.sealing().id, "25 hours");
  await here.refresh();
  const [, fresh = ""] = await stored();

  there.time.now = 999;
  expect(there.find(fresh)).toBeNull();
  there.time.now = 1_000;
  const [one, two] = [there.find(fresh), there.find("nobody")];
  expect(one).toBeInstanceOf(Promise);
  expect(await one).toMatchObject({ id: fresh });
  expect(await two).toBeNull();
  expect(there.find("nobody")).toBeNull();
  expect(there.find(fresh)).toMatchObject({ id: fresh });
});

test("old keys go, but none that may still have been sealed with within the hour", async () => {
  const insert = (id: string, interval: string) =>
    database.admin(
      "INSERT INTO bulkhead.state_keys (id, key, created_at) VALUES ($1, $2, now() - $3::interval)",
      [id, Buffer.alloc(32), interval],
    );
  await insert("three", "3 days");
  await removeExpired(database.system);
  expect(await stored()).toEqual(["three"]);
  await insert("new", "59 minutes");
  await removeExpired(database.system);
  expect(await stored()).toEqual(["three", "new"]);
  await age("new", "61 minutes");
  await insert("yesterday", "24 hours 59 minutes");
  await removeExpired(database.system);
  expect(await stored()).toEqual(["yesterday", "new"]);
});
