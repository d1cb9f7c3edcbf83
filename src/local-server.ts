/** An instance without HTTP: for clients that start it themselves. */
import type { BulkheadOptions } from "./bulkhead-options.ts";
import { compileCatalog } from "./catalog/catalog.ts";
import { systemClock } from "./core/clock.ts";
import { createOperatorGate } from "./identity/operator-gate.ts";
import { startInstance } from "./instance.ts";
import type { LocalClient, LocalConnection } from "./local-connection.ts";

export interface LocalServer {
  /** @throws Fault `tenant_not_found`, `tenant_suspended` or `placement_elsewhere`. */
  connect(client: LocalClient): Promise<LocalConnection>;
  /** Puts something that broke outside any call on record. */
  reportFault(message: string, cause: unknown): void;
  /** Ends what is under way, writes what is on record, and closes the database. */
  close(): Promise<void>;
}

/** Resource identifiers are made from it, and no token ever comes by a local connection. */
const NO_URL = new URL("http://localhost");

/** @throws Fault with what keeps it from serving. */
export async function startLocalServer(
  options: Pick<
    BulkheadOptions,
    "server" | "databaseUrl" | "mode" | "migrate" | "soleInstance" | "log" | "logLevel" | "drainMs"
  >,
): Promise<LocalServer> {
  const instance = await startInstance(
    { ...options, publicUrl: NO_URL.origin },
    {
      catalog: compileCatalog(options.server),
      publicUrl: NO_URL,
      gate: createOperatorGate(undefined),
      secrets: null,
      clock: systemClock,
      local: true,
    },
  );
  return {
    connect: instance.connect,
    reportFault: instance.reportFault,
    async close() {
      instance.drain();
      await instance.finish();
      await instance.shutDown();
    },
  };
}
