import { openSync, writeSync } from "node:fs";
import type { LogDestination } from "../bulkhead-options.ts";
import { Fault } from "../core/fault.ts";
import { type Bulkhead, createBulkhead } from "../server.ts";
import type { ChildReport, ReadyLine, ServeOrder, StopOrder } from "./dev-messages.ts";
import { goOnAfterFailures } from "./go-on-after-failures.ts";
import { loadServerModule } from "./load-server-module.ts";
import { toReport } from "./report-error.ts";
import { onStopSignal } from "./stop-signals.ts";

/** Longest wait for calls under way, in milliseconds. */
const DRAIN_MS = 5_000;

/**
 * The serving half of `bulkhead dev`: does what its supervisor orders, and goes when the supervisor is gone. Never ends by
 * itself before that, whatever the module has left running.
 * @returns the exit status.
 */
export async function devChild(): Promise<number> {
  if (process.send === undefined) {
    throw new Fault("usage", { detail: "dev-child is a part of bulkhead dev and not a command of its own." });
  }
  const stopped = new Promise<void>((resolve) => {
    onStopSignal(resolve);
    process.once("disconnect", resolve);
    process.on("message", (message) => {
      if ((message as ServeOrder | StopOrder).type === "stop") resolve();
    });
  });
  const order = await new Promise<ServeOrder | null>((resolve) => {
    process.on("message", (message) => {
      const told = message as ServeOrder | StopOrder;
      if (told.type === "serve") resolve(told);
    });
    void stopped.then(() => resolve(null));
  });
  if (order === null) return 0;
  try {
    // A module may take for ever to load.
    const bulkhead = await Promise.race([start(order), stopped]);
    if (bulkhead === undefined) return 0;
    await report({ type: "ready", line: await readyLine(order, bulkhead) });
    await stopped;
    await bulkhead.close();
    return 0;
  } catch (error) {
    await report({ type: "failed", error: toReport(error) });
    return 1;
  }
}

async function start(order: ServeOrder): Promise<Bulkhead> {
  const bulkhead = createBulkhead({
    server: await loadServerModule(order.module),
    databaseUrl: order.databaseUrl,
    publicUrl: urlOf(order),
    operatorToken: order.operatorToken,
    masterKey: order.masterKey,
    mode: "development",
    migrate: true,
    soleInstance: order.soleInstance,
    log: logDestination(order.logFile),
    logLevel: order.logLevel,
    drainMs: DRAIN_MS,
  });
  goOnAfterFailures(bulkhead);
  try {
    await bulkhead.listen(order.port);
    return bulkhead;
  } catch (error) {
    await bulkhead.close();
    throw error;
  }
}

async function readyLine(order: ServeOrder, bulkhead: Bulkhead): Promise<ReadyLine> {
  const development = bulkhead.development();
  const url = urlOf(order);
  return {
    event: "ready",
    url,
    mcp: `${url}/mcp`,
    issuer: development?.issuer ?? "",
    admin: { url: `${url}/admin/v1`, token: order.operatorToken },
    console: `${url}/console/`,
    tenants: (await development?.tenants()) ?? [],
  };
}

function urlOf(order: ServeOrder): string {
  return `http://127.0.0.1:${order.port}`;
}

/** Resolves when it was sent, or cannot be. */
function report(message: ChildReport): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => resolve());
    else resolve();
  });
}

/** Written at once, so that nothing is lost however the process ends. */
function logDestination(file: string | null): LogDestination {
  if (file === null) return process.stderr;
  const fd = openSync(file, "a", 0o600);
  return {
    write: (line) => {
      try {
        writeSync(fd, line);
      } catch {
        // A full disk must not end calls.
      }
    },
  };
}
