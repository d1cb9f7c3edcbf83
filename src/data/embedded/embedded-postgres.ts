import { join } from "node:path";
import { type ClusterPlace, openClusterPlace } from "./cluster-place.ts";
import { dataDirFault } from "./data-dir-fault.ts";
import { initializeCluster, syncCluster } from "./initialize-cluster.ts";
import { stopLeftover } from "./leftover-postmaster.ts";
import { type ListenAddress, openListenAddress } from "./listen-address.ts";
import { readPidFile } from "./pid-file.ts";
import { findPlatformPackage } from "./platform-package.ts";
import { installPostgres } from "./postgres-installation.ts";
import { type Postmaster, startPostmaster } from "./postmaster.ts";
import { runProgram } from "./run-program.ts";

/** A PostgreSQL of our own, in a data directory. */
export interface EmbeddedPostgres {
  /** URL of the database `postgres` as superuser, with its password, for `pg`'s connectionString. */
  readonly adminUrl: string;
  /** The same for another database. */
  urlOf(database: string): string;
  /** The postmaster's. */
  readonly pid: number;
  /** Of PostgreSQL, `18.4` for example. */
  readonly version: string;
  /**
   * Ends its connections and stops it. Does nothing the second time.
   * @param options `remove` removes the cluster too, wherever it lies.
   */
  stop(options?: { readonly remove?: boolean }): Promise<void>;
  /** Calls the listener if the server ends without having been told to, now or when it does. */
  onExit(listener: (detail: string) => void): void;
}

export interface EmbeddedPostgresOptions {
  /** Made if it is not there. The caller holds its lock: a server found running there is taken for a left-over. */
  readonly dataDir: string;
  /** False for tests: the data may not survive a crash of the system or of PostgreSQL. Default true. */
  readonly durable?: boolean;
  /** On Windows the TCP port on 127.0.0.1, by default a free one; elsewhere only a part of the socket's name. */
  readonly port?: number;
}

/**
 * Starts the embedded PostgreSQL of a data directory, making it the first time. A server that a killed run left there is
 * stopped first.
 *
 * @throws Fault `embedded_missing`, `embedded_failed`, `data_dir_unwritable` or `data_dir_in_use`
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const durable = options.durable ?? true;
  const pkg = await findPlatformPackage();
  const version = pkg.version.replace(/^([0-9]+\.[0-9]+).*$/, "$1");
  const place = await openClusterPlace(options.dataDir, process.getuid?.());
  try {
    const cluster = join(place.directory, "data");
    if (process.platform !== "win32") {
      await stopLeftover(cluster);
    }
    const installation = await installPostgres(pkg, place);
    if (process.platform === "win32" && (await readPidFile(cluster)) !== null) {
      // It signals through a pipe that only a PostgreSQL has, so a recycled pid does no harm here.
      await runProgram(installation, place, ["pg_ctl", "stop", "-D", cluster, "-m", "fast"]);
    }
    const isNew = await initializeCluster(installation, place, version);
    const listen = await openListenAddress(place, options.port ?? null);
    try {
      const postmaster = await startPostmaster(installation, place, { durable, listen });
      // Not waited for: it takes longer than all the rest of a first start. A disk that fails here fails PostgreSQL too.
      const synced = isNew && durable ? syncCluster(installation, place).catch(() => {}) : Promise.resolve();
      return embedded({ postmaster, place, version, listen, synced });
    } catch (error) {
      await listen.remove();
      throw error;
    }
  } catch (error) {
    throw dataDirFault(place.directory, error);
  }
}

function embedded(parts: {
  readonly postmaster: Postmaster;
  readonly place: ClusterPlace;
  readonly version: string;
  readonly listen: ListenAddress;
  readonly synced: Promise<void>;
}): EmbeddedPostgres {
  const { postmaster, place, version, listen, synced } = parts;
  const query = new URLSearchParams({ host: listen.host, port: String(listen.port) });
  let stopping: Promise<void> | undefined;
  const urlOf = (database: string): string =>
    `postgres://postgres:${encodeURIComponent(place.password)}@localhost/${encodeURIComponent(database)}?${query}`;
  const stopAll = async (): Promise<void> => {
    await Promise.all([postmaster.stop(), synced]);
    await listen.remove();
  };
  return {
    adminUrl: urlOf("postgres"),
    urlOf,
    pid: postmaster.pid,
    version,
    stop: async ({ remove = false } = {}) => {
      stopping ??= stopAll();
      await stopping;
      if (remove) {
        await place.remove();
      }
    },
    onExit: (listener) => {
      void postmaster.ended.then((detail) => {
        if (stopping === undefined) {
          listener(detail);
        }
      });
    },
  };
}
