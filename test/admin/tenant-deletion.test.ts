import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { createIdSource, type TenantId } from "../../src/core/ids.ts";
import { connectionSettings, doorSettings } from "../../src/data/connection-settings.ts";
import type { SystemDoor } from "../../src/data/system-door.ts";
import { createTenantClaims } from "../../src/data/tenant-claims.ts";
import { createTestDatabase } from "../support/database.ts";
import { type AdminServer, startAdminServer } from "./admin-server.ts";

let database: { readonly adminUrl: string; readonly system: SystemDoor; drop(): Promise<void> };
let server: AdminServer;
let admin: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startAdminServer(database.system);
  admin = new pg.Client(connectionSettings(database.adminUrl));
  await admin.connect();
  await admin.query(`
    SET ROLE bulkhead_owner;
    CREATE TABLE app.folders (tenant_id text COLLATE "C", name text, PRIMARY KEY (tenant_id, name));
    CREATE TABLE app.a_notes (
      tenant_id text COLLATE "C", id int, folder text, PRIMARY KEY (tenant_id, id),
      FOREIGN KEY (tenant_id, folder) REFERENCES app.folders (tenant_id, name) ON DELETE CASCADE);
    CREATE TABLE app.z_pages (
      tenant_id text COLLATE "C", id int, folder text, PRIMARY KEY (tenant_id, id),
      FOREIGN KEY (tenant_id, folder) REFERENCES app.folders (tenant_id, name) ON DELETE CASCADE);
    CREATE TABLE app.b_books (
      tenant_id text COLLATE "C", id int, PRIMARY KEY (tenant_id, id));
    CREATE TABLE app.c_leaves (
      tenant_id text COLLATE "C", id int, book int, PRIMARY KEY (tenant_id, id),
      FOREIGN KEY (tenant_id, book) REFERENCES app.b_books (tenant_id, id));
    SELECT bulkhead.protect_table(t::regclass)
      FROM unnest('{app.folders,app.a_notes,app.z_pages,app.b_books,app.c_leaves}'::text[]) AS t;
    RESET ROLE`);
});
afterAll(async () => {
  await admin.end();
  await server.close();
  await database.drop();
});
beforeEach(() => {
  server.events.length = 0;
});

const create = async (slug: string): Promise<string> =>
  String((await server.call("POST", "/tenants", { body: { slug, name: slug } })).body.id);

/** Puts something of the tenant into every place where something of a tenant can be. */
const fill = (id: string, number: string) =>
  database.system.transaction("set up development", async (db) => {
    await db.query("INSERT INTO app.folders VALUES ($1, 'in'), ($1, 'out')", [id]);
    await db.query("INSERT INTO app.a_notes VALUES ($1, 1, 'in'), ($1, 2, 'in'), ($1, 3, 'out')", [id]);
    await db.query("INSERT INTO app.z_pages VALUES ($1, 1, 'in'), ($1, 2, 'out')", [id]);
    await db.query("INSERT INTO app.b_books VALUES ($1, 1)", [id]);
    await db.query("INSERT INTO app.c_leaves VALUES ($1, 1, 1), ($1, 2, 1)", [id]);
    await db.query("INSERT INTO bulkhead.store_entries (tenant_id, key, value) VALUES ($1, 'k', '1')", [id]);
    await db.query(
      "INSERT INTO bulkhead.tenant_claims (claim_hash, tenant_id, issued_by, expires_at) VALUES (sha256($1::text::bytea), $1, 'i', now() + interval '1 hour')",
      [id],
    );
    await db.query(
      `INSERT INTO bulkhead.audit_entries (tenant_id, run_id, seq, kind, at, action, prev_hash, hash)
       SELECT $1, 'run', n, 'administrative', now(), 'x', '', '' FROM generate_series(1, 5) AS n`,
      [id],
    );
    await db.query(
      "INSERT INTO bulkhead.issuers (id, tenant_id, issuer, jwks_uri, development) VALUES ($1, $2, $3, 'https://x/jwks', true)",
      [`iss_${number.padStart(26, "0")}`, id, `https://${number}.example`],
    );
    await db.query("INSERT INTO bulkhead.development_keys (issuer_id, private_jwk) VALUES ($1, '{}')", [
      `iss_${number.padStart(26, "0")}`,
    ]);
    await db.query(
      `INSERT INTO bulkhead.issuers (id, issuer, jwks_uri, tenant_claim) VALUES ('iss_00000000000000000000000009', 'https://broker.example', 'https://b/jwks', 'org')
       ON CONFLICT DO NOTHING`,
    );
    await db.query("INSERT INTO bulkhead.broker_tenants VALUES ('iss_00000000000000000000000009', $2, $1)", [
      id,
      number,
    ]);
    await db.query(
      `INSERT INTO bulkhead.api_keys (id, tenant_id, name, secret_hash, permissions, expires_at, created_by)
       SELECT 'key_' || lpad($2 || n, 26, '0'), $1, 'k', sha256('s'), '{x}', now() + interval '1 day', '{}' FROM generate_series(1, 3) AS n`,
      [id, number],
    );
    await db.query(
      `INSERT INTO bulkhead.revocations (id, tenant_id, kind, issuer, value, created_by)
       SELECT 'rev_' || lpad($2 || n, 26, '0'), $1, 'token', 'https://x', n, '{}' FROM generate_series(1, 2) AS n`,
      [id, number],
    );
    await db.query(
      "INSERT INTO bulkhead.role_assignments (tenant_id, issuer, subject, roles) VALUES ($1, 'https://x', 's', '{r}')",
      [id],
    );
    await db.query(
      `INSERT INTO bulkhead.used_proofs (tenant_id, proof_hash, expires_at)
       SELECT $1, sha256(n::text::bytea), now() + interval '1 minute' FROM generate_series(1, 4) AS n`,
      [id],
    );
    await db.query(
      `INSERT INTO bulkhead.sessions (tenant_id, id, principal, revision, client)
       SELECT $1, 'ses_' || lpad($2 || n, 26, '0'), 'p', '2025-11-25', '{}' FROM generate_series(1, 2) AS n`,
      [id, number],
    );
    await db.query(
      `INSERT INTO bulkhead.stream_events (tenant_id, session_id, stream_id, seq, message)
       SELECT $1, 'ses_' || lpad($2 || 1, 26, '0'), 's', n, '{}' FROM generate_series(1, 6) AS n`,
      [id, number],
    );
    await db.query(
      `INSERT INTO bulkhead.signals (tenant_id, instance_id, number, topic, payload, bytes)
       SELECT $1, 'i' || $2, n, 'list_changed', '{}', 2 FROM generate_series(1, 7) AS n`,
      [id, number],
    );
    await db.query(
      `INSERT INTO bulkhead.tasks (tenant_id, id, principal, caller, request, target, state, run_by, rerun, ttl_ms, poll_interval_ms, expires_at)
       SELECT $1, 'task_' || lpad($2 || n, 26, '0'), 'p', '{}', '{}', 't', '{}', 'i', false, 1, 1, now() + interval '1 day' FROM generate_series(1, 8) AS n`,
      [id, number],
    );
  });

/** Tables with a row in whose text the tenant's id occurs, read past every policy. */
const traces = async (id: string): Promise<string[]> => {
  const tables = await admin.query<{ name: string }>(
    "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname IN ('bulkhead', 'app', 'public') ORDER BY 1",
  );
  const found: string[] = [];
  for (const { name } of tables.rows) {
    const { rows } = await admin.query(
      `SELECT 1 FROM ${name} AS r WHERE r::text LIKE '%' || $1 || '%' LIMIT 1`,
      [id],
    );
    if (rows.length > 0) found.push(name);
  }
  return found;
};

describe("deleting a tenant", () => {
  it("erases every row of it, proves it, and leaves its neighbour alone", async () => {
    const acme = await create("acme");
    const globex = await create("globex");
    await fill(acme, "1");
    await fill(globex, "2");
    const before = await traces(globex);
    expect(await traces(acme)).toEqual(before);
    server.events.length = 0;

    const answer = await server.call("DELETE", "/tenants/acme");
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      id: acme,
      slug: "acme",
      deletedAt: expect.stringMatching(/^\d{4}-.*Z$/),
      erased: {
        "app.a_notes": 3,
        "app.b_books": 1,
        "app.c_leaves": 2,
        "app.folders": 2,
        "app.z_pages": 2,
        "bulkhead.api_keys": 3,
        "bulkhead.audit_entries": 5,
        "bulkhead.broker_tenants": 1,
        "bulkhead.development_keys": 1,
        "bulkhead.issuers": 1,
        "bulkhead.revocations": 2,
        "bulkhead.role_assignments": 1,
        "bulkhead.sessions": 2,
        "bulkhead.signals": 7,
        "bulkhead.store_entries": 1,
        "bulkhead.stream_events": 6,
        "bulkhead.tasks": 8,
        "bulkhead.tenant_claims": 1,
        "bulkhead.tenants": 1,
        "bulkhead.used_proofs": 4,
      },
    });
    // The list of changes is how instances learn that the tenant is gone.
    expect(await traces(acme)).toEqual(["bulkhead.configuration_changes", "bulkhead.retired_slugs"]);
    expect(await traces(globex)).toEqual(before);
    expect(server.takeActs()).toMatchObject([
      // Not in the tenant's own audit trail, which would begin anew with it.
      { action: "tenants.delete", outcome: "ok", tenantId: null, target: "acme" },
    ]);

    const tombstone = await admin.query(
      "SELECT slug, tenant_id, erased FROM bulkhead.retired_slugs WHERE slug = 'acme'",
    );
    expect(tombstone.rows).toEqual([{ slug: "acme", tenant_id: acme, erased: answer.body.erased }]);
  });

  it("makes its slug and id unknown, and its slug taken for good", async () => {
    const id = await create("gone");
    await server.call("DELETE", `/tenants/${id}`);
    for (const name of ["gone", id]) {
      const answers = [
        await server.call("GET", `/tenants/${name}`),
        await server.call("PATCH", `/tenants/${name}`, { body: { name: "x" } }),
        await server.call("POST", `/tenants/${name}/suspend`),
        await server.call("POST", `/tenants/${name}/resume`),
        await server.call("DELETE", `/tenants/${name}`),
      ];
      expect(answers.map((answer) => [answer.status, answer.body.code])).toEqual(
        Array(5).fill([404, "tenant_not_found"]),
      );
    }
    const again = await server.call("POST", "/tenants", { body: { slug: "gone", name: "Again" } });
    expect(again.status).toBe(409);
    expect(again.body).toMatchObject({ code: "slug_taken" });
  });

  it("twice at once succeeds once", async () => {
    await create("double");
    const both = await Promise.all([1, 2].map(() => server.call("DELETE", "/tenants/double")));
    expect(both.map((answer) => answer.status).sort()).toEqual([200, 404]);
  });

  it("keeps its slug from a tenant that is being created at the same time", async () => {
    const id = await create("contested");
    const deleting = new pg.Client(connectionSettings(database.adminUrl));
    await deleting.connect();
    try {
      await deleting.query("BEGIN");
      await deleting.query("DELETE FROM bulkhead.tenants WHERE id = $1", [id]);
      await deleting.query(
        "INSERT INTO bulkhead.retired_slugs (slug, tenant_id, erased) VALUES ('contested', $1, '{}')",
        [id],
      );
      const creating = server.call("POST", "/tenants", { body: { slug: "contested", name: "Other" } });
      await until(async () => {
        const waiting = await admin.query("SELECT 1 FROM pg_locks WHERE NOT granted");
        return waiting.rows.length > 0;
      });
      await deleting.query("COMMIT");
      expect((await creating).body).toMatchObject({ code: "slug_taken" });
    } finally {
      await deleting.end();
    }
  });

  it("erases what a statement of the tenant commits while the deletion runs", async () => {
    const id = await create("writer");
    const secret = "5".repeat(64);
    await database.system.run("issue a tenant claim", (db) =>
      db.query(
        "INSERT INTO bulkhead.tenant_claims (claim_hash, tenant_id, issued_by, expires_at) VALUES (sha256(convert_to($1, 'UTF8')), $2, 'i', now() + interval '1 hour')",
        [secret, id],
      ),
    );
    const tenant = new pg.Client(doorSettings(connectionSettings(database.adminUrl), "bulkhead_tenant"));
    await tenant.connect();
    try {
      await tenant.query(`SET bulkhead.claim = '${secret}'`);
      await tenant.query("BEGIN");
      await tenant.query("INSERT INTO app.folders (name) VALUES ('late')");
      const deleting = server.call("DELETE", "/tenants/writer");
      await until(
        async () =>
          (await admin.query("SELECT 1 FROM bulkhead.tenants WHERE id = $1", [id])).rows.length === 0,
      );
      await expect(
        tenant.query("SAVEPOINT s; INSERT INTO app.folders (name) VALUES ('later')"),
      ).rejects.toThrow();
      await tenant.query("ROLLBACK TO SAVEPOINT s");
      await tenant.query("COMMIT");
      const answer = await deleting;
      expect(answer.status).toBe(200);
      expect(answer.body.erased).toMatchObject({ "app.folders": 1 });
      expect(await traces(id)).toEqual(["bulkhead.configuration_changes", "bulkhead.retired_slugs"]);
    } finally {
      await tenant.end();
    }
  });

  it("leaves no claim that an instance asks for while the deletion runs", async () => {
    const id = await create("claimed");
    const claims = createTenantClaims({
      system: database.system,
      clock: systemClock,
      instanceId: createIdSource(systemClock.now).instance(),
    });
    const deleting = new pg.Client(connectionSettings(database.adminUrl));
    await deleting.connect();
    try {
      await deleting.query("BEGIN");
      await deleting.query("DELETE FROM bulkhead.tenants WHERE id = $1", [id]);
      const claiming = claims.claimFor(id as TenantId);
      const done = Promise.resolve(claiming).then(() => true);
      await until(async () => {
        const waiting = await admin.query("SELECT 1 FROM pg_locks WHERE NOT granted");
        return waiting.rows.length > 0 || (await Promise.race([done, false]));
      });
      await deleting.query("COMMIT");
      await done;
      expect(await traces(id)).toEqual(["bulkhead.configuration_changes"]);
    } finally {
      await deleting.end();
    }
  });

  it("says so where a writer outlives the wait", async () => {
    const stubborn = await startAdminServer(database.system, (administration) => ({
      ...administration,
      deleteTenant: async (name, expected) => ({
        ...(await administration.deleteTenant(name, expected)),
        settled: false,
      }),
    }));
    try {
      await create("unsettled");
      expect((await stubborn.call("DELETE", "/tenants/unsettled")).status).toBe(200);
      expect(stubborn.events).toMatchObject([
        { type: "fault", level: "error", where: "tenants.delete" },
        { type: "administrative", outcome: "ok" },
      ]);
    } finally {
      await stubborn.close();
    }
  });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    if (tries > 400) throw new Error("it never came to that");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
