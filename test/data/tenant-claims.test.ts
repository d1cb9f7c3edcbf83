import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectionSettings, doorSettings } from "../../src/data/connection-settings.ts";
import type { TenantConnection } from "../../src/data/tenant-connections.ts";
import { type DoorFixture, openDoorFixture } from "../support/tenant-doors.ts";

/** With a connection that has just entered globex: its claim is in the text of its last statement. */
let fixture: DoorFixture;
let globex: TenantConnection;
let claim: string;
beforeAll(async () => {
  fixture = await openDoorFixture(4);
  const mode = { tenantId: fixture.globex, readOnly: false, statementTimeoutMs: 5_000 };
  const before = await fixture.connections.acquire(mode);
  const { rows } = await before.client.query("SELECT current_setting('bulkhead.claim') AS claim");
  claim = rows[0].claim;
  before.release(true);
  globex = await fixture.connections.acquire({ ...mode, readOnly: true });
});
afterAll(async () => {
  globex.release(false);
  await fixture.close();
});

const hashes = async (): Promise<string[]> =>
  (
    await fixture.database.admin<{ hash: string }>(
      "SELECT encode(claim_hash, 'hex') AS hash FROM bulkhead.tenant_claims WHERE tenant_id = $1",
      [fixture.globex],
    )
  ).map((row) => row.hash);

describe("the claim of another tenant", () => {
  test("is not what the database keeps: who enters with the stored hash sees nothing", async () => {
    const settings = doorSettings(connectionSettings(fixture.database.adminUrl), "bulkhead_tenant");
    const client = new pg.Client(settings);
    await client.connect();
    try {
      const bodies = async (secret: string) => {
        await client.query(`SET bulkhead.claim = '${secret}'`);
        return (await client.query("SELECT body FROM notes")).rows;
      };
      const stored = await hashes();
      expect(stored).toHaveLength(1);
      for (const hash of stored) {
        for (const spelt of [hash, `\\x${hash}`, hash.toUpperCase()]) expect(await bodies(spelt)).toEqual([]);
      }
      // As its owner sees it, so that the above could have failed.
      expect(claim).toMatch(/^[0-9a-f]{64}$/);
      expect(await bodies(claim)).toEqual([{ body: "globex secret" }]);
    } finally {
      await client.end();
    }
  });

  test("stands in no column of any table or view that a tenant's role may read", async () => {
    const { admin } = fixture.database;
    const secrets = [claim, ...(await hashes())];
    const holds = (row: string) => `strpos(${row}, $1) > 0 OR strpos(${row}, $2) > 0`;
    // There is something to be found, by whoever may.
    expect(
      await admin(`SELECT 1 AS found FROM pg_stat_activity WHERE ${holds("query")}`, secrets),
    ).toContainEqual({ found: 1 });
    expect(
      await admin(
        `SELECT 1 AS found FROM bulkhead.tenant_claims WHERE ${holds("encode(claim_hash, 'hex')")}`,
        secrets,
      ),
    ).toEqual([{ found: 1 }]);

    const readable = await admin<{ relation: string; row: string }>(
      `SELECT format('%I.%I', n.nspname, c.relname) AS relation,
              format('concat_ws('' '', %s)', string_agg(format('%I::text', a.attname), ', ')) AS row
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped
          AND n.nspname !~ '^pg_toast' AND has_schema_privilege('bulkhead_tenant', n.oid, 'USAGE')
          AND has_column_privilege('bulkhead_tenant', c.oid, a.attnum, 'SELECT')
        GROUP BY 1 ORDER BY 1`,
    );
    const acme = fixture.as(fixture.acme, { readOnly: true });
    const outcomes = await Promise.all(
      readable.map(async ({ relation, row }) => {
        try {
          const found = await acme.unsafe(
            `SELECT 1 AS found FROM ${relation} AS t WHERE ${holds(row)}`,
            secrets,
          );
          return { relation, outcome: found.length === 0 ? "nothing" : "FOUND" };
        } catch (error) {
          return { relation, outcome: String((error as { detail?: string }).detail) };
        }
      }),
    );
    const relations = outcomes.map(({ relation }) => relation);
    for (const view of [
      "pg_settings",
      "pg_stat_activity",
      "pg_cursors",
      "pg_prepared_statements",
      "pg_class",
    ])
      expect(relations).toContain(`pg_catalog.${view}`);
    expect(relations).toContain("app.notes");
    // What is refused is refused for want of a right (42501).
    expect(outcomes.filter(({ outcome }) => outcome !== "nothing" && !outcome.includes("42501"))).toEqual([]);
    expect(outcomes.filter(({ outcome }) => outcome === "nothing").length).toBeGreaterThan(100);
  });
});
