import type { SystemDoor } from "./system-door.ts";

/** Something that keeps the database from enforcing isolation. */
export interface IsolationFinding {
  /** Which rule is broken: stable, for programs. */
  readonly rule: string;
  /** What breaks it, named as PostgreSQL names it. */
  readonly object: string;
  readonly remedy: string;
}

/** One query a rule; each gives the names of what breaks it. */
const RULES: readonly { readonly rule: string; readonly remedy: string; readonly query: string }[] = [
  {
    rule: "role_attributes",
    remedy: "ALTER ROLE … NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION",
    query: `SELECT r.rolname AS object FROM pg_roles r
      WHERE r.rolname IN ('bulkhead_tenant', 'bulkhead_system', 'bulkhead_owner')
        AND (r.rolsuper OR r.rolbypassrls OR r.rolcreatedb OR r.rolcreaterole OR r.rolreplication)`,
  },
  {
    rule: "role_membership",
    remedy: "REVOKE the membership",
    query: `SELECT m.member::regrole || ' in ' || m.roleid::regrole AS object FROM pg_auth_members m
      WHERE m.member IN (SELECT oid FROM pg_roles WHERE rolname IN ('bulkhead_tenant', 'bulkhead_system'))`,
  },
  {
    rule: "tenant_role_owns",
    remedy: "ALTER … OWNER TO bulkhead_owner",
    query: `SELECT c.oid::regclass::text AS object FROM pg_class c WHERE pg_get_userbyid(c.relowner) = 'bulkhead_tenant'
      UNION ALL SELECT p.oid::regprocedure::text FROM pg_proc p WHERE pg_get_userbyid(p.proowner) = 'bulkhead_tenant'
      UNION ALL SELECT n.nspname FROM pg_namespace n WHERE pg_get_userbyid(n.nspowner) = 'bulkhead_tenant'`,
  },
  {
    rule: "table_not_protected",
    remedy: "SELECT bulkhead.protect_table('…'), or revoke the rights of bulkhead_tenant and PUBLIC",
    query: `SELECT c.oid::regclass::text AS object FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
        AND (has_table_privilege('bulkhead_tenant', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
             OR has_any_column_privilege('bulkhead_tenant', c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
        AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (
          SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND NOT p.polpermissive AND p.polcmd = '*'
             AND p.polroles = ARRAY[(SELECT oid FROM pg_roles WHERE rolname = 'bulkhead_tenant')]
             AND pg_get_expr(p.polqual, p.polrelid) = '(tenant_id = ( SELECT bulkhead.current_tenant() AS current_tenant))'
             AND pg_get_expr(p.polwithcheck, p.polrelid) = '(tenant_id = ( SELECT bulkhead.current_tenant() AS current_tenant))'))`,
  },
  {
    rule: "table_rights",
    remedy: "REVOKE TRUNCATE, REFERENCES, TRIGGER ON … FROM bulkhead_tenant, PUBLIC",
    query: `SELECT c.oid::regclass::text AS object FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
        AND has_table_privilege('bulkhead_tenant', c.oid, 'TRUNCATE, REFERENCES, TRIGGER')`,
  },
  {
    rule: "view_not_invoker",
    remedy: "ALTER VIEW … SET (security_invoker = true), or revoke the rights of bulkhead_tenant and PUBLIC",
    query: `SELECT c.oid::regclass::text AS object FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND (c.relkind = 'm' OR c.relkind = 'v' AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false))
        AND (has_table_privilege('bulkhead_tenant', c.oid, 'SELECT, INSERT, UPDATE, DELETE')
             OR has_any_column_privilege('bulkhead_tenant', c.oid, 'SELECT, INSERT, UPDATE'))`,
  },
  {
    rule: "definer_function",
    remedy: "REVOKE EXECUTE ON FUNCTION … FROM bulkhead_tenant, PUBLIC, or make it SECURITY INVOKER",
    query: `SELECT p.oid::regprocedure::text AS object FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND p.oid <> 'bulkhead.current_tenant()'::regprocedure AND has_function_privilege('bulkhead_tenant', p.oid, 'EXECUTE')`,
  },
  {
    rule: "withheld_function",
    remedy: "REVOKE EXECUTE ON FUNCTION … FROM PUBLIC",
    query: `SELECT p.oid::regprocedure::text AS object FROM pg_proc p
      WHERE p.pronamespace = 'pg_catalog'::regnamespace AND bulkhead.is_withheld_function(p.proname)
        AND p.proname <> 'pg_advisory_unlock_all' AND has_function_privilege('bulkhead_tenant', p.oid, 'EXECUTE')`,
  },
  {
    rule: "may_create",
    remedy: "REVOKE CREATE, TEMPORARY FROM PUBLIC, bulkhead_tenant",
    query: `SELECT 'database ' || current_database() AS object WHERE has_database_privilege('bulkhead_tenant', current_database(), 'CREATE, TEMPORARY')
      UNION ALL SELECT 'schema ' || n.nspname FROM pg_namespace n WHERE has_schema_privilege('bulkhead_tenant', n.oid, 'CREATE')`,
  },
  {
    rule: "sequence_update",
    remedy: "REVOKE UPDATE ON SEQUENCE … FROM bulkhead_tenant, PUBLIC",
    query: `SELECT c.oid::regclass::text AS object FROM pg_class c
      WHERE CASE WHEN c.relkind = 'S' THEN has_sequence_privilege('bulkhead_tenant', c.oid, 'UPDATE') END`,
  },
  {
    rule: "unique_across_tenants",
    remedy: "Put tenant_id first in the unique index",
    query: `SELECT i.indexrelid::regclass::text AS object FROM pg_index i
        JOIN bulkhead.protected_tables t ON i.indrelid = to_regclass(format('%I.%I', t.schema_name, t.table_name))
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'tenant_id'
      WHERE i.indisunique AND i.indkey[0] <> a.attnum OR i.indisexclusion AND NOT (a.attnum = ANY (i.indkey))`,
  },
];

/** Looks whether the database enforces isolation as it must. No findings: it does. */
export function checkIsolation(system: SystemDoor): Promise<readonly IsolationFinding[]> {
  return system.run("check isolation", async (db) => {
    const findings: IsolationFinding[] = [];
    for (const { rule, remedy, query } of RULES) {
      const { rows } = await db.query<{ object: string }>(query);
      for (const row of rows) findings.push({ rule, object: row.object, remedy });
    }
    return findings;
  });
}
