import type { SystemDoor } from "./system-door.ts";

/** Tells every instance to look. Sent on its own, after the change: a NOTIFY inside transactions would serialise them. */
export async function notifyConfigurationChanged(system: SystemDoor): Promise<void> {
  await system.run("change configuration", async (db) => {
    await db.query("SELECT pg_catalog.pg_notify('bulkhead_configuration', '')");
  });
}
