import type pg from "pg";
import { Fault } from "../core/fault.ts";

/** How many of a foreign database's objects a refusal names. */
const NAMED = 3;

/**
 * Looks, and changes nothing: development may take a database that is marked for it, or one in which nobody has made
 * anything yet. What extensions and PostgreSQL itself bring does not count.
 *
 * @throws Fault `database_not_development` naming some of what is there.
 */
export async function requireDevelopmentDatabase(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ there: boolean }>(
    "SELECT pg_catalog.to_regclass('bulkhead.deployment') IS NOT NULL AS there",
  );
  if (rows[0]?.there === true) {
    const marked = await client.query<{ mode: string }>("SELECT mode FROM bulkhead.deployment");
    if (marked.rows[0]?.mode === "development") return;
    throw new Fault("database_not_development", { detail: "It is a production database of Bulkhead." });
  }
  const found = await client.query<{ object: string }>(FOREIGN_OBJECTS, [NAMED + 1]);
  if (found.rows.length === 0) return;
  const names = found.rows.slice(0, NAMED).map((row) => row.object);
  if (found.rows.length > NAMED) names.push("…");
  throw new Fault("database_not_development", { detail: `It contains ${names.join(", ")}.` });
}

/** The migrator's own table may be left alone in a database where its first migration failed. */
const FOREIGN_OBJECTS = `
  SELECT object FROM (
    SELECT 1 AS rank, 'table ' || c.oid::pg_catalog.regclass AS object, 'pg_catalog.pg_class'::pg_catalog.regclass AS catalog,
           c.oid, c.relnamespace AS namespace
      FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND c.relname <> 'bulkhead_migrations'
    UNION ALL
    SELECT 2, 'function ' || p.oid::pg_catalog.regprocedure, 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, p.pronamespace
      FROM pg_catalog.pg_proc p
    UNION ALL
    SELECT 3, 'schema ' || pg_catalog.quote_ident(n.nspname), 'pg_catalog.pg_namespace'::pg_catalog.regclass, n.oid, n.oid
      FROM pg_catalog.pg_namespace n WHERE n.nspname <> 'public'
  ) AS present
  JOIN pg_catalog.pg_namespace s ON s.oid = namespace
  WHERE s.nspname <> 'information_schema' AND s.nspname !~ '^pg_'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = catalog AND d.objid = present.oid AND d.deptype = 'e')
  ORDER BY rank, object LIMIT $1`;
