import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from "vitest";
import { type ConnectionSettings, connectionSettings } from "../../src/data/connection-settings.ts";
import { migrate, ownMigrationNames } from "../../src/data/migrate.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

const cluster = () => connectionSettings(inject("clusterUrl"));

/** Runs statements as superuser, on a connection of their own. */
async function asAdmin<T extends pg.QueryResultRow>(
  settings: ConnectionSettings,
  text: string,
  values?: unknown[],
): Promise<T[]> {
  const client = new pg.Client(settings);
  await client.connect();
  try {
    return (await client.query<T>(text, values)).rows;
  } finally {
    await client.end();
  }
}

let folder: string;
let app: URL;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "bulkhead-migrations-"));
  app = pathToFileURL(`${folder}/`);
});
afterEach(() => rm(folder, { recursive: true }));

const write = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text);
const faultOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "migrated",
    (error: { code?: string; detail?: string }) => `${error.code}: ${error.detail}`,
  );

describe("a database that is new", () => {
  let settings: ConnectionSettings;
  beforeEach(async () => {
    const name = `test_${randomBytes(8).toString("hex")}`;
    await asAdmin(cluster(), `CREATE DATABASE ${name}`);
    settings = { ...cluster(), database: name };
  });
  afterEach(() => asAdmin(cluster(), `DROP DATABASE ${settings.database} WITH (FORCE)`));

  test("gets all migrations in their order, and the next time none", async () => {
    await write("0002_second.sql", "INSERT INTO app.notes (id) VALUES (2)");
    await write("0001_first.sql", "CREATE TABLE app.notes (id int PRIMARY KEY)");
    await write("README.md", "No migration.");
    const own = (await ownMigrationNames()).map((name) => `bulkhead/${name}`);
    expect(own[0]).toBe("bulkhead/0001_foundation.sql");
    expect(await migrate(settings, { mode: "production", app })).toEqual({
      applied: [...own, "app/0001_first.sql", "app/0002_second.sql"],
      created: true,
    });
    expect(await migrate(settings, { mode: "production", app })).toEqual({ applied: [], created: false });
    await write("0003_third.sql", "INSERT INTO app.notes (id) VALUES (3)");
    expect(await migrate(settings, { mode: "production", app })).toEqual({
      applied: ["app/0003_third.sql"],
      created: false,
    });
    expect(await asAdmin(settings, "SELECT id FROM app.notes ORDER BY id")).toEqual([{ id: 2 }, { id: 3 }]);
    expect(await asAdmin(settings, "SELECT mode FROM bulkhead.deployment")).toEqual([{ mode: "production" }]);
  });

  test("is migrated once where several begin at the same time", async () => {
    await write(
      "0001_slow.sql",
      "CREATE TABLE app.notes (id int PRIMARY KEY); SELECT pg_sleep(0.1); INSERT INTO app.notes VALUES (1)",
    );
    const reports = await Promise.all(
      Array.from({ length: 4 }, () => migrate(settings, { mode: "development", app })),
    );
    const all = [...(await ownMigrationNames()).map((name) => `bulkhead/${name}`), "app/0001_slow.sql"];
    expect(reports.filter(({ created }) => created)).toEqual([{ applied: all, created: true }]);
    expect(reports.filter(({ created }) => !created).flatMap(({ applied }) => applied)).toEqual([]);
    expect(await asAdmin(settings, "SELECT count(*)::int AS n FROM app.notes")).toEqual([{ n: 1 }]);
    expect(
      await asAdmin(
        settings,
        "SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
      ),
    ).toEqual([{ n: 0 }]);
  });

  test("stays empty where it is not ours to make one of, or its files are no migrations", async () => {
    await asAdmin(settings, "CREATE TABLE public.somebodys (id int)");
    expect(await faultOf(migrate(settings, { mode: "development", app }))).toMatch(
      /^database_not_development: /,
    );
    await write("first.sql", "SELECT 1");
    expect(await faultOf(migrate(settings, { mode: "production", app }))).toMatch(
      /^migration_failed: first\.sql: /,
    );
    expect(
      await asAdmin(settings, "SELECT nspname FROM pg_namespace WHERE nspname IN ('bulkhead', 'app')"),
    ).toEqual([]);
    expect(await asAdmin(settings, "SELECT to_regclass('public.bulkhead_migrations')::text AS made")).toEqual(
      [{ made: null }],
    );
  });

  test("that cannot be reached is said so, without a password", async () => {
    const elsewhere = { ...settings, database: "nowhere" };
    expect(await faultOf(migrate(elsewhere, { mode: "production" }))).toMatch(
      /^database_unavailable: .*"nowhere" does not exist/,
    );
  });
});

describe("migrations of an application", () => {
  let database: TestDatabase;
  let settings: ConnectionSettings;
  beforeAll(async () => {
    database = await createTestDatabase();
    settings = connectionSettings(database.adminUrl);
  });
  afterAll(() => database.drop());
  // Each test begins without any of its own.
  afterEach(async () => {
    await database.admin("DROP SCHEMA app CASCADE");
    await database.admin("CREATE SCHEMA app AUTHORIZATION bulkhead_owner");
    await database.admin("DELETE FROM bulkhead.protected_tables WHERE schema_name = 'app'");
    await database.admin("DELETE FROM public.bulkhead_migrations WHERE scope = 'app'");
  });

  const run = () => migrate(settings, { mode: "development", app });
  const recorded = async (): Promise<string[]> =>
    (
      await database.admin<{ name: string }>(
        "SELECT name FROM public.bulkhead_migrations WHERE scope = 'app' ORDER BY name",
      )
    ).map((row) => row.name);

  test("that were changed after they had been applied are refused by name, before anything else happens", async () => {
    await write("0001_notes.sql", "CREATE TABLE app.notes (id int PRIMARY KEY)");
    await run();
    await write("0000_before.sql", "CREATE TABLE app.before (id int)");
    await write("0001_notes.sql", "CREATE TABLE app.notes (id bigint PRIMARY KEY)");
    await write("0002_after.sql", "CREATE TABLE app.after (id int)");
    expect(await faultOf(run())).toBe(
      "migration_failed: app/0001_notes.sql was changed after it had been applied.",
    );
    expect(await recorded()).toEqual(["0001_notes.sql"]);
    expect(
      await database.admin("SELECT to_regclass('app.before') AS b, to_regclass('app.after') AS a"),
    ).toEqual([{ b: null, a: null }]);
    // Even a space is a change; the file as it was is none.
    await write("0001_notes.sql", "CREATE TABLE app.notes (id int PRIMARY KEY) ");
    expect(await faultOf(run())).toMatch(/^migration_failed: app\/0001_notes\.sql was changed/);
    await write("0001_notes.sql", "CREATE TABLE app.notes (id int PRIMARY KEY)");
    expect((await run()).applied).toEqual(["app/0000_before.sql", "app/0002_after.sql"]);
  });

  test("that fail leave nothing of themselves, and what came before them stays", async () => {
    await write("0001_good.sql", "CREATE TABLE app.notes (id int PRIMARY KEY)");
    await write(
      "0002_bad.sql",
      "CREATE TABLE app.half (id int); INSERT INTO app.notes VALUES (1); SET search_path = pg_temp; SELECT 1 / 0",
    );
    await write("0003_never.sql", "CREATE TABLE app.never (id int)");
    expect(await faultOf(run())).toBe("migration_failed: app/0002_bad.sql: division by zero");
    expect(await recorded()).toEqual(["0001_good.sql"]);
    expect(
      await database.admin(
        "SELECT to_regclass('app.half') AS half, to_regclass('app.never') AS never, (SELECT count(*)::int FROM app.notes) AS notes, (SELECT count(*)::int FROM bulkhead.tenant_claims WHERE tenant_id = '*migration*') AS claims",
      ),
    ).toEqual([{ half: null, never: null, notes: 0, claims: 0 }]);
    await write("0002_bad.sql", "INSERT INTO notes VALUES (1)");
    expect((await run()).applied).toEqual(["app/0002_bad.sql", "app/0003_never.sql"]);
    expect(await database.admin("SELECT id FROM app.notes")).toEqual([{ id: 1 }]);
  });

  test.each<[string, string[], string]>([
    ["two of one number", ["0001_a.sql", "0001_b.sql"], "0001_b.sql"],
    ["a name without a number", ["notes.sql"], "notes.sql"],
    ["a number of three digits", ["001_notes.sql"], "001_notes.sql"],
    ["a number of five digits", ["00001_notes.sql"], "00001_notes.sql"],
    ["a number alone", ["0001.sql"], "0001.sql"],
    ["an empty name", ["0001_.sql"], "0001_.sql"],
    ["capitals", ["0001_Notes.sql"], "0001_Notes.sql"],
    ["a hyphen", ["0001-notes.sql"], "0001-notes.sql"],
    ["a space", ["0001_my notes.sql"], "0001_my notes.sql"],
    ["a second ending", ["0001_notes.down.sql"], "0001_notes.down.sql"],
  ])("with %s are refused by name", async (_what, names, refused) => {
    for (const name of names) await write(name, "CREATE TABLE app.notes (id int)");
    expect(await faultOf(run())).toBe(
      `migration_failed: ${refused}: migrations are named 0001_name.sql, each number once.`,
    );
    expect(await recorded()).toEqual([]);
  });

  test.each<[string, string, string]>([
    ["BEGIN", "BEGIN; CREATE TABLE app.notes (id int); COMMIT;", "BEGIN"],
    ["START TRANSACTION", "CREATE TABLE app.notes (id int);\nstart transaction", "START"],
    ["COMMIT in the middle", "CREATE TABLE app.notes (id int); Commit; SELECT 1 / 0", "COMMIT"],
    [
      "ROLLBACK behind comments",
      "-- ;\n/* a /* b */ ; */ ROLLBACK; CREATE TABLE app.notes (id int)",
      "ROLLBACK",
    ],
    ["ABORT behind quotes", "SELECT 'a''b;', E'\\';', $x$;$$;$x$, \"c;\" AS a$b$;ABORT", "ABORT"],
  ])("that end their transaction are refused by name: %s", async (_what, text, word) => {
    await write("0001_notes.sql", text);
    expect(await faultOf(run())).toBe(
      `migration_failed: 0001_notes.sql: it says ${word}, and a migration is one transaction already.`,
    );
    expect(await database.admin("SELECT to_regclass('app.notes') AS made")).toEqual([{ made: null }]);
  });

  test("may say such words where they are no statements", async () => {
    await write(
      "0001_words.sql",
      `-- COMMIT;
       /* ; ROLLBACK; */
       CREATE TABLE begin (start text DEFAULT '; COMMIT;', "; abort" int);
       INSERT INTO begin (start) VALUES (E'\\'; ROLLBACK; '), ($$; COMMIT; $$), ($q$; $$ ABORT; $q$);
       DO $$ BEGIN PERFORM 1; BEGIN NULL; END; END $$;
       CREATE FUNCTION one() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 1; END;
       SAVEPOINT s; RELEASE s;`,
    );
    expect((await run()).applied).toEqual(["app/0001_words.sql"]);
    expect(await database.admin("SELECT count(*)::int AS n, app.one() FROM app.begin")).toEqual([
      { n: 3, one: 1 },
    ]);
  });

  test("in a folder that is not there are refused by its name", async () => {
    const nowhere = new URL("nowhere/", app);
    expect(await faultOf(migrate(settings, { mode: "development", app: nowhere }))).toBe(
      `migration_failed: The directory ${join(folder, "nowhere")}/ cannot be read.`,
    );
  });

  test("fill every tenant's rows of a protected table, and change no tenant", async () => {
    const tenants = ["tnt_00000000000000000000000001", "tnt_00000000000000000000000002"];
    await write(
      "0001_notes.sql",
      "CREATE TABLE notes (id int PRIMARY KEY, body text NOT NULL); SELECT bulkhead.protect_table('notes')",
    );
    await run();
    for (const tenant of tenants)
      await database.admin(
        "INSERT INTO app.notes (tenant_id, id, body) VALUES ($1, 1, 'one'), ($1, 2, 'two')",
        [tenant],
      );
    await write(
      "0002_length.sql",
      `ALTER TABLE notes ADD COLUMN length int;
       UPDATE notes SET length = length(body);
       ALTER TABLE notes ALTER COLUMN length SET NOT NULL;
       CREATE TABLE seen AS SELECT tenant_id, count(*)::int AS rows FROM notes GROUP BY tenant_id;
       INSERT INTO notes (tenant_id, id, body, length) SELECT tenant_id, 3, 'three', 5 FROM seen;
       DELETE FROM notes WHERE id = 2;
       SELECT bulkhead.protect_table('notes')`,
    );
    expect((await run()).applied).toEqual(["app/0002_length.sql"]);
    expect(await database.admin("SELECT * FROM app.seen ORDER BY 1")).toEqual(
      tenants.map((tenant_id) => ({ tenant_id, rows: 2 })),
    );
    expect(await database.admin("SELECT tenant_id, id, body, length FROM app.notes ORDER BY 1, 2")).toEqual(
      tenants.flatMap((tenant_id) => [
        { tenant_id, id: 1, body: "one", length: 3 },
        { tenant_id, id: 3, body: "three", length: 5 },
      ]),
    );
    // The way in was for these migrations alone: afterwards their owner sees no row.
    expect(
      await asAdmin({ ...settings, options: "-c role=bulkhead_owner" }, "SELECT * FROM app.notes"),
    ).toEqual([]);
    expect(
      await database.admin(
        "SELECT count(*)::int AS n FROM bulkhead.tenant_claims WHERE tenant_id = '*migration*'",
      ),
    ).toEqual([{ n: 0 }]);
  });

  test("run as bulkhead_owner, who is no superuser and owns what they make", async () => {
    await write(
      "0001_who.sql",
      `CREATE TABLE who AS SELECT current_user::text AS name, current_setting('search_path') AS path,
         (SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls FROM pg_roles WHERE rolname = current_user) AS mighty`,
    );
    await run();
    expect(await database.admin("SELECT * FROM app.who")).toEqual([
      { name: "bulkhead_owner", path: "app, public, pg_temp", mighty: false },
    ]);
    expect(await database.admin("SELECT tableowner FROM pg_tables WHERE schemaname = 'app'")).toEqual([
      { tableowner: "bulkhead_owner" },
    ]);
  });

  test.each<[string, string, RegExp]>([
    ["make a role", "CREATE ROLE test_mighty SUPERUSER", /permission denied to create role/],
    [
      "let a role pass the policies",
      "ALTER ROLE bulkhead_tenant BYPASSRLS",
      /permission denied to alter role/,
    ],
    [
      "run a program",
      "COPY (SELECT 1) TO PROGRAM 'true'",
      /permission denied to COPY to or from an external program/,
    ],
    ["read the server's files", "SELECT pg_read_file('PG_VERSION')", /permission denied for function/],
    [
      "write outside its schema",
      "CREATE TABLE public.planted (id int)",
      /permission denied for schema public/,
    ],
  ])("cannot %s", async (_what, text, why) => {
    await write("0001_evil.sql", text);
    expect(await faultOf(run())).toMatch(why);
    expect(await recorded()).toEqual([]);
  });
});
