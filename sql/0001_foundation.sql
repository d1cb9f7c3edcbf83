-- The foundation: roles' rights, configuration, claims, audit, the store, and the protection of tenants' tables.
--
-- The migrator runs this as the deployment's administrator, who has made three roles before:
--   bulkhead_owner   owns schemas bulkhead and app; no login, no BYPASSRLS; migrations and definer functions run as it
--   bulkhead_system  the system door: crosses tenants by the policies named here, not by BYPASSRLS
--   bulkhead_tenant  the tenant door: owns nothing, sees the rows of the tenant that its connection has entered
-- The whole file is one transaction.

CREATE SCHEMA bulkhead AUTHORIZATION bulkhead_owner;
CREATE SCHEMA app AUTHORIZATION bulkhead_owner;
GRANT USAGE ON SCHEMA bulkhead TO bulkhead_system, bulkhead_tenant;
GRANT USAGE ON SCHEMA app TO bulkhead_system, bulkhead_tenant;

SET LOCAL ROLE bulkhead_owner;
-- Functions are executable by PUBLIC unless said otherwise; here each is granted by name.
ALTER DEFAULT PRIVILEGES IN SCHEMA bulkhead REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- ---------------------------------------------------------------------------------------------------------------
-- Deployment and configuration
-- ---------------------------------------------------------------------------------------------------------------

-- One row. `development` is set when `bulkhead dev` made the database; `bulkhead serve` refuses such a one.
CREATE TABLE bulkhead.deployment (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  mode text NOT NULL CHECK (mode IN ('development', 'production')),
  -- When `bulkhead dev` had first set it up to the end.
  set_up_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- One row. Its lock orders configuration changes, so that versions become visible in their order.
CREATE TABLE bulkhead.configuration_version (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version bigint NOT NULL
);
INSERT INTO bulkhead.configuration_version (version) VALUES (1);

-- What changed at which version. A null tenant means: everything may have changed.
CREATE TABLE bulkhead.configuration_changes (
  version bigint PRIMARY KEY,
  tenant_id text COLLATE "C",
  at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE bulkhead.plans (
  name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9-]{0,38}$'),
  limits jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object'),
  tool_sets text[] NOT NULL DEFAULT '{}',
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- Plans to begin with; the operator changes them as any other.
INSERT INTO bulkhead.plans (name, limits) VALUES
  ('free', '{"requestsPerMinute": 60, "maxConcurrency": 8, "maxTools": 25, "storageMb": 100}'),
  ('team', '{"requestsPerMinute": 1000, "maxConcurrency": 64}'),
  ('enterprise', '{"requestsPerMinute": 60000, "burst": 5000, "maxConcurrency": 512, "storageMb": 10240}');

CREATE TABLE bulkhead.tenants (
  id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^tnt_[0-9a-hjkmnp-tv-z]{26}$'),
  slug text COLLATE "C" NOT NULL UNIQUE CHECK (slug ~ '^[a-z]([a-z0-9]|-[a-z0-9])*$' AND length(slug) BETWEEN 2 AND 39),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  plan text COLLATE "C" NOT NULL REFERENCES bulkhead.plans (name),
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
  limits jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object'),
  tool_sets text[],
  scopes text[] NOT NULL DEFAULT '{}',
  roles jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(roles) = 'object'),
  settings jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
  placement text NOT NULL DEFAULT 'shared' CHECK (placement IN ('shared', 'dedicated')),
  tier text NOT NULL DEFAULT 'pool' CHECK (tier IN ('pool', 'bridge', 'silo')),
  seeded_at timestamptz,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tenants_plan ON bulkhead.tenants (plan);
CREATE INDEX tenants_creation ON bulkhead.tenants (created_at, id);

-- Slugs of deleted tenants: never used again, since a token or a bookmark for the old one may still exist.
CREATE TABLE bulkhead.retired_slugs (
  slug text COLLATE "C" PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  deleted_at timestamptz NOT NULL DEFAULT now(),
  erased jsonb NOT NULL
);

-- A trusted issuer. Of one tenant (tenant_id), or a broker that serves several (tenant_id null).
CREATE TABLE bulkhead.issuers (
  id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^iss_[0-9a-hjkmnp-tv-z]{26}$'),
  tenant_id text COLLATE "C" REFERENCES bulkhead.tenants (id) ON DELETE CASCADE,
  issuer text COLLATE "C" NOT NULL UNIQUE,
  jwks_uri text NOT NULL,
  audience text,
  tenant_claim text,
  tenant_value text,
  algorithms text[] NOT NULL DEFAULT '{ES256,RS256,PS256,EdDSA}',
  token_type text NOT NULL DEFAULT 'at+jwt',
  development boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((tenant_claim IS NULL) = (tenant_value IS NULL) OR tenant_id IS NULL),
  CHECK (tenant_id IS NOT NULL OR (tenant_claim IS NOT NULL AND tenant_value IS NULL))
);
CREATE INDEX issuers_tenant ON bulkhead.issuers (tenant_id);

-- (broker, value of its tenant claim) -> tenant: the explicit table that a broker's token is resolved by.
CREATE TABLE bulkhead.broker_tenants (
  issuer_id text COLLATE "C" NOT NULL REFERENCES bulkhead.issuers (id) ON DELETE CASCADE,
  claim_value text COLLATE "C" NOT NULL,
  tenant_id text COLLATE "C" NOT NULL REFERENCES bulkhead.tenants (id) ON DELETE CASCADE,
  PRIMARY KEY (issuer_id, claim_value)
);
CREATE INDEX broker_tenants_tenant ON bulkhead.broker_tenants (tenant_id);

-- Signing keys of the development authorization server, so that its tokens outlive a restart. Empty in production.
CREATE TABLE bulkhead.development_keys (
  issuer_id text COLLATE "C" PRIMARY KEY REFERENCES bulkhead.issuers (id) ON DELETE CASCADE,
  private_jwk jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- One row for each run of each instance.
CREATE TABLE bulkhead.instances (
  id text COLLATE "C" PRIMARY KEY,
  mode text NOT NULL,
  version text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  seen_at timestamptz NOT NULL DEFAULT now(),
  stopped_at timestamptz,
  -- Set once every intent of a run that is gone has an outcome.
  recovered_at timestamptz
);

-- Every change of configuration bumps the version in its own transaction: by trigger, not by anyone's good memory.
CREATE FUNCTION bulkhead.bump_configuration(changed_tenant text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  next bigint;
BEGIN
  UPDATE bulkhead.configuration_version SET version = version + 1 RETURNING version INTO next;
  INSERT INTO bulkhead.configuration_changes (version, tenant_id) VALUES (next, changed_tenant);
END $$;

CREATE FUNCTION bulkhead.on_tenant_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM bulkhead.bump_configuration(CASE WHEN TG_OP = 'DELETE' THEN OLD.id ELSE NEW.id END);
  RETURN NULL;
END $$;

CREATE FUNCTION bulkhead.on_tenant_owned_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM bulkhead.bump_configuration(CASE WHEN TG_OP = 'DELETE' THEN OLD.tenant_id ELSE NEW.tenant_id END);
  RETURN NULL;
END $$;

CREATE FUNCTION bulkhead.on_plan_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM bulkhead.bump_configuration(NULL);
  RETURN NULL;
END $$;

CREATE FUNCTION bulkhead.next_version() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.version := OLD.version + 1;
  NEW.updated_at := now();
  RETURN NEW;
END $$;

CREATE TRIGGER next_version BEFORE UPDATE ON bulkhead.tenants FOR EACH ROW EXECUTE FUNCTION bulkhead.next_version();
CREATE TRIGGER next_version BEFORE UPDATE ON bulkhead.plans FOR EACH ROW EXECUTE FUNCTION bulkhead.next_version();
CREATE TRIGGER bump AFTER INSERT OR UPDATE OR DELETE ON bulkhead.tenants
  FOR EACH ROW EXECUTE FUNCTION bulkhead.on_tenant_change();
CREATE TRIGGER bump AFTER INSERT OR UPDATE OR DELETE ON bulkhead.issuers
  FOR EACH ROW EXECUTE FUNCTION bulkhead.on_tenant_owned_change();
CREATE TRIGGER bump AFTER INSERT OR UPDATE OR DELETE ON bulkhead.broker_tenants
  FOR EACH ROW EXECUTE FUNCTION bulkhead.on_tenant_owned_change();
CREATE TRIGGER bump AFTER INSERT OR UPDATE OR DELETE ON bulkhead.plans
  FOR EACH ROW EXECUTE FUNCTION bulkhead.on_plan_change();

-- A deleted tenant's slug may not come back.
CREATE FUNCTION bulkhead.refuse_retired_slug() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM bulkhead.retired_slugs r WHERE r.slug = NEW.slug) THEN
    RAISE EXCEPTION 'slug % was in use' , NEW.slug USING ERRCODE = 'unique_violation', CONSTRAINT = 'retired_slugs_pkey';
  END IF;
  IF TG_OP = 'UPDATE' THEN
    RAISE EXCEPTION 'a slug never changes' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
-- AFTER: an insertion may first have to wait for the deletion of the tenant that has the slug, whose tombstone only a
-- statement that begins afterwards sees.
CREATE TRIGGER refuse_retired_slug AFTER INSERT OR UPDATE OF slug ON bulkhead.tenants
  FOR EACH ROW EXECUTE FUNCTION bulkhead.refuse_retired_slug();

-- ---------------------------------------------------------------------------------------------------------------
-- Claims: how a connection proves which tenant it has entered
-- ---------------------------------------------------------------------------------------------------------------

-- A bare setting with the tenant's id could be forged from inside one SELECT. So a connection carries an unguessable
-- claim (256 random bits, made by the instance, short-lived), and only this table, which the tenant role cannot read,
-- says which tenant it stands for. Only its SHA-256 is kept.
CREATE TABLE bulkhead.tenant_claims (
  claim_hash bytea PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL,
  issued_by text COLLATE "C" NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX tenant_claims_tenant ON bulkhead.tenant_claims (tenant_id);
CREATE INDEX tenant_claims_expiry ON bulkhead.tenant_claims (expires_at);

-- The tenant that this connection has entered, or null. The body is bound when it is created (BEGIN ATOMIC), so no
-- search path changes what it means.
CREATE FUNCTION bulkhead.current_tenant() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE
BEGIN ATOMIC
  SELECT c.tenant_id FROM bulkhead.tenant_claims c
  WHERE c.claim_hash = sha256(convert_to(current_setting('bulkhead.claim', true), 'UTF8')) AND c.expires_at > now();
END;
GRANT EXECUTE ON FUNCTION bulkhead.current_tenant() TO bulkhead_tenant, bulkhead_system;

-- ---------------------------------------------------------------------------------------------------------------
-- Audit
-- ---------------------------------------------------------------------------------------------------------------

-- Append only. Rows of one tenant and one run of an instance form a chain (seq, prev_hash, hash); an operation that may
-- change something has an `intent` row before it runs and exactly one `outcome`.
-- tenant_id is 'deployment' for acts that concern no tenant.
CREATE TABLE bulkhead.audit_entries (
  tenant_id text COLLATE "C" NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  seq bigint NOT NULL,
  kind text NOT NULL CHECK (kind IN ('intent', 'outcome', 'refusals', 'administrative')),
  operation_id text COLLATE "C",
  at timestamptz NOT NULL,
  actor jsonb,
  action text NOT NULL,
  target text,
  outcome text,
  code text,
  duration_ms double precision,
  details jsonb,
  prev_hash bytea NOT NULL,
  hash bytea NOT NULL,
  PRIMARY KEY (tenant_id, run_id, seq)
);
CREATE UNIQUE INDEX audit_one_outcome ON bulkhead.audit_entries (tenant_id, operation_id) WHERE kind = 'outcome';
CREATE INDEX audit_operation ON bulkhead.audit_entries (tenant_id, operation_id);
CREATE INDEX audit_time ON bulkhead.audit_entries (tenant_id, at);
CREATE INDEX audit_intents ON bulkhead.audit_entries (run_id) WHERE kind = 'intent';

-- The one way in which audit rows go: with their whole tenant.
CREATE FUNCTION bulkhead.erase_audit(erased_tenant text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  gone bigint;
BEGIN
  IF erased_tenant = 'deployment' OR EXISTS (SELECT 1 FROM bulkhead.tenants t WHERE t.id = erased_tenant) THEN
    RAISE EXCEPTION 'the audit trail goes only after its tenant';
  END IF;
  DELETE FROM bulkhead.audit_entries a WHERE a.tenant_id = erased_tenant;
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $$;
GRANT EXECUTE ON FUNCTION bulkhead.erase_audit(text) TO bulkhead_system;

-- ---------------------------------------------------------------------------------------------------------------
-- Tenants' tables
-- ---------------------------------------------------------------------------------------------------------------

CREATE TABLE bulkhead.protected_tables (
  schema_name text NOT NULL,
  table_name text NOT NULL,
  protected_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (schema_name, table_name)
);

-- Makes `target` a tenant table: tenant_id, row-level security enabled and forced, the isolation policy (RESTRICTIVE, so
-- that a second permissive policy opens nothing), grants. Refuses a table whose keys would let tenants touch.
CREATE FUNCTION bulkhead.protect_table(target regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  schema_name text;
  table_name text;
  kind "char";
  filled boolean;
  key record;
  has_column boolean;
  sequence record;
  tenant_att int2;
BEGIN
  SELECT n.nspname, c.relname, c.relkind INTO schema_name, table_name, kind
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = target;
  IF kind NOT IN ('r', 'p') THEN
    RAISE EXCEPTION 'bulkhead.protect_table: % is not a table', target USING ERRCODE = 'wrong_object_type';
  END IF;

  SELECT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = target AND a.attname = 'tenant_id' AND NOT a.attisdropped)
    INTO has_column;
  IF NOT has_column THEN
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %s)', target) INTO filled;
    IF filled THEN
      RAISE EXCEPTION 'bulkhead.protect_table: % has rows and no column tenant_id; add the column and fill it first', target
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    EXECUTE format('ALTER TABLE %s ADD COLUMN tenant_id text COLLATE "C"', target);
  END IF;
  EXECUTE format('ALTER TABLE %s ALTER COLUMN tenant_id SET NOT NULL, ALTER COLUMN tenant_id SET DEFAULT bulkhead.current_tenant()', target);
  SELECT a.attnum INTO tenant_att FROM pg_attribute a WHERE a.attrelid = target AND a.attname = 'tenant_id' AND NOT a.attisdropped;

  -- A primary key without the tenant is made anew with it in front, where nothing refers to it yet.
  FOR key IN
    SELECT con.conname, string_agg(quote_ident(a.attname), ', ' ORDER BY k.position) AS columns,
           EXISTS (SELECT 1 FROM pg_constraint f WHERE f.confrelid = target AND f.contype = 'f') AS referred
      FROM pg_constraint con
      CROSS JOIN LATERAL unnest(con.conkey) WITH ORDINALITY AS k(attnum, position)
      JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.attnum
     WHERE con.conrelid = target AND con.contype = 'p' AND con.conkey[1] <> tenant_att AND NOT (tenant_att = ANY (con.conkey))
     GROUP BY con.conname
  LOOP
    IF key.referred THEN
      RAISE EXCEPTION 'bulkhead.protect_table: the primary key of % must begin with tenant_id, and foreign keys refer to it', target
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I, ADD PRIMARY KEY (tenant_id, %s)', target, key.conname, key.columns);
  END LOOP;
  IF NOT EXISTS (SELECT 1 FROM pg_constraint con WHERE con.conrelid = target AND con.contype = 'p' AND con.conkey[1] = tenant_att) THEN
    RAISE EXCEPTION 'bulkhead.protect_table: % needs a primary key that begins with tenant_id', target
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;

  -- A unique index over several tenants tells one of them what another has.
  FOR key IN
    SELECT i.indexrelid::regclass AS name FROM pg_index i WHERE i.indrelid = target AND i.indisunique AND i.indkey[0] <> tenant_att
    UNION ALL
    SELECT i.indexrelid::regclass FROM pg_index i WHERE i.indrelid = target AND i.indisexclusion AND NOT (tenant_att = ANY (i.indkey))
  LOOP
    RAISE EXCEPTION 'bulkhead.protect_table: the unique index % of % must begin with tenant_id', key.name, target
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END LOOP;

  -- A foreign key is checked with the owner's eyes: without the tenant in it, a row could point at another tenant's.
  FOR key IN
    SELECT f.conname AS name FROM pg_constraint f
     WHERE f.conrelid = target AND f.contype = 'f'
       AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = f.confrelid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
       AND NOT EXISTS (
         SELECT 1 FROM unnest(f.conkey, f.confkey) AS pair(own, other)
           JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = pair.other AND a.attname = 'tenant_id'
          WHERE pair.own = tenant_att)
  LOOP
    RAISE EXCEPTION 'bulkhead.protect_table: the foreign key % of % must pair tenant_id with tenant_id', key.name, target
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END LOOP;

  -- A sequence serves all tenants: whoever uses it up takes it from everybody. A bigint cannot be used up.
  FOR key IN
    SELECT a.attname AS name FROM pg_depend d
      JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
      JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
     WHERE d.refobjid = target AND d.deptype IN ('a', 'i') AND a.atttypid IN ('int2'::regtype, 'int4'::regtype)
  LOOP
    RAISE EXCEPTION 'bulkhead.protect_table: the numbers of %.% are shared by all tenants and could be used up by one: make it bigint, a uuid, or count for each tenant', target, key.name
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END LOOP;

  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', target);
  EXECUTE format('DROP POLICY IF EXISTS bulkhead_isolation ON %s', target);
  EXECUTE format('DROP POLICY IF EXISTS bulkhead_access ON %s', target);
  EXECUTE format('DROP POLICY IF EXISTS bulkhead_system ON %s', target);
  EXECUTE format('DROP POLICY IF EXISTS bulkhead_migration ON %s', target);
  EXECUTE format('CREATE POLICY bulkhead_isolation ON %s AS RESTRICTIVE FOR ALL TO bulkhead_tenant '
    'USING (tenant_id = (SELECT bulkhead.current_tenant())) WITH CHECK (tenant_id = (SELECT bulkhead.current_tenant()))', target);
  EXECUTE format('CREATE POLICY bulkhead_access ON %s FOR ALL TO bulkhead_tenant USING (true) WITH CHECK (true)', target);
  EXECUTE format('CREATE POLICY bulkhead_system ON %s FOR ALL TO bulkhead_system USING (true) WITH CHECK (true)', target);
  -- The owner sees rows only while the migrator runs, which enters as this name that no tenant can have.
  EXECUTE format('CREATE POLICY bulkhead_migration ON %s FOR ALL TO bulkhead_owner '
    'USING ((SELECT bulkhead.current_tenant()) = ''*migration*'') WITH CHECK ((SELECT bulkhead.current_tenant()) = ''*migration*'')', target);
  EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, bulkhead_tenant, bulkhead_system', target);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO bulkhead_tenant, bulkhead_system', target);
  -- An identity column needs no right on its sequence; the default of a bigserial does.
  FOR sequence IN
    SELECT d.objid::regclass AS name, d.deptype = 'a' AS is_serial FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
     WHERE d.refobjid = target AND d.deptype IN ('a', 'i')
  LOOP
    EXECUTE format('REVOKE ALL ON SEQUENCE %s FROM PUBLIC, bulkhead_tenant', sequence.name);
    IF sequence.is_serial THEN
      EXECUTE format('GRANT USAGE ON SEQUENCE %s TO bulkhead_tenant', sequence.name);
    END IF;
  END LOOP;
  INSERT INTO bulkhead.protected_tables (schema_name, table_name) VALUES (schema_name, table_name) ON CONFLICT DO NOTHING;
END $$;

-- The store behind ctx.store.
CREATE TABLE bulkhead.store_entries (
  tenant_id text COLLATE "C" NOT NULL DEFAULT bulkhead.current_tenant(),
  key text COLLATE "C" NOT NULL CHECK (length(key) BETWEEN 1 AND 512),
  value jsonb NOT NULL,
  version bigint NOT NULL DEFAULT 1,
  expires_at timestamptz,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, key)
);
SELECT bulkhead.protect_table('bulkhead.store_entries');

-- Removes every row of a tenant from every tenant table, and says how many. Runs as its caller, the system door.
CREATE FUNCTION bulkhead.erase_tenant_rows(erased_tenant text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  entry record;
  gone bigint;
  present jsonb := '{}';
  total jsonb := '{}';
  pending int;
  pass int := 0;
BEGIN
  -- Counted before the first DELETE: a foreign key with ON DELETE CASCADE removes rows that no ROW_COUNT tells of.
  FOR entry IN SELECT p.schema_name, p.table_name FROM bulkhead.protected_tables p LOOP
    EXECUTE format('SELECT count(*) FROM %I.%I WHERE tenant_id = $1', entry.schema_name, entry.table_name)
      INTO gone USING erased_tenant;
    present := present || jsonb_build_object(entry.schema_name || '.' || entry.table_name, gone);
  END LOOP;
  -- Foreign keys between tenant tables may refuse an order; what was refused is tried again after the others.
  LOOP
    pending := 0;
    pass := pass + 1;
    FOR entry IN SELECT p.schema_name, p.table_name FROM bulkhead.protected_tables p
                  WHERE NOT total ? (p.schema_name || '.' || p.table_name) ORDER BY 1, 2 LOOP
      BEGIN
        EXECUTE format('DELETE FROM %I.%I WHERE tenant_id = $1', entry.schema_name, entry.table_name) USING erased_tenant;
        GET DIAGNOSTICS gone = ROW_COUNT;
        total := total || jsonb_build_object(entry.schema_name || '.' || entry.table_name,
          greatest(gone, (present ->> (entry.schema_name || '.' || entry.table_name))::bigint));
      EXCEPTION WHEN foreign_key_violation THEN
        IF pass > 50 THEN RAISE; END IF;
        pending := pending + 1;
      END;
    END LOOP;
    EXIT WHEN pending = 0;
  END LOOP;
  RETURN total;
END $$;
GRANT EXECUTE ON FUNCTION bulkhead.erase_tenant_rows(text) TO bulkhead_system;

-- ---------------------------------------------------------------------------------------------------------------
-- Rights
-- ---------------------------------------------------------------------------------------------------------------

-- Functions of pg_catalog that a tenant's SQL must not call: they forge settings, run other SQL with them, reach other
-- sessions, leave something behind on the connection or the server, or tell what other tenants do (statistics, sizes,
-- positions of sequences and of rows that row-level security hides).
CREATE FUNCTION bulkhead.is_withheld_function(name name) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT name IN ('set_config', 'ts_stat', 'ts_rewrite', 'setseed', 'currtid2', 'pg_sequence_last_value', 'pg_lock_status',
                  'pg_blocking_pids', 'pg_safe_snapshot_blocking_pids', 'pg_isolation_test_session_is_blocked', 'pg_notify', 'pg_cancel_backend', 'pg_terminate_backend',
                  'pg_logical_emit_message', 'pg_export_snapshot', 'loread', 'lowrite')
      OR name LIKE '%\_to\_xml' OR name LIKE '%\_to\_xmlschema' OR name LIKE '%\_to\_xml\_and\_xmlschema'
      OR name LIKE 'lo\_%'
      OR name LIKE 'pg\_advisory\_%' OR name LIKE 'pg\_try\_advisory\_%'
      OR name LIKE 'pg\_stat\_get\_%' OR name LIKE 'pg\_current\_wal\_%'
      OR name LIKE 'txid\_%' OR name LIKE 'pg\_current\_xact\_id%' OR name LIKE 'pg\_current\_snapshot%'
      OR name IN ('pg_relation_size', 'pg_table_size', 'pg_indexes_size', 'pg_total_relation_size', 'pg_database_size');
END;
GRANT EXECUTE ON FUNCTION bulkhead.is_withheld_function(name) TO bulkhead_system;

DO $$
DECLARE
  entry text;
BEGIN
  -- The tenant role has no grant on any of these; the policy is the second wall behind a mistaken grant.
  FOREACH entry IN ARRAY ARRAY['deployment', 'configuration_version', 'configuration_changes', 'plans', 'tenants',
    'retired_slugs', 'issuers', 'broker_tenants', 'development_keys', 'instances', 'tenant_claims', 'audit_entries',
    'protected_tables'] LOOP
    EXECUTE format('ALTER TABLE bulkhead.%I ENABLE ROW LEVEL SECURITY', entry);
    EXECUTE format('CREATE POLICY bulkhead_system ON bulkhead.%I FOR ALL TO bulkhead_system USING (true) WITH CHECK (true)', entry);
    EXECUTE format('REVOKE ALL ON bulkhead.%I FROM PUBLIC', entry);
  END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE, DELETE ON bulkhead.deployment, bulkhead.configuration_changes, bulkhead.plans, bulkhead.tenants,
  bulkhead.issuers, bulkhead.broker_tenants, bulkhead.development_keys, bulkhead.instances, bulkhead.tenant_claims
  TO bulkhead_system;
GRANT SELECT, UPDATE ON bulkhead.configuration_version TO bulkhead_system;
GRANT SELECT, INSERT ON bulkhead.retired_slugs, bulkhead.audit_entries TO bulkhead_system;
GRANT SELECT ON bulkhead.protected_tables TO bulkhead_system;
GRANT EXECUTE ON FUNCTION bulkhead.bump_configuration(text), bulkhead.on_tenant_change(), bulkhead.on_tenant_owned_change(),
  bulkhead.on_plan_change(), bulkhead.next_version(), bulkhead.refuse_retired_slug() TO bulkhead_system;

RESET ROLE;

-- What PUBLIC may do in every database by default, and a tenant's SQL may not. On a managed server without superuser
-- these cannot be taken away: then the check at start says so.
DO $$
DECLARE
  routine record;
BEGIN
  REVOKE CREATE ON SCHEMA public FROM PUBLIC;
  FOR routine IN SELECT p.oid::regprocedure AS signature FROM pg_catalog.pg_proc p
     WHERE p.pronamespace = 'pg_catalog'::regnamespace AND bulkhead.is_withheld_function(p.proname) LOOP
    BEGIN
      EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', routine.signature);
    EXCEPTION WHEN insufficient_privilege THEN
      RAISE NOTICE 'cannot revoke %', routine.signature;
    END;
  END LOOP;
  -- The doors clean their connections with these.
  GRANT EXECUTE ON FUNCTION pg_catalog.pg_advisory_unlock_all() TO bulkhead_tenant;
  GRANT EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) TO bulkhead_system;
  -- Deleting a tenant waits for the writers that it overtook.
  GRANT EXECUTE ON FUNCTION pg_catalog.pg_lock_status() TO bulkhead_system;
  GRANT EXECUTE ON FUNCTION pg_catalog.pg_advisory_xact_lock(bigint), pg_catalog.pg_try_advisory_xact_lock(bigint)
    TO bulkhead_system, bulkhead_owner;
END $$;
