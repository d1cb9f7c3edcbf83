-- Identity: what a registered issuer's tokens look like, API keys, revocations, roles of subjects, proofs that were used.
-- Run as 0001 is. Columns have defaults and rights only grow, so that instances of the version before go on serving.

SET LOCAL ROLE bulkhead_owner;

-- ---------------------------------------------------------------------------------------------------------------
-- Tenants
-- ---------------------------------------------------------------------------------------------------------------

ALTER TABLE bulkhead.tenants
  -- API keys are taken only where the tenant has turned them on.
  ADD COLUMN api_keys boolean NOT NULL DEFAULT false,
  ADD COLUMN dpop text NOT NULL DEFAULT 'off' CHECK (dpop IN ('off', 'allow', 'require'));

-- ---------------------------------------------------------------------------------------------------------------
-- Issuers
-- ---------------------------------------------------------------------------------------------------------------

ALTER TABLE bulkhead.issuers
  -- The profile that the registration was made from: for people; what holds are the columns.
  ADD COLUMN profile text NOT NULL DEFAULT 'generic',
  -- Audiences that may stand beside the expected one, for providers that always add one of their own.
  ADD COLUMN other_audiences text[] NOT NULL DEFAULT '{}',
  -- 'text': the claim is the value. 'single': an array or object of exactly one, whose one element or member's name is it.
  ADD COLUMN tenant_claim_form text NOT NULL DEFAULT 'text' CHECK (tenant_claim_form IN ('text', 'single')),
  -- Claims whose values are permissions: texts with spaces between, or arrays of texts.
  ADD COLUMN scope_claims text[] NOT NULL DEFAULT '{scope}',
  -- The path of the claim that names roles of the tenant; null: none does.
  ADD COLUMN roles_claim text[] CHECK (cardinality(roles_claim) BETWEEN 1 AND 4),
  ADD COLUMN max_lifetime_seconds int NOT NULL DEFAULT 3600 CHECK (max_lifetime_seconds BETWEEN 60 AND 86400),
  ADD COLUMN introspection_endpoint text,
  ADD COLUMN introspection_client_id text,
  -- Sealed under the deployment's master key, bound to this registration.
  ADD COLUMN introspection_secret bytea,
  ADD CONSTRAINT issuers_introspection CHECK (
    (introspection_endpoint IS NULL) = (introspection_client_id IS NULL)
    AND (introspection_endpoint IS NULL) = (introspection_secret IS NULL)),
  -- Its tokens are verified by keys, or by asking.
  ALTER COLUMN jwks_uri DROP NOT NULL,
  ADD CONSTRAINT issuers_verifiable CHECK (jwks_uri IS NOT NULL OR introspection_endpoint IS NOT NULL);
CREATE INDEX issuers_creation ON bulkhead.issuers (created_at, id);

-- A tenant may map a broker once: with two values a revoked one would live on in the other.
CREATE UNIQUE INDEX broker_tenants_one ON bulkhead.broker_tenants (issuer_id, tenant_id);
ALTER TABLE bulkhead.broker_tenants ADD COLUMN created_at timestamptz NOT NULL DEFAULT now();

-- ---------------------------------------------------------------------------------------------------------------
-- API keys, revocations, roles of subjects
-- ---------------------------------------------------------------------------------------------------------------

-- bk_<id>_<secret>: of the secret only its SHA-256 is kept, which suffices for 256 random bits.
CREATE TABLE bulkhead.api_keys (
  id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^key_[0-9a-hjkmnp-tv-z]{26}$'),
  tenant_id text COLLATE "C" NOT NULL REFERENCES bulkhead.tenants (id) ON DELETE CASCADE,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  secret_hash bytea NOT NULL CHECK (length(secret_hash) = 32),
  permissions text[] NOT NULL,
  expires_at timestamptz NOT NULL,
  created_by jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX api_keys_tenant ON bulkhead.api_keys (tenant_id, created_at, id);

-- What no longer counts although it has not expired. Of a tenant: whoever revokes there changes nothing elsewhere.
CREATE TABLE bulkhead.revocations (
  id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^rev_[0-9a-hjkmnp-tv-z]{26}$'),
  tenant_id text COLLATE "C" NOT NULL REFERENCES bulkhead.tenants (id) ON DELETE CASCADE,
  kind text NOT NULL CHECK (kind IN ('token', 'subject', 'signing_key', 'tenant')),
  issuer text COLLATE "C",
  -- The token's jti, the subject, or the signing key's kid.
  value text COLLATE "C",
  -- Of a subject or tenant: what was issued at or before this moment.
  not_before timestamptz,
  -- When the last credential that it could refuse will have expired by itself; null: never.
  expires_at timestamptz,
  created_by jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((kind IN ('subject', 'tenant')) = (not_before IS NOT NULL)),
  CHECK ((kind = 'tenant') = (issuer IS NULL) AND (issuer IS NULL) = (value IS NULL))
);
CREATE UNIQUE INDEX revocations_one ON bulkhead.revocations (tenant_id, kind, issuer, value) NULLS NOT DISTINCT;
CREATE INDEX revocations_creation ON bulkhead.revocations (tenant_id, created_at, id);
CREATE INDEX revocations_expiry ON bulkhead.revocations (expires_at);

-- Roles (tenants.roles) that a tenant gives to a subject of one of its issuers, beside those that tokens name.
CREATE TABLE bulkhead.role_assignments (
  tenant_id text COLLATE "C" NOT NULL REFERENCES bulkhead.tenants (id) ON DELETE CASCADE,
  issuer text COLLATE "C" NOT NULL,
  subject text COLLATE "C" NOT NULL,
  roles text[] NOT NULL CHECK (cardinality(roles) > 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, issuer, subject)
);

CREATE TRIGGER bump AFTER INSERT OR UPDATE OR DELETE ON bulkhead.api_keys
  FOR EACH ROW EXECUTE FUNCTION bulkhead.on_tenant_owned_change();
CREATE TRIGGER bump AFTER INSERT OR UPDATE OR DELETE ON bulkhead.revocations
  FOR EACH ROW EXECUTE FUNCTION bulkhead.on_tenant_owned_change();
CREATE TRIGGER bump AFTER INSERT OR UPDATE OR DELETE ON bulkhead.role_assignments
  FOR EACH ROW EXECUTE FUNCTION bulkhead.on_tenant_owned_change();

-- ---------------------------------------------------------------------------------------------------------------
-- Proofs of possession that were used (RFC 9449 section 11.1), for as long as one could be used again
-- ---------------------------------------------------------------------------------------------------------------

CREATE TABLE bulkhead.used_proofs (
  tenant_id text COLLATE "C" NOT NULL,
  -- SHA-256 over the key's thumbprint and the proof's jti.
  proof_hash bytea NOT NULL CHECK (length(proof_hash) = 32),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, proof_hash)
);
CREATE INDEX used_proofs_expiry ON bulkhead.used_proofs (expires_at);

-- What clients of the development authorization server have been given, so that a restart does not forget them. Empty in
-- production.
CREATE TABLE bulkhead.development_storage (
  issuer_name text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  payload jsonb NOT NULL,
  expires_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (issuer_name, kind, id)
);
CREATE INDEX development_storage_expiry ON bulkhead.development_storage (expires_at);

-- ---------------------------------------------------------------------------------------------------------------
-- Rights
-- ---------------------------------------------------------------------------------------------------------------

DO $$
DECLARE
  entry text;
BEGIN
  FOREACH entry IN ARRAY ARRAY['api_keys', 'revocations', 'role_assignments', 'used_proofs', 'development_storage'] LOOP
    EXECUTE format('ALTER TABLE bulkhead.%I ENABLE ROW LEVEL SECURITY', entry);
    EXECUTE format('CREATE POLICY bulkhead_system ON bulkhead.%I FOR ALL TO bulkhead_system USING (true) WITH CHECK (true)', entry);
    EXECUTE format('REVOKE ALL ON bulkhead.%I FROM PUBLIC', entry);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON bulkhead.%I TO bulkhead_system', entry);
  END LOOP;
END $$;

RESET ROLE;
