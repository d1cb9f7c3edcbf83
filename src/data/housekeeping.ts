import type { SystemDoor } from "./system-door.ts";

/** Changes are kept for this long: an instance that has not looked for longer takes everything for changed. */
const CHANGES_KEPT = "7 days";

/** Removes what has expired: claims that no connection can enter with any more, and old notes of configuration changes. */
export async function removeExpired(system: SystemDoor): Promise<void> {
  await system.run("remove what has expired", async (db) => {
    await db.query("DELETE FROM bulkhead.tenant_claims WHERE expires_at < now() - interval '1 minute'");
    await db.query("DELETE FROM bulkhead.configuration_changes WHERE at < now() - $1::interval", [
      CHANGES_KEPT,
    ]);
  });
}
