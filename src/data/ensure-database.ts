import pg from "pg";
import { connectionSettings } from "./connection-settings.ts";

/** Makes a database in a cluster of our own, where it is not there yet. */
export async function ensureDatabase(adminUrl: string, name: string): Promise<void> {
  const client = new pg.Client(connectionSettings(adminUrl));
  await client.connect();
  try {
    const { rowCount } = await client.query("SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1", [
      name,
    ]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}
