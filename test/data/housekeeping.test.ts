import { expect, test } from "vitest";
import { createConfigurationSource } from "../../src/data/configuration-repository.ts";
import { removeExpired, removePassed } from "../../src/data/housekeeping.ts";
import { createTestDatabase } from "../support/database.ts";

test("expired claims and old notes of changes go; an instance that slept longer takes everything for changed", async () => {
  const database = await createTestDatabase();
  try {
    await database.admin(`
      INSERT INTO bulkhead.tenants (id, slug, name, plan) VALUES ('tnt_0123456789abcdefghjkmnpqrs', 'acme', 'Acme', 'free');
      INSERT INTO bulkhead.tenant_claims (claim_hash, tenant_id, issued_by, expires_at)
        VALUES ('a', 'tnt_0123456789abcdefghjkmnpqrs', 'x', now() - interval '1 hour'), ('b', 'tnt_0123456789abcdefghjkmnpqrs', 'x', now() + interval '1 hour')`);
    const source = createConfigurationSource(database.system);
    const { version } = await source.changesSince(0);
    await database.admin("UPDATE bulkhead.tenants SET name = 'Acme Ltd'");
    expect(await source.changesSince(version)).toEqual({
      version: version + 1,
      tenants: ["tnt_0123456789abcdefghjkmnpqrs"],
      everything: false,
    });
    await database.admin("UPDATE bulkhead.configuration_changes SET at = now() - interval '8 days'");
    await removeExpired(database.system);
    expect(await source.changesSince(version)).toEqual({
      version: version + 1,
      tenants: [],
      everything: true,
    });
    expect(await database.admin("SELECT claim_hash FROM bulkhead.tenant_claims")).toEqual([
      { claim_hash: Buffer.from("b") },
    ]);
  } finally {
    await database.drop();
  }
});

test("unused sessions, tasks past their time, old signals and old events of streams go, and nothing else", async () => {
  const database = await createTestDatabase();
  try {
    await database.admin(`
      INSERT INTO bulkhead.tenants (id, slug, name, plan) VALUES ('tnt_0123456789abcdefghjkmnpqrs', 'acme', 'Acme', 'free');
      INSERT INTO bulkhead.sessions (tenant_id, id, principal, revision, client, seen_at)
        SELECT 'tnt_0123456789abcdefghjkmnpqrs', 'ses_' || lpad(hours::text, 26, '0'), 'p', '2025-11-25', '{}', now() - make_interval(hours => hours)
          FROM unnest(ARRAY[23, 25]) AS hours;
      INSERT INTO bulkhead.stream_events (tenant_id, session_id, stream_id, seq, message, at)
        SELECT 'tnt_0123456789abcdefghjkmnpqrs', 'ses_' || lpad('23', 26, '0'), 's', minutes, '{}', now() - make_interval(mins => minutes)
          FROM unnest(ARRAY[4, 6]) AS minutes;
      INSERT INTO bulkhead.signals (tenant_id, instance_id, number, topic, payload, bytes, at)
        SELECT 'tnt_0123456789abcdefghjkmnpqrs', 'i', seconds, 'list_changed', '{}', 2, now() - make_interval(secs => seconds)
          FROM unnest(ARRAY[50, 70]) AS seconds;
      INSERT INTO bulkhead.tasks (tenant_id, id, principal, caller, request, target, state, run_by, rerun, ttl_ms, poll_interval_ms, expires_at)
        SELECT 'tnt_0123456789abcdefghjkmnpqrs', 'task_' || lpad(n::text, 26, '0'), 'p', '{}', '{}', 't', '{}', 'i', false, 1, 1, expiry
          FROM (VALUES (1, now() - interval '1 second'), (2, now() + interval '1 minute')) AS v (n, expiry)`);
    const left = async () => {
      const [counts] = await database.admin<{
        sessions: string[];
        events: number[];
        signals: string[];
        tasks: string[];
      }>(`
        SELECT ARRAY(SELECT right(id, 2) FROM bulkhead.sessions ORDER BY id) AS sessions,
               ARRAY(SELECT seq FROM bulkhead.stream_events ORDER BY seq) AS events,
               ARRAY(SELECT number::text FROM bulkhead.signals ORDER BY number) AS signals,
               ARRAY(SELECT right(id, 1) FROM bulkhead.tasks ORDER BY id) AS tasks`);
      return counts;
    };
    await removePassed(database.system);
    expect(await left()).toEqual({
      sessions: ["23", "25"],
      events: [4],
      signals: ["50"],
      tasks: ["1", "2"],
    });
    await removeExpired(database.system);
    expect(await left()).toEqual({ sessions: ["23"], events: [4], signals: ["50"], tasks: ["2"] });
  } finally {
    await database.drop();
  }
});

test("a revocation stays after its time as long as its tenant has an open task from before", async () => {
  const database = await createTestDatabase();
  const [acme, globex] = ["tnt_0123456789abcdefghjkmnpqrs", "tnt_1123456789abcdefghjkmnpqrs"];
  try {
    await database.admin(`
      INSERT INTO bulkhead.tenants (id, slug, name, plan) VALUES ('${acme}', 'acme', 'Acme', 'free'), ('${globex}', 'globex', 'Globex', 'free');
      INSERT INTO bulkhead.revocations (id, tenant_id, kind, issuer, value, expires_at, created_by)
        SELECT 'rev_' || lpad(row_number() OVER ()::text, 26, '0'), tenant, 'token', 'https://issuer.example', n::text, now() - make_interval(hours => n), '{}'
          FROM unnest(ARRAY['${acme}', '${globex}']) AS tenant, unnest(ARRAY[1, 3]) AS n;
      INSERT INTO bulkhead.tasks (tenant_id, id, principal, caller, request, target, status, state, rerun, ttl_ms, poll_interval_ms, created_at, expires_at)
        SELECT tenant, 'task_' || lpad('1', 26, '0'), 'p', '{}', '{}', 't', status, '{}', false, 1, 1, now() - interval '2 hours', now() + interval '1 hour'
          FROM (VALUES ('${acme}', 'input_required'), ('${globex}', 'completed')) AS v (tenant, status)`);
    const left = () =>
      database.admin("SELECT tenant_id, value FROM bulkhead.revocations ORDER BY tenant_id, value");
    await removeExpired(database.system);
    expect(await left()).toEqual([{ tenant_id: acme, value: "1" }]);
    await database.admin("UPDATE bulkhead.tasks SET status = 'cancelled'");
    await removeExpired(database.system);
    expect(await left()).toEqual([]);
  } finally {
    await database.drop();
  }
});
