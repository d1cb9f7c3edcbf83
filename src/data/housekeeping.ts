import type { SystemDoor } from "./system-door.ts";

/** Changes are kept for this long: an instance that has not looked for longer takes everything for changed. */
const CHANGES_KEPT = "7 days";

/**
 * Removes what has expired: claims that no connection can enter with any more, proofs and revocations of what has expired
 * itself, old notes of configuration changes. Expired API keys stay, so that their owner sees why one no longer counts.
 */
export async function removeExpired(system: SystemDoor): Promise<void> {
  await system.run("remove what has expired", async (db) => {
    await db.query("DELETE FROM bulkhead.tenant_claims WHERE expires_at < now() - interval '1 minute'");
    await db.query("DELETE FROM bulkhead.used_proofs WHERE expires_at < now()");
    await db.query("DELETE FROM bulkhead.revocations WHERE expires_at < now()");
    await db.query("DELETE FROM bulkhead.development_storage WHERE expires_at < now()");
    await db.query("DELETE FROM bulkhead.configuration_changes WHERE at < now() - $1::interval", [
      CHANGES_KEPT,
    ]);
  });
}
