import type { Mutant } from "./mutant.ts";

const DOOR = ["test/data/tenant-door.test.ts"];
const SQL = "sql/0001_foundation.sql";

/** What the database enforces. */
export const database: readonly Mutant[] = [
  {
    name: "the isolation policy is not made",
    file: SQL,
    from: "EXECUTE format('CREATE POLICY bulkhead_isolation",
    to: "PERFORM format('CREATE POLICY bulkhead_isolation",
    tests: DOOR,
  },
  {
    name: "the isolation policy is permissive",
    file: SQL,
    from: "AS RESTRICTIVE FOR ALL TO bulkhead_tenant '",
    to: "AS PERMISSIVE FOR ALL TO bulkhead_tenant '",
    tests: DOOR,
  },
  {
    name: "row-level security is not forced",
    file: SQL,
    from: "ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    to: "ENABLE ROW LEVEL SECURITY",
    tests: ["test/data/protect-table.test.ts"],
  },
  {
    name: "a plain setting stands for the tenant instead of the claim",
    file: SQL,
    from: "  SELECT c.tenant_id FROM bulkhead.tenant_claims c\n  WHERE c.claim_hash = sha256(convert_to(current_setting('bulkhead.claim', true), 'UTF8')) AND c.expires_at > now();",
    to: "  SELECT coalesce(substring(current_setting('bulkhead.claim', true) FROM '^tnt_.*$'), (SELECT c.tenant_id FROM bulkhead.tenant_claims c\n  WHERE c.claim_hash = sha256(convert_to(current_setting('bulkhead.claim', true), 'UTF8')) AND c.expires_at > now()));",
    tests: DOOR,
  },
  {
    name: "a claim never expires",
    file: SQL,
    from: "'UTF8')) AND c.expires_at > now();",
    to: "'UTF8'));",
    tests: DOOR,
  },
  {
    name: "the stored hash of a claim is as good as the claim",
    file: SQL,
    from: "WHERE c.claim_hash = sha256(convert_to(current_setting('bulkhead.claim', true), 'UTF8')) AND",
    to: "WHERE encode(c.claim_hash, 'hex') IN (current_setting('bulkhead.claim', true), encode(sha256(convert_to(current_setting('bulkhead.claim', true), 'UTF8')), 'hex')) AND",
    tests: ["test/data/tenant-claims.test.ts"],
  },
  {
    name: "set_config is not withheld",
    file: SQL,
    from: "SELECT name IN ('set_config', ",
    to: "SELECT name IN (",
    tests: DOOR,
  },
  {
    name: "an audit trail can be erased before its tenant",
    file: SQL,
    from: "OR EXISTS (SELECT 1 FROM bulkhead.tenants t WHERE t.id = erased_tenant) THEN",
    to: "THEN",
    tests: ["test/pipeline/one-call-one-event.test.ts"],
  },
  {
    name: "a retired slug may come back",
    file: SQL,
    from: "IF EXISTS (SELECT 1 FROM bulkhead.retired_slugs r WHERE r.slug = NEW.slug) THEN",
    to: "IF false THEN",
    tests: ["test/admin/tenant-deletion.test.ts", "test/pipeline/two-instances.test.ts"],
  },
];
