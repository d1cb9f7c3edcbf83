import type { SystemDoor } from "./system-door.ts";

/** Changes are kept for this long: an instance that has not looked for longer takes everything for changed. */
const CHANGES_KEPT = "7 days";

/** Sessions that nobody has used for this long are over (see session-repository.ts, which does not find them any more). */
const SESSIONS_KEPT = "24 hours";

/**
 * Removes what has expired: claims that no connection can enter with any more, proofs and revocations of what has expired
 * itself, old notes of configuration changes, sessions that nobody uses, tasks past their time, yesterday's keys of
 * states. Expired API keys stay, so that their owner sees why one no longer counts.
 */
export async function removeExpired(system: SystemDoor): Promise<void> {
  await system.run("remove what has expired", async (db) => {
    await db.query("DELETE FROM bulkhead.tenant_claims WHERE expires_at < now() - interval '1 minute'");
    await db.query("DELETE FROM bulkhead.used_proofs WHERE expires_at < now()");
    // What it revokes has expired, but for the tasks that this has begun: they act as it for as long as they are open.
    await db.query(
      `DELETE FROM bulkhead.revocations r WHERE r.expires_at < now()
          AND NOT EXISTS (SELECT FROM bulkhead.tasks t
                           WHERE t.tenant_id = r.tenant_id AND t.status IN ('working', 'input_required')
                             AND t.created_at < r.expires_at AND t.expires_at > now())`,
    );
    await db.query("DELETE FROM bulkhead.development_storage WHERE expires_at < now()");
    await db.query("DELETE FROM bulkhead.configuration_changes WHERE at < now() - $1::interval", [
      CHANGES_KEPT,
    ]);
    await db.query("DELETE FROM bulkhead.sessions WHERE seen_at < now() - $1::interval", [SESSIONS_KEPT]);
    await db.query("DELETE FROM bulkhead.tasks WHERE expires_at < now()");
    // One is sealed with until the next has been known for a while, and states live for a quarter of an hour.
    await db.query(
      `DELETE FROM bulkhead.state_keys k WHERE k.created_at < now() - interval '25 hours'
          AND EXISTS (SELECT FROM bulkhead.state_keys n
                       WHERE n.created_at > k.created_at AND n.created_at < now() - interval '1 hour')`,
    );
  });
  await removePassed(system);
}

/**
 * Removes what instances and streams have said a while ago: signals after a minute, events of streams after five. To be
 * called every half minute: there may be many.
 */
export async function removePassed(system: SystemDoor): Promise<void> {
  await system.run("remove what has expired", async (db) => {
    await db.query("DELETE FROM bulkhead.signals WHERE at < now() - interval '1 minute'");
    await db.query("DELETE FROM bulkhead.stream_events WHERE at < now() - interval '5 minutes'");
  });
}
