import { connect } from "node:net";
import type pg from "pg";
import type { ConnectionSettings } from "./connection-settings.ts";

/** Code of a cancel request instead of a protocol version (PostgreSQL documentation, "Message Formats", CancelRequest). */
const CANCEL_CODE = 80_877_102;
const TIMEOUT_MS = 2_000;

/**
 * Asks PostgreSQL to cancel what a connection is running, on a connection of its own as the protocol wants. Best effort:
 * nobody learns whether it worked, and the connection is destroyed in any case.
 */
export function sendCancelRequest(settings: ConnectionSettings, client: pg.Client): void {
  const { processID, secretKey } = client as pg.Client & {
    readonly processID?: number | null;
    readonly secretKey?: number | null;
  };
  if (typeof processID !== "number" || typeof secretKey !== "number") return;
  const message = Buffer.alloc(16);
  message.writeInt32BE(16, 0);
  message.writeInt32BE(CANCEL_CODE, 4);
  message.writeInt32BE(processID, 8);
  message.writeInt32BE(secretKey, 12);
  const host = settings.host ?? "localhost";
  const port = Number(settings.port ?? 5432);
  const socket = host.startsWith("/") ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.end(message);
}
