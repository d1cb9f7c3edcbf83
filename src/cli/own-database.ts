import { startEmbeddedPostgres } from "../data/embedded/embedded-postgres.ts";
import { ensureDatabase } from "../data/ensure-database.ts";

/** The database of a data directory, which this process has started. */
export interface OwnDatabase {
  readonly url: string;
  /** Calls the listener if it ends without having been told to. */
  onLost(listener: (detail: string) => void): void;
  close(): Promise<void>;
}

/** The database's name in the cluster of a data directory. */
export const OWN_DATABASE = "bulkhead";

/** Starts the PostgreSQL of a data directory, whose lock the caller holds, and makes its database the first time. */
export async function startOwnDatabase(dataDir: string): Promise<OwnDatabase> {
  const postgres = await startEmbeddedPostgres({ dataDir });
  try {
    await ensureDatabase(postgres.adminUrl, OWN_DATABASE);
  } catch (error) {
    await postgres.stop();
    throw error;
  }
  return { url: postgres.urlOf(OWN_DATABASE), onLost: postgres.onExit, close: () => postgres.stop() };
}
