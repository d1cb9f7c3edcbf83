import pg from "pg";
import type { ConnectionSettings } from "./connection-settings.ts";

/** Everything that instances notify each other of. */
const CHANNELS = ["bulkhead_configuration", "bulkhead_signals"] as const;

/** Hears what other instances say: hints only, since polling finds what is not heard. */
export interface Notifications {
  close(): Promise<void>;
}

/** Pause before listening is tried again after the connection was lost, in milliseconds. */
const RETRY_MS = 1_000;

/**
 * Listens on one connection for all channels.
 *
 * @param heard told of each notification and, with an empty text, whenever listening begins: for what was said while
 *   nobody listened.
 */
export function listenForNotifications(
  settings: ConnectionSettings,
  heard: Readonly<Record<(typeof CHANNELS)[number], (payload: string) => void>>,
): Notifications {
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
    next.on("notification", ({ channel, payload = "" }) => {
      for (const each of CHANNELS) if (each === channel) heard[each](payload);
    });
    try {
      await next.connect();
      for (const channel of CHANNELS) await next.query(`LISTEN ${channel}`);
      for (const channel of CHANNELS) heard[channel]("");
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
