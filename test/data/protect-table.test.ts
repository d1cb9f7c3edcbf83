import { afterAll, beforeAll, expect, test } from "vitest";
import { checkIsolation } from "../../src/data/isolation-check.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { openDoorFixture } from "../support/tenant-doors.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const asOwner = (text: string): Promise<unknown> =>
  database.admin(`SET ROLE bulkhead_owner; ${text}; RESET ROLE`);

test("a plain table becomes a tenant table, and doing it again changes nothing", async () => {
  await asOwner("CREATE TABLE app.plain (id int PRIMARY KEY, body text)");
  await asOwner("SELECT bulkhead.protect_table('app.plain')");
  await asOwner("SELECT bulkhead.protect_table('app.plain')");
  const [key] = await database.admin<{ definition: string }>(
    "SELECT pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE conrelid = 'app.plain'::regclass AND contype = 'p'",
  );
  expect(key?.definition).toBe("PRIMARY KEY (tenant_id, id)");
  expect(await checkIsolation(database.system)).toEqual([]);
  const [column] = await database.admin<{ default: string; notnull: boolean }>(
    "SELECT pg_get_expr(d.adbin, d.adrelid) AS default, a.attnotnull AS notnull FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = 'app.plain'::regclass AND a.attname = 'tenant_id'",
  );
  expect(column).toEqual({ default: "bulkhead.current_tenant()", notnull: true });
});

test.each([
  [
    "a table with rows and no tenant_id",
    "CREATE TABLE app.t1 (id int PRIMARY KEY); INSERT INTO app.t1 VALUES (1)",
    "t1",
    /has rows and no column tenant_id/,
  ],
  [
    "a table without a primary key",
    "CREATE TABLE app.t2 (id int)",
    "t2",
    /needs a primary key that begins with tenant_id/,
  ],
  [
    "a unique constraint over all tenants",
    "CREATE TABLE app.t3 (id int PRIMARY KEY, mail text UNIQUE)",
    "t3",
    /unique index app.t3_mail_key of app.t3 must begin with tenant_id/,
  ],
  [
    "a foreign key that could point at another tenant's row",
    "CREATE TABLE app.t4 (tenant_id text, id int UNIQUE, PRIMARY KEY (tenant_id, id)); CREATE TABLE app.t5 (tenant_id text, id int, parent int REFERENCES app.t4 (id), PRIMARY KEY (tenant_id, id))",
    "t5",
    /foreign key t5_parent_fkey of app.t5 must pair tenant_id with tenant_id/,
  ],
  ["a view", "CREATE VIEW app.v1 AS SELECT 1 AS a", "v1", /is not a table/],
])("%s is refused, in words", async (_name, make, table, why) => {
  await asOwner(make);
  await expect(asOwner(`SELECT bulkhead.protect_table('app.${table}')`)).rejects.toThrow(why);
});

test("a second permissive policy, of anybody, opens nothing", async () => {
  const fixture = await openDoorFixture();
  try {
    await fixture.database.admin(
      "CREATE POLICY everything ON app.notes FOR ALL TO PUBLIC USING (true) WITH CHECK (true)",
    );
    expect(await fixture.as(fixture.acme)`SELECT body FROM notes ORDER BY id`).toEqual([
      { body: "acme one" },
      { body: "acme two" },
    ]);
    await expect(
      fixture
        .as(fixture.acme)
        .unsafe("INSERT INTO notes (tenant_id, body) VALUES ($1, 'planted')", [fixture.globex]),
    ).rejects.toMatchObject({
      code: "sql_failed",
    });
  } finally {
    await fixture.close();
  }
});

test("its owner sees rows only while the migrator runs", async () => {
  const fixture = await openDoorFixture();
  try {
    const asOwner = (text: string) => fixture.database.admin(`SET ROLE bulkhead_owner; ${text}; RESET ROLE`);
    await asOwner("UPDATE app.notes SET body = 'changed by a definer function'");
    expect(await fixture.as(fixture.globex)`SELECT body FROM notes`).toEqual([{ body: "globex secret" }]);
  } finally {
    await fixture.close();
  }
});
