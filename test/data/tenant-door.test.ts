import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectionSettings, doorSettings } from "../../src/data/connection-settings.ts";
import type { Row } from "../../src/tenancy/tenant-context.ts";
import { type DoorFixture, openDoorFixture } from "../support/tenant-doors.ts";

let fixture: DoorFixture;
beforeAll(async () => {
  fixture = await openDoorFixture();
});
afterAll(() => fixture.close());

/** Runs a text as acme and gives everything that came back, as text. */
async function attempt(text: string, values: string[] = []): Promise<string> {
  try {
    return JSON.stringify(await fixture.as(fixture.acme).unsafe(text, values));
  } catch (error) {
    return `refused: ${(error as { code?: string }).code} ${(error as Error).message}`;
  }
}

/** What the database has, seen past row-level security. */
async function notesOf(tenant: string): Promise<string[]> {
  return (
    await fixture.database.admin<{ body: string }>(
      "SELECT body FROM app.notes WHERE tenant_id = $1 ORDER BY id",
      [tenant],
    )
  ).map((row) => row.body);
}

describe("rows", () => {
  test("a SELECT without WHERE gives the tenant's own rows only", async () => {
    expect(await fixture.as(fixture.acme)`SELECT body FROM notes ORDER BY id`).toEqual([
      { body: "acme one" },
      { body: "acme two" },
    ]);
    expect(await fixture.as(fixture.globex)`SELECT body FROM notes`).toEqual([{ body: "globex secret" }]);
  });

  test("UPDATE and DELETE without WHERE touch the tenant's own rows only", async () => {
    const door = await openDoorFixture();
    try {
      await door.as(door.acme)`UPDATE notes SET body = 'changed'`;
      expect(await door.as(door.globex)`SELECT body FROM notes`).toEqual([{ body: "globex secret" }]);
      await door.as(door.acme)`DELETE FROM notes`;
      expect(await door.as(door.globex)`SELECT count(*)::int AS n FROM notes`).toEqual([{ n: 1 }]);
    } finally {
      await door.close();
    }
  });

  test("a row cannot be written for another tenant, nor handed to one", async () => {
    expect(
      await attempt("INSERT INTO notes (tenant_id, body) VALUES ($1, 'planted')", [fixture.globex]),
    ).toMatch(/^refused: sql_failed .*42501/);
    expect(await attempt("UPDATE notes SET tenant_id = $1", [fixture.globex])).toMatch(
      /^refused: sql_failed .*42501/,
    );
    expect(
      await attempt(
        "MERGE INTO notes n USING (VALUES ($1::text)) v(t) ON false WHEN NOT MATCHED THEN INSERT (tenant_id, body) VALUES (v.t, 'planted')",
        [fixture.globex],
      ),
    ).toMatch(/^refused: sql_failed .*42501/);
    expect(await notesOf(fixture.globex)).toEqual(["globex secret"]);
  });
});

describe("forging the tenant inside one's own SQL", () => {
  const marker = "globex secret";
  const forgeries: [name: string, text: string][] = [
    [
      "set_config in a sub-select",
      "SELECT (SELECT set_config('bulkhead.claim', $1, false)), body FROM notes",
    ],
    [
      "set_config in a CTE",
      "WITH s AS MATERIALIZED (SELECT set_config('bulkhead.claim', $1, true)) SELECT body FROM s, notes",
    ],
    ["set_config on a bare tenant setting", "SELECT set_config('app.tenant_id', $1, false), body FROM notes"],
    [
      "query_to_xml",
      "SELECT query_to_xml('SELECT set_config(''bulkhead.claim'', ''' || $1 || ''', false); SELECT body FROM app.notes', true, true, '')::text AS x",
    ],
    ["table_to_xml", "SELECT table_to_xml('app.notes', true, true, $1)::text AS x"],
    ["schema_to_xml", "SELECT schema_to_xml('app', true, true, $1)::text AS x"],
    ["database_to_xml", "SELECT database_to_xml(true, true, $1)::text AS x"],
    ["ts_stat", "SELECT * FROM ts_stat('SELECT to_tsvector(body) FROM app.notes') WHERE $1 <> ''"],
    ["the claims' table", "SELECT * FROM bulkhead.tenant_claims WHERE tenant_id = $1"],
    ["other sessions' statements", "SELECT query FROM pg_stat_activity WHERE query <> $1"],
    [
      "other sessions' statements by backend",
      "SELECT pg_stat_get_backend_activity(s) AS q FROM pg_stat_get_backend_idset() s WHERE $1 <> ''",
    ],
    ["row_security off", "SELECT body FROM notes WHERE set_config('row_security', 'off', true) <> $1"],
    [
      "an update of the settings' view",
      "UPDATE pg_settings SET setting = 'off' WHERE name = 'row_security' AND $1 <> ''",
    ],
    ["the owner's role", "SELECT set_config('role', 'bulkhead_owner', true), body, $1 FROM notes"],
    ["large objects", "SELECT lo_import('/etc/passwd') WHERE $1 <> ''"],
    ["files", "SELECT pg_read_file('/etc/passwd') WHERE $1 <> ''"],
    ["the catalog of configuration", "SELECT * FROM bulkhead.tenants WHERE id = $1"],
    ["the audit trail", "SELECT * FROM bulkhead.audit_entries WHERE tenant_id = $1"],
    ["issuers", "SELECT * FROM bulkhead.issuers WHERE tenant_id = $1"],
    ["development keys", "SELECT * FROM bulkhead.development_keys WHERE issuer_id <> $1"],
    [
      "statistics of the planner",
      "SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'notes' AND $1 <> ''",
    ],
    ["where another tenant's row lies", "SELECT currtid2('app.notes', '(0,3)')::text AS x WHERE $1 <> ''"],
    [
      "SQL given to ts_rewrite",
      "SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, plainto_tsquery(body) FROM app.notes')::text AS x WHERE $1 <> ''",
    ],
    [
      "statistics of use",
      "SELECT n_tup_ins, n_live_tup FROM pg_stat_user_tables WHERE relname = 'notes' AND $1 <> ''",
    ],
    [
      "the position of a shared sequence",
      "SELECT pg_sequence_last_value('app.notes_id_seq') AS x WHERE $1 <> ''",
    ],
    ["the size of a table", "SELECT pg_total_relation_size('app.notes') AS x WHERE $1 <> ''"],
    ["the locks of others", "SELECT * FROM pg_locks WHERE locktype <> $1"],
    ["the seed of random numbers", "SELECT setseed(0.42) WHERE $1 <> ''"],
    ["the store", "SELECT * FROM bulkhead.store_entries WHERE tenant_id = $1"],
  ];

  test.each(forgeries)("by %s gives nothing of others", async (_name, text) => {
    await fixture.database.admin("ANALYZE app.notes");
    await fixture.as(
      fixture.globex,
    )`INSERT INTO bulkhead.store_entries (key, value) VALUES ('k', ${fixture.as(fixture.globex).json(marker)}::jsonb)
      ON CONFLICT (tenant_id, key) DO NOTHING`;
    const answer = await attempt(text, [fixture.globex]);
    expect(answer).not.toContain(marker);
    expect(answer).not.toMatch(/globex secret|root:/);
    // Either refused outright, or what came back is the caller's own or nothing.
    if (!answer.startsWith("refused"))
      expect(
        JSON.parse(answer).every(
          (row: Row) => JSON.stringify(row).includes("acme") || Object.keys(row).length === 0,
        ),
      ).toBe(true);
    expect(await fixture.as(fixture.acme)`SELECT body FROM notes WHERE body LIKE 'globex%'`).toEqual([]);
  });

  test("without a claim, with a wrong one and with an expired one nothing is seen", async () => {
    const settings = doorSettings(connectionSettings(fixture.database.adminUrl), "bulkhead_tenant");
    const client = new pg.Client(settings);
    await client.connect();
    try {
      for (const claim of [null, "", fixture.globex, "0".repeat(64)]) {
        if (claim !== null) await client.query(`SET bulkhead.claim = '${claim}'`);
        expect((await client.query("SELECT body FROM notes")).rows).toEqual([]);
      }
    } finally {
      await client.end();
    }
    await fixture.database.admin(
      "UPDATE bulkhead.tenant_claims SET expires_at = now() - interval '1 second' WHERE tenant_id = $1",
      [fixture.globex],
    );
    const sameConnection = await fixture.as(fixture.globex)`SELECT body FROM notes`;
    expect(sameConnection).toEqual([]);
    await fixture.database.admin("UPDATE bulkhead.tenant_claims SET expires_at = now() + interval '1 hour'");
  });
});

describe("what a statement may be", () => {
  const refused = [
    "SET bulkhead.claim = 'x'",
    "RESET ALL",
    "SET ROLE bulkhead_owner",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "DO $$ BEGIN END $$",
    "COPY notes TO STDOUT",
    "EXPLAIN ANALYZE SELECT 1",
    "CREATE TABLE x (a int)",
    "DROP TABLE notes",
    "TRUNCATE notes",
    "LISTEN x",
    "NOTIFY x",
    "PREPARE p AS SELECT 1",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "CALL p()",
    "LOCK notes",
    "GRANT ALL ON notes TO PUBLIC",
    "ALTER TABLE notes DISABLE ROW LEVEL SECURITY",
    "VACUUM",
    "SHOW ALL",
    "",
    "   ",
    "-- SELECT 1",
    "/* SELECT 1",
    "/* /* */ SELECT 1",
    "; SELECT 1",
    "(SELECT 1)",
    "selection",
    "select1",
    "SELECT 1\0",
  ];
  test.each(refused)("%j is refused before it is sent", async (text) => {
    expect(await attempt(text)).toMatch(/^refused: sql_refused/);
  });

  test.each([
    "SELECT 1 AS one",
    "  \n\t select 1 AS one",
    "-- a comment\nSELECT 1 AS one",
    "/* a /* nested */ comment */ WITH x AS (SELECT 1 AS one) SELECT * FROM x",
    "VALUES (1)",
    "SELECT(1) AS one",
  ])("%j may be sent", async (text) => {
    expect(await attempt(text)).toMatch(/^\[\{/);
  });

  test.each([
    "SELECT 1; SELECT 2",
    "SELECT 1; SET bulkhead.claim = 'x'",
    "SELECT 1; COMMIT; SELECT 2",
    "UPDATE notes SET body = body; DELETE FROM notes",
  ])("%j is refused by PostgreSQL: several statements", async (text) => {
    expect(await attempt(text)).toMatch(/^refused: sql_failed .*42601/);
    expect(await notesOf(fixture.acme)).toEqual(["acme one", "acme two"]);
  });

  test.each([
    ["settings, by their view", "UPDATE pg_settings SET setting = '0' WHERE name = 'statement_timeout'"],
    ["temporary tables", "SELECT 1 INTO TEMP t"],
    ["tables", "SELECT 1 INTO app.t"],
    ["advisory locks", "SELECT pg_advisory_lock(1)"],
    ["notifications", "SELECT pg_notify('bulkhead_configuration', '')"],
    ["cancelling others", "SELECT pg_cancel_backend(1)"],
    ["terminating others", "SELECT pg_terminate_backend(1)"],
    ["setting sequences", "SELECT setval('app.notes_id_seq', 1)"],
    ["erasing a tenant", "SELECT bulkhead.erase_tenant_rows('x')"],
    ["erasing audit rows", "SELECT bulkhead.erase_audit('x')"],
    ["protecting tables", "SELECT bulkhead.protect_table('app.notes')"],
  ])("a tenant's role has no right to %s", async (_what, text) => {
    expect(await attempt(text)).toMatch(/^refused: sql_failed .*42501/);
  });

  test("functions that forge settings, run SQL, reach other sessions or leave something behind are withheld", async () => {
    const rows = await fixture.database.admin<{ name: string }>(
      `SELECT DISTINCT p.proname AS name FROM pg_proc p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND has_function_privilege('bulkhead_tenant', p.oid, 'EXECUTE')
          AND (p.proname IN ('set_config', 'ts_stat', 'pg_notify', 'pg_cancel_backend', 'pg_terminate_backend', 'pg_stat_get_activity',
                             'lo_import', 'lo_export', 'lo_create', 'lo_creat', 'lo_open', 'lo_put', 'lo_get', 'lo_unlink', 'lo_from_bytea', 'loread', 'lowrite')
               OR p.proname IN ('ts_rewrite', 'setseed', 'currtid2', 'pg_sequence_last_value', 'pg_lock_status') OR p.proname ~ '^pg_stat_get_'
               OR p.proname ~ '_to_xml(schema|_and_xmlschema)?$' OR p.proname ~ '^pg_(try_)?advisory_')
        ORDER BY 1`,
    );
    // The door cleans its connections with this one.
    expect(rows.map((row) => row.name)).toEqual(["pg_advisory_unlock_all"]);
  });

  test("a read-only door refuses to write, also in a CTE", async () => {
    const sql = fixture.as(fixture.acme, { readOnly: true });
    await expect(sql`INSERT INTO notes (body) VALUES ('no')`).rejects.toMatchObject({
      code: "sql_failed",
      detail: expect.stringContaining("25006"),
    });
    await expect(sql`WITH d AS (DELETE FROM notes RETURNING 1) SELECT * FROM d`).rejects.toMatchObject({
      code: "sql_failed",
    });
    expect(await sql`SELECT count(*)::int AS n FROM notes`).toEqual([{ n: 2 }]);
    expect(await notesOf(fixture.acme)).toHaveLength(2);
  });
});

describe("a connection that served another tenant", () => {
  test("shows nothing of what it left: role, settings, statements, cursors, channels, locks, temporary tables, sequences", async () => {
    const door = await openDoorFixture(1);
    const { admin } = door.database;
    try {
      const [before] = await door.as(door.acme)`SELECT pg_backend_pid() AS pid`;
      // Dirt that no statement of a tenant can make, put there past the rules and with rights that it lacks, as a bug of
      // ours might. Rights of this database alone.
      const [name] = await admin<{ name: string }>("SELECT quote_ident(current_database()) AS name");
      await admin(`GRANT EXECUTE ON FUNCTION pg_catalog.pg_advisory_lock(bigint) TO bulkhead_tenant;
                   GRANT TEMPORARY ON DATABASE ${name?.name} TO bulkhead_tenant`);
      const dirty = await door.connections.acquire({
        tenantId: door.acme,
        readOnly: false,
        statementTimeoutMs: 5_000,
      });
      await dirty.client.query(
        `SET ROLE bulkhead_tenant; SET app.note = 'acme was here'; SET work_mem = '77MB';
         PREPARE acme_secret AS SELECT 'acme secret'; LISTEN acme_channel;
         SELECT pg_advisory_lock(4711); CREATE TEMPORARY TABLE acme_scratch AS SELECT body FROM notes;
         INSERT INTO notes (body) VALUES ('leaves lastval behind')`,
      );
      await dirty.client.query(
        "BEGIN; DECLARE acme_cursor CURSOR WITH HOLD FOR SELECT body FROM notes; COMMIT",
      );
      const seen = `SELECT current_setting('role') AS role, current_setting('work_mem') AS memory,
          coalesce(current_setting('app.note', true), '') AS note,
          ARRAY(SELECT name FROM pg_prepared_statements) AS statements, ARRAY(SELECT pg_listening_channels()) AS channels,
          ARRAY(SELECT name FROM pg_cursors WHERE name <> '') AS cursors`;
      const left = `SELECT
          (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND pid = $1) AS locks,
          (SELECT count(*)::int FROM pg_class WHERE relname = 'acme_scratch') AS tables`;
      // It is there to be seen, or its absence would prove nothing.
      expect((await dirty.client.query(seen)).rows).toEqual([
        {
          role: "bulkhead_tenant",
          memory: "77MB",
          note: "acme was here",
          statements: ["acme_secret"],
          channels: ["acme_channel"],
          cursors: ["acme_cursor"],
        },
      ]);
      expect((await dirty.client.query("SELECT lastval()::int AS n")).rows).toEqual([{ n: 4 }]);
      expect(await admin(left, [before?.pid])).toEqual([{ locks: 1, tables: 1 }]);
      dirty.release(false);
      await admin(`REVOKE EXECUTE ON FUNCTION pg_catalog.pg_advisory_lock(bigint) FROM bulkhead_tenant;
                   REVOKE TEMPORARY ON DATABASE ${name?.name} FROM bulkhead_tenant`);

      const globex = door.as(door.globex);
      const [after] = await globex`SELECT pg_backend_pid() AS pid`;
      expect(after?.pid).toBe(before?.pid);
      const [clean] = await globex.unsafe(seen);
      expect(clean).toEqual({
        role: "none",
        memory: expect.not.stringMatching("77MB"),
        note: "",
        statements: [],
        channels: [],
        cursors: [],
      });
      expect(await admin(left, [before?.pid])).toEqual([{ locks: 0, tables: 0 }]);
      // Last: a connection on which a statement failed may be another one afterwards.
      await expect(globex`SELECT lastval()`).rejects.toMatchObject({
        detail: expect.stringContaining("55000"),
      });
      expect(await globex`SELECT body FROM notes`).toEqual([{ body: "globex secret" }]);
    } finally {
      await door.close();
    }
  });

  test("is destroyed where a transaction cannot be rolled back, or a statement was cancelled", async () => {
    const door = await openDoorFixture(1);
    try {
      const [before] = await door.as(door.acme)`SELECT pg_backend_pid() AS pid`;
      const abort = new AbortController();
      const sql = door.door.open(
        { tenantId: door.acme, readOnly: false, statementTimeoutMs: 20_000 },
        abort.signal,
      );
      const sleeping = sql`SELECT pg_sleep(20)`;
      const started = performance.now();
      setTimeout(() => abort.abort(new Error("enough")), 200);
      await expect(sleeping).rejects.toThrow("enough");
      expect(performance.now() - started).toBeLessThan(5_000);
      const [after] = await door.as(door.globex)`SELECT pg_backend_pid() AS pid`;
      expect(after?.pid).not.toBe(before?.pid);
      await expect(door.as(door.acme, { statementTimeoutMs: 100 })`SELECT pg_sleep(5)`).rejects.toMatchObject(
        { detail: expect.stringContaining("57014") },
      );
      const [last] = await door.as(door.acme)`SELECT pg_backend_pid() AS pid`;
      expect(last?.pid).not.toBe(after?.pid);
    } finally {
      await door.close();
    }
  });

  test("many tenants and errors in any order on few connections: nobody sees another's rows", async () => {
    const door = await openDoorFixture(3);
    try {
      let wrong = 0;
      await Promise.all(
        Array.from({ length: 400 }, async (_unused, index) => {
          const [tenant, word] = index % 2 === 0 ? [door.acme, "acme"] : [door.globex, "globex"];
          const sql = door.as(tenant, { readOnly: index % 5 === 0 });
          try {
            if (index % 7 === 0) await sql`SELECT 1 / 0`;
            const rows =
              index % 3 === 0
                ? await sql.transaction(async (inside) => {
                    const found = await inside`SELECT body FROM notes`;
                    if (index % 4 === 0) throw new Error("rolled back");
                    return found;
                  })
                : await sql`SELECT body FROM notes`;
            if (rows.length === 0 || rows.some((row) => !String(row.body).startsWith(word))) wrong++;
          } catch (error) {
            if (!/division by zero|rolled back/.test((error as Error).message)) throw error;
          }
        }),
      );
      expect(wrong).toBe(0);
    } finally {
      await door.close();
    }
  });
});

describe("connections are shared out", () => {
  test("one that becomes free while its waiter goes away is not lost", async () => {
    const door = await openDoorFixture(1);
    try {
      const held = await door.connections.acquire({
        tenantId: door.acme,
        readOnly: false,
        statementTimeoutMs: 5_000,
      });
      const abort = new AbortController();
      const gone = door.door
        .open({ tenantId: door.globex, readOnly: false, statementTimeoutMs: 5_000 }, abort.signal)
        .unsafe("SELECT 1");
      const settled = expect(gone).rejects.toThrow("gone");
      await new Promise((resolve) => setTimeout(resolve, 50));
      held.release(true);
      abort.abort(new Error("gone"));
      await settled;
      for (let i = 0; i < 3; i++) expect(await door.as(door.acme)`SELECT 1 AS one`).toEqual([{ one: 1 }]);
    } finally {
      await door.close();
    }
  });

  test("a hundred callers that go away at any moment leave all connections usable", async () => {
    const door = await openDoorFixture(3);
    try {
      await Promise.all(
        Array.from({ length: 100 }, async (_unused, i) => {
          const abort = new AbortController();
          const sql = door.door.open(
            { tenantId: i % 2 ? door.acme : door.globex, readOnly: false, statementTimeoutMs: 5_000 },
            abort.signal,
          );
          setTimeout(() => abort.abort(new Error("gone")), (i * 7) % 60);
          await Promise.resolve(sql`SELECT pg_sleep(0.02)`).catch(() => {});
        }),
      );
      const both = [door.acme, door.globex, door.acme];
      expect(
        await Promise.all(
          both.map((tenant) => Promise.resolve(door.as(tenant)`SELECT count(*)::int > 0 AS some FROM notes`)),
        ),
      ).toEqual(both.map(() => [{ some: true }]));
    } finally {
      await door.close();
    }
  });

  test("a tenant whose statements are slow leaves others their share", async () => {
    const door = await openDoorFixture(4);
    try {
      const slow = Array.from({ length: 6 }, () => Promise.resolve(door.as(door.globex)`SELECT pg_sleep(1)`));
      await new Promise((resolve) => setTimeout(resolve, 100));
      const started = performance.now();
      await Promise.all(Array.from({ length: 10 }, () => Promise.resolve(door.as(door.acme)`SELECT 1`)));
      expect(performance.now() - started).toBeLessThan(700);
      await Promise.all(slow);
    } finally {
      await door.close();
    }
  });
});

describe("an answer that is too large", () => {
  test.each([
    ["one value", "SELECT repeat('x', 100000000) AS x"],
    ["many rows", "SELECT g, repeat('x', 1000) AS x FROM generate_series(1, 50000) g"],
  ])("%s ends the statement, not the process", async (_name, text) => {
    const before = process.memoryUsage().rss;
    expect(await attempt(text)).toMatch(/^refused: sql_failed .*larger than/);
    expect(process.memoryUsage().rss - before).toBeLessThan(400_000_000);
    expect(await fixture.as(fixture.acme)`SELECT 1 AS one`).toEqual([{ one: 1 }]);
  });
});

describe("transactions", () => {
  test("commit together or not at all", async () => {
    const door = await openDoorFixture(2);
    try {
      const sql = door.as(door.acme);
      await expect(
        sql.transaction(async (inside) => {
          await inside`INSERT INTO notes (body) VALUES ('lost')`;
          throw new Error("no");
        }),
      ).rejects.toThrow("no");
      const result = await sql.transaction(async (inside) => {
        await inside`INSERT INTO notes (body) VALUES ('kept')`;
        return inside`SELECT body FROM notes ORDER BY id DESC LIMIT 1`;
      });
      expect(result).toEqual([{ body: "kept" }]);
      expect(await sql`SELECT count(*)::int AS n FROM notes`).toEqual([{ n: 3 }]);
    } finally {
      await door.close();
    }
  });

  test("one in which a statement failed is not kept, and says so, also where the handler caught the error", async () => {
    const sql = fixture.as(fixture.acme);
    await expect(
      sql.transaction(async (inside) => {
        await inside`INSERT INTO notes (body) VALUES ('acknowledged and lost')`;
        await Promise.resolve(inside`SELECT 1 / 0`).catch(() => {});
        return "ok";
      }),
    ).rejects.toMatchObject({
      code: "sql_failed",
      detail: expect.stringContaining("nothing of it was kept"),
    });
    expect(await sql`SELECT body FROM notes WHERE body LIKE '%lost'`).toEqual([]);
  });

  test("an abort ends it between two statements", async () => {
    const abort = new AbortController();
    const sql = fixture.door.open(
      { tenantId: fixture.acme, readOnly: false, statementTimeoutMs: 5_000 },
      abort.signal,
    );
    const started = performance.now();
    await expect(
      sql.transaction(async (inside) => {
        await inside`INSERT INTO notes (body) VALUES ('aborted')`;
        abort.abort(new Error("enough"));
        await inside`SELECT pg_sleep(4)`;
      }),
    ).rejects.toThrow("enough");
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(await fixture.as(fixture.acme)`SELECT 1 FROM notes WHERE body = 'aborted'`).toEqual([]);
  });

  test("a statement after its end is refused, and so is a transaction in a transaction", async () => {
    const sql = fixture.as(fixture.acme);
    let kept = sql;
    await sql.transaction(async (inside) => {
      kept = inside;
      await expect(inside.transaction(async () => {})).rejects.toMatchObject({ code: "sql_refused" });
    });
    await expect(kept`SELECT 1`).rejects.toMatchObject({ code: "sql_refused" });
  });
});

describe("the template", () => {
  test("binds values as parameters, composes parts and binds JSON", async () => {
    const sql = fixture.as(fixture.acme);
    const injected = "'; DROP TABLE notes; --";
    const condition = sql`body = ${"acme one"} OR body = ${injected}`;
    expect(await sql`SELECT body, ${injected}::text AS echo FROM notes WHERE ${condition}`).toEqual([
      { body: "acme one", echo: injected },
    ]);
    expect(
      await sql`SELECT (${sql.json({ a: [1, "x"] })}::jsonb)->'a' AS a, ${[1, 2]}::int[] AS numbers`,
    ).toEqual([{ a: [1, "x"], numbers: [1, 2] }]);
    await expect(sql`SELECT ${undefined as never}::text`).rejects.toMatchObject({ code: "sql_refused" });
  });

  test("runs once however often it is awaited", async () => {
    const sql = fixture.as(fixture.acme);
    const statement = sql`SELECT random() AS r`;
    expect(await statement).toEqual(await statement);
  });
});
