import type { AddressInfo } from "node:net";
import { createServer, connect as netConnect, type Socket } from "node:net";
import { connectionSettings } from "../../src/data/connection-settings.ts";

/** A way to a database on which no notification is ever heard. */
export interface DeafDatabase {
  readonly url: string;
  /** Connections for listening that were cut so far. */
  readonly cut: () => number;
  close(): Promise<void>;
}

/** As whoever listens calls itself in its startup message (PostgreSQL, "Message Formats", StartupMessage). */
const LISTENER = "application_name\0bulkhead_listen\0";

/** Carries every connection over to the database's socket but those that are made to listen for changes. */
export async function openDeafDatabase(databaseUrl: string): Promise<DeafDatabase> {
  const { host, port = 5432 } = connectionSettings(databaseUrl);
  const sockets = new Set<Socket>();
  let cut = 0;
  const server = createServer((client) => {
    sockets.add(client);
    client.once("close", () => sockets.delete(client));
    client.on("error", () => client.destroy());
    client.once("data", (startup) => {
      if (startup.includes(LISTENER)) {
        cut++;
        client.destroy();
        return;
      }
      const upstream = netConnect(`${host}/.s.PGSQL.${port}`);
      upstream.on("error", () => client.destroy());
      upstream.once("close", () => client.destroy());
      client.once("close", () => upstream.destroy());
      upstream.write(startup);
      upstream.pipe(client).pipe(upstream);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port: own } = server.address() as AddressInfo;
  return {
    url: databaseUrl.replace(/@[^/]*\/([^?]*)(\?.*)?$/, `@127.0.0.1:${own}/$1`),
    cut: () => cut,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
