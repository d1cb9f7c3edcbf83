-- The wire: sessions of the previous generation, what their streams said, signals between instances, tasks, and the keys
-- under which the state of requests is sealed.
--
-- Code of the version before does not know these tables and serves on beside them. All of them are behind the system door
-- alone: a tool's SQL sees none.

SET LOCAL ROLE bulkhead_owner;

-- ---------------------------------------------------------------------------------------------------------------
-- Sessions (MCP 2025-11-25 and before)
-- ---------------------------------------------------------------------------------------------------------------

CREATE TABLE bulkhead.sessions (
  tenant_id text COLLATE "C" NOT NULL REFERENCES bulkhead.tenants (id) ON DELETE CASCADE,
  id text COLLATE "C" NOT NULL CHECK (id ~ '^ses_[0-9a-hjkmnp-tv-z]{26}$'),
  -- Whom it belongs to: SHA-256 over kind, issuer, subject and client, base64. Presented by anybody else it is not there.
  principal text COLLATE "C" NOT NULL,
  revision text COLLATE "C" NOT NULL,
  -- The client as it described itself: JSON of {name, version, title, capabilities}. As text, here and below, where it is
  -- a client's: jsonb takes neither \u0000 nor half a surrogate pair, both of which JSON may contain.
  client text NOT NULL CHECK (octet_length(client) <= 65536),
  -- Least severe messages that it wants; null: it has not said.
  log_level text,
  -- URIs of the resources whose changes it is told of.
  subscriptions text[] NOT NULL DEFAULT '{}' CHECK (cardinality(subscriptions) <= 1000),
  created_at timestamptz NOT NULL DEFAULT now(),
  seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX sessions_seen ON bulkhead.sessions (seen_at);

-- Opens a session unless the tenant has as many as it may. Then, where room is to be made, whoever has the most of them
-- loses the one that was not used for longest: a client that never ends its sessions shuts out nobody. In one statement, so
-- that the lock under which they are counted is not held for as long as an instance takes to go on. Gives 'opened', 'full'
-- or 'no_tenant'.
CREATE FUNCTION bulkhead.open_session(
  session_tenant text, session_id text, session_principal text, session_revision text, session_client text,
  session_log_level text, most integer, make_room boolean
) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Of a tenant that is being erased the row is locked: nobody waits for that.
  PERFORM 1 FROM bulkhead.tenants t WHERE t.id = session_tenant FOR KEY SHARE SKIP LOCKED;
  IF NOT FOUND THEN RETURN 'no_tenant'; END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended(session_tenant, 7305808869231650003));
  IF (SELECT count(*) FROM (SELECT FROM bulkhead.sessions s WHERE s.tenant_id = session_tenant LIMIT most) AS present) >= most
  THEN
    IF NOT make_room THEN RETURN 'full'; END IF;
    DELETE FROM bulkhead.sessions s WHERE s.tenant_id = session_tenant AND s.id = (
      SELECT o.id FROM bulkhead.sessions o
       WHERE o.tenant_id = session_tenant AND o.principal = (
         SELECT p.principal FROM bulkhead.sessions p WHERE p.tenant_id = session_tenant
          GROUP BY p.principal ORDER BY count(*) DESC, p.principal LIMIT 1)
       ORDER BY o.seen_at, o.id LIMIT 1 FOR UPDATE SKIP LOCKED);
    -- Each of them is in use this very moment.
    IF NOT FOUND THEN RETURN 'full'; END IF;
  END IF;
  INSERT INTO bulkhead.sessions (tenant_id, id, principal, revision, client, log_level)
  VALUES (session_tenant, session_id, session_principal, session_revision, session_client, session_log_level);
  RETURN 'opened';
END $$;
GRANT EXECUTE ON FUNCTION bulkhead.open_session(text, text, text, text, text, text, integer, boolean) TO bulkhead_system;

-- What was sent on the streams of sessions, for as long as a client may come back for it (Last-Event-ID).
CREATE TABLE bulkhead.stream_events (
  tenant_id text COLLATE "C" NOT NULL,
  session_id text COLLATE "C" NOT NULL,
  stream_id text COLLATE "C" NOT NULL,
  -- 0: the stream was opened. It tells a stream on which nothing was said yet from one that is not there.
  seq integer NOT NULL CHECK (seq >= 0),
  -- A JSON-RPC message; null: nothing follows on this stream. Of 0 it is empty.
  message text,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, session_id, stream_id, seq),
  FOREIGN KEY (tenant_id, session_id) REFERENCES bulkhead.sessions (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX stream_events_at ON bulkhead.stream_events (at);

-- ---------------------------------------------------------------------------------------------------------------
-- Signals: what one instance tells the others, for a minute
-- ---------------------------------------------------------------------------------------------------------------

CREATE TABLE bulkhead.signals (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id text COLLATE "C" NOT NULL REFERENCES bulkhead.tenants (id) ON DELETE CASCADE,
  -- The instance that wrote it, which has acted on it already, and its number there: what was written twice is there once.
  instance_id text COLLATE "C" NOT NULL,
  number bigint NOT NULL,
  topic text COLLATE "C" NOT NULL,
  -- JSON.
  payload text NOT NULL,
  -- Size of the payload: so that who reads can bound what is read at once.
  bytes integer NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (instance_id, number)
);
CREATE INDEX signals_at ON bulkhead.signals (at);

-- Writes signals of one instance and tells the others. The lock is held until this has committed, so ids become visible
-- in their order, and whoever has read up to one has missed none before it. In one statement: an instance that stands
-- still holds up nobody.
CREATE FUNCTION bulkhead.write_signals(
  writer text, numbers bigint[], tenant_ids text[], topics text[], payloads text[]
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(7305808869231650002);
  -- For a tenant that was deleted, or is being deleted (its row is locked), nothing is written, and nobody waits for that.
  WITH present AS MATERIALIZED (
    SELECT t.id FROM bulkhead.tenants t WHERE t.id = ANY (tenant_ids) FOR KEY SHARE SKIP LOCKED
  )
  INSERT INTO bulkhead.signals (tenant_id, instance_id, number, topic, payload, bytes)
  SELECT s.tenant_id, writer, s.number, s.topic, s.payload, octet_length(s.payload)
    FROM unnest(numbers, tenant_ids, topics, payloads) AS s (number, tenant_id, topic, payload)
   WHERE s.tenant_id IN (SELECT p.id FROM present p)
   ORDER BY s.number
  ON CONFLICT (instance_id, number) DO NOTHING;
  IF FOUND THEN PERFORM pg_notify('bulkhead_signals', writer); END IF;
END $$;
GRANT EXECUTE ON FUNCTION bulkhead.write_signals(text, bigint[], text[], text[], text[]) TO bulkhead_system;

-- ---------------------------------------------------------------------------------------------------------------
-- Tasks (extension io.modelcontextprotocol/tasks)
-- ---------------------------------------------------------------------------------------------------------------

CREATE TABLE bulkhead.tasks (
  tenant_id text COLLATE "C" NOT NULL REFERENCES bulkhead.tenants (id) ON DELETE CASCADE,
  id text COLLATE "C" NOT NULL CHECK (id ~ '^task_[0-9a-hjkmnp-tv-z]{26}$'),
  -- As in sessions: to anybody else it is not there.
  principal text COLLATE "C" NOT NULL,
  -- What a run acts as and with: the caller, and the request that made the task. JSON, as text (see sessions.client).
  caller text NOT NULL,
  request text NOT NULL,
  -- Name of the tool.
  target text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL DEFAULT 'working'
    CHECK (status IN ('working', 'input_required', 'completed', 'failed', 'cancelled')),
  status_message text,
  -- JSON: answers of the client and results of steps so far, and what it is asked now. As caller and request, empty when
  -- the task has ended.
  state text NOT NULL,
  -- JSON: the result or the error with which it ended.
  outcome text,
  -- The instance whose run it is: of a task that works, and of no other.
  run_by text COLLATE "C",
  -- Number of the run: what an earlier one still says does not count.
  run integer NOT NULL DEFAULT 1,
  -- Whether it has: one that only waits for its turn can be begun elsewhere.
  begun boolean NOT NULL DEFAULT false,
  -- Runs that were lost with their instance.
  lost integer NOT NULL DEFAULT 0,
  -- Whether a run that was lost is begun again.
  rerun boolean NOT NULL,
  ttl_ms bigint NOT NULL,
  poll_interval_ms integer NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  -- What it holds of its tenant's bytes.
  bytes bigint NOT NULL GENERATED ALWAYS AS
    (octet_length(caller) + octet_length(request) + octet_length(state) + coalesce(octet_length(outcome), 0)) STORED,
  PRIMARY KEY (tenant_id, id),
  CHECK ((status = 'working') = (run_by IS NOT NULL))
);
CREATE INDEX tasks_open ON bulkhead.tasks (tenant_id) WHERE status IN ('working', 'input_required');
CREATE INDEX tasks_running ON bulkhead.tasks (run_by) WHERE run_by IS NOT NULL;
CREATE INDEX tasks_expiry ON bulkhead.tasks (expires_at);

-- Whether a tenant's tasks may hold so many bytes of this one. Each of them counts as its share at least, which it may write
-- without asking. Until the transaction ends nobody else of the tenant has an answer: what was found room for is in the row
-- before others are counted. Asked in the statement that writes, so that this is not for as long as an instance takes.
CREATE FUNCTION bulkhead.task_has_room(
  task_tenant text, task_id text, task_bytes bigint, task_share bigint, most_bytes bigint
) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(task_tenant, 7305808869231650004));
  RETURN greatest(task_bytes, task_share) + (
    SELECT coalesce(sum(greatest(t.bytes, task_share)), 0) FROM bulkhead.tasks t
     WHERE t.tenant_id = task_tenant AND t.id <> task_id) <= most_bytes;
END $$;
GRANT EXECUTE ON FUNCTION bulkhead.task_has_room(text, text, bigint, bigint, bigint) TO bulkhead_system;

-- Makes a task unless the tenant has as many as it may: so many open, so many in all, so many bytes. In one statement, as
-- open_session is. Gives 'made', 'open', 'kept', 'bytes' or 'no_tenant'.
CREATE FUNCTION bulkhead.make_task(
  task_tenant text, task_id text, task_principal text, task_caller text, task_request text, task_target text,
  task_state text, task_run_by text, task_rerun boolean, task_ttl_ms bigint, task_poll_interval_ms integer,
  most_open integer, most_kept integer, task_share bigint, most_bytes bigint
) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM 1 FROM bulkhead.tenants t WHERE t.id = task_tenant FOR KEY SHARE SKIP LOCKED;
  IF NOT FOUND THEN RETURN 'no_tenant'; END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended(task_tenant, 7305808869231650004));
  IF (SELECT count(*) FROM bulkhead.tasks t
       WHERE t.tenant_id = task_tenant AND t.status IN ('working', 'input_required') AND t.expires_at > now()) >= most_open
  THEN RETURN 'open'; END IF;
  IF (SELECT count(*) FROM bulkhead.tasks t WHERE t.tenant_id = task_tenant) >= most_kept THEN RETURN 'kept'; END IF;
  IF NOT bulkhead.task_has_room(
    task_tenant, task_id, octet_length(task_caller) + octet_length(task_request) + octet_length(task_state),
    task_share, most_bytes)
  THEN RETURN 'bytes'; END IF;
  INSERT INTO bulkhead.tasks (tenant_id, id, principal, caller, request, target, state, run_by, rerun, ttl_ms,
                              poll_interval_ms, expires_at)
  VALUES (task_tenant, task_id, task_principal, task_caller, task_request, task_target, task_state, task_run_by, task_rerun,
          task_ttl_ms, task_poll_interval_ms, now() + make_interval(secs => task_ttl_ms / 1000.0));
  RETURN 'made';
END $$;
GRANT EXECUTE ON FUNCTION bulkhead.make_task(
  text, text, text, text, text, text, text, text, boolean, bigint, integer, integer, integer, bigint, bigint
) TO bulkhead_system;

-- ---------------------------------------------------------------------------------------------------------------
-- Keys under which the state of requests is sealed that passes through clients: shared by all instances, replaced daily
-- ---------------------------------------------------------------------------------------------------------------

CREATE TABLE bulkhead.state_keys (
  id text COLLATE "C" PRIMARY KEY,
  key bytea NOT NULL CHECK (length(key) = 32),
  created_at timestamptz NOT NULL DEFAULT now()
);

-- ---------------------------------------------------------------------------------------------------------------
-- Rights
-- ---------------------------------------------------------------------------------------------------------------

DO $$
DECLARE
  entry text;
BEGIN
  FOREACH entry IN ARRAY ARRAY['sessions', 'stream_events', 'signals', 'tasks', 'state_keys'] LOOP
    EXECUTE format('ALTER TABLE bulkhead.%I ENABLE ROW LEVEL SECURITY', entry);
    EXECUTE format('CREATE POLICY bulkhead_system ON bulkhead.%I FOR ALL TO bulkhead_system USING (true) WITH CHECK (true)', entry);
    EXECUTE format('REVOKE ALL ON bulkhead.%I FROM PUBLIC', entry);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON bulkhead.%I TO bulkhead_system', entry);
  END LOOP;
END $$;

-- ---------------------------------------------------------------------------------------------------------------
-- The audit trail: one index less for the row of a read-only call
-- ---------------------------------------------------------------------------------------------------------------

-- An operation's outcome is found by audit_one_outcome; this index has what else there is of it. Whoever looks for all of an
-- operation's rows asks for the two kinds apart.
DROP INDEX bulkhead.audit_operation;
CREATE INDEX audit_operation ON bulkhead.audit_entries (tenant_id, operation_id) WHERE kind <> 'outcome';

RESET ROLE;
