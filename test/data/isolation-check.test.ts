import { afterAll, beforeAll, expect, test } from "vitest";
import helpdesk from "../../examples/helpdesk/server.ts";
import { checkIsolation } from "../../src/data/isolation-check.ts";
import { createBulkhead } from "../../src/server.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase("helpdesk");
});
afterAll(() => database.drop());

const findings = async (): Promise<string[]> =>
  (await checkIsolation(database.system)).map(({ rule, object }) => `${rule}: ${object}`);

test("a migrated database with the help desk's tables has no findings", async () => {
  expect(await findings()).toEqual([]);
});

test.each<[fault: string, plant: string, mend: string, found: RegExp]>([
  [
    "row-level security switched off",
    "ALTER TABLE app.tickets DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE app.tickets ENABLE ROW LEVEL SECURITY",
    /table_not_protected: app\.tickets/,
  ],
  [
    "not forced",
    "ALTER TABLE app.tickets NO FORCE ROW LEVEL SECURITY",
    "ALTER TABLE app.tickets FORCE ROW LEVEL SECURITY",
    /table_not_protected: app\.tickets/,
  ],
  [
    "the policy dropped",
    "DROP POLICY bulkhead_isolation ON app.tickets",
    "SELECT bulkhead.protect_table('app.tickets')",
    /table_not_protected: app\.tickets/,
  ],
  [
    "the policy weakened",
    "ALTER POLICY bulkhead_isolation ON app.tickets USING (true)",
    "SELECT bulkhead.protect_table('app.tickets')",
    /table_not_protected: app\.tickets/,
  ],
  [
    "a table granted without protection",
    "CREATE TABLE app.loose (a int); GRANT SELECT ON app.loose TO bulkhead_tenant",
    "DROP TABLE app.loose",
    /table_not_protected: app\.loose/,
  ],
  [
    "a table granted to PUBLIC",
    "CREATE TABLE public.loose (a int); GRANT SELECT ON public.loose TO PUBLIC",
    "DROP TABLE public.loose",
    /table_not_protected: (public\.)?loose/,
  ],
  [
    "a column granted",
    "GRANT SELECT (slug) ON bulkhead.tenants TO bulkhead_tenant",
    "REVOKE SELECT (slug) ON bulkhead.tenants FROM bulkhead_tenant",
    /table_not_protected: bulkhead\.tenants/,
  ],
  [
    "TRUNCATE granted",
    "GRANT TRUNCATE ON app.tickets TO bulkhead_tenant",
    "REVOKE TRUNCATE ON app.tickets FROM bulkhead_tenant",
    /table_rights: app\.tickets/,
  ],
  [
    "a view with its owner's eyes",
    "CREATE VIEW app.v AS SELECT * FROM app.tickets; GRANT SELECT ON app.v TO bulkhead_tenant",
    "DROP VIEW app.v",
    /view_not_invoker: app\.v/,
  ],
  [
    "a materialized view",
    "CREATE MATERIALIZED VIEW app.m AS SELECT 1 AS a; GRANT SELECT ON app.m TO bulkhead_tenant",
    "DROP MATERIALIZED VIEW app.m",
    /view_not_invoker: app\.m/,
  ],
  [
    "a definer function",
    "CREATE FUNCTION app.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'; GRANT EXECUTE ON FUNCTION app.f() TO bulkhead_tenant",
    "DROP FUNCTION app.f()",
    /definer_function: app\.f\(\)/,
  ],
  [
    "set_config given back",
    "GRANT EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) TO PUBLIC",
    "REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM PUBLIC",
    /withheld_function: set_config/,
  ],
  [
    "temporary tables allowed",
    "DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO bulkhead_tenant', current_database()); END $$",
    "DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM bulkhead_tenant', current_database()); END $$",
    /may_create: database/,
  ],
  [
    "CREATE on a schema",
    "GRANT CREATE ON SCHEMA app TO bulkhead_tenant",
    "REVOKE CREATE ON SCHEMA app FROM bulkhead_tenant",
    /may_create: schema app/,
  ],
  [
    "sequences that can be set",
    "CREATE SEQUENCE app.s; GRANT UPDATE ON SEQUENCE app.s TO bulkhead_tenant",
    "DROP SEQUENCE app.s",
    /sequence_update: app\.s/,
  ],
  [
    "a unique index over all tenants",
    "CREATE UNIQUE INDEX loose ON app.customers (email, tenant_id)",
    "DROP INDEX app.loose",
    /unique_across_tenants: (app\.)?loose/,
  ],
])("finds %s", async (_fault, plant, mend, found) => {
  await database.admin(plant);
  try {
    expect((await findings()).join("\n")).toMatch(found);
  } finally {
    await database.admin(mend);
  }
  expect(await findings()).toEqual([]);
});

test("a server refuses to serve from a database that does not enforce isolation, and names what is wrong", async () => {
  await database.admin("ALTER TABLE app.tickets NO FORCE ROW LEVEL SECURITY");
  const bulkhead = createBulkhead({
    server: helpdesk,
    databaseUrl: database.adminUrl,
    publicUrl: "http://127.0.0.1:1",
    mode: "development",
    logLevel: "silent",
  });
  await expect(bulkhead.ready()).rejects.toMatchObject({
    code: "isolation_broken",
    detail: expect.stringContaining("table_not_protected: app.tickets"),
  });
  await bulkhead.close();
  await database.admin("ALTER TABLE app.tickets FORCE ROW LEVEL SECURITY");
});
