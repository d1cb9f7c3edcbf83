-- The same rows twice: as a tenant table, and as a table that nothing protects. Only the bench has the second.
CREATE TABLE items (
  tenant_id text COLLATE "C" NOT NULL,
  id integer NOT NULL,
  subject text NOT NULL,
  body text NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
CREATE TABLE unprotected_items (LIKE items INCLUDING ALL);
SELECT bulkhead.protect_table('items');
GRANT SELECT ON unprotected_items TO bulkhead_tenant;
