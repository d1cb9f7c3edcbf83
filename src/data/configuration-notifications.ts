import pg from "pg";
import type { ConnectionSettings } from "./connection-settings.ts";
import type { SystemDoor } from "./system-door.ts";

const CHANNEL = "bulkhead_configuration";

/** Hears when another instance says that configuration has changed. A hint only: polling finds what is not heard. */
export interface ConfigurationNotifications {
  close(): Promise<void>;
}

/** Pause before listening is tried again after the connection was lost, in milliseconds. */
const RETRY_MS = 1_000;

export function listenForConfiguration(
  settings: ConnectionSettings,
  onHint: () => void,
): ConfigurationNotifications {
  let client: pg.Client | null = null;
  let timer: NodeJS.Timeout | null = null;
  let closed = false;

  const connect = async (): Promise<void> => {
    const next = new pg.Client({ ...settings, application_name: "bulkhead_listen" });
    client = next;
    let lost = false;
    const again = (): void => {
      if (lost || closed) return;
      lost = true;
      next.end().catch(() => {});
      timer = setTimeout(() => void connect(), RETRY_MS);
    };
    next.on("error", again);
    next.on("end", again);
    next.on("notification", onHint);
    try {
      await next.connect();
      await next.query(`LISTEN ${CHANNEL}`);
      // What was said while nobody listened.
      onHint();
    } catch {
      again();
    }
  };
  void connect();

  return {
    async close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      await client?.end().catch(() => {});
    },
  };
}

/** Tells every instance to look. Sent on its own, after the change: a NOTIFY inside transactions would serialise them. */
export async function notifyConfigurationChanged(system: SystemDoor): Promise<void> {
  await system.run("change configuration", async (db) => {
    await db.query("SELECT pg_catalog.pg_notify($1, '')", [CHANNEL]);
  });
}
