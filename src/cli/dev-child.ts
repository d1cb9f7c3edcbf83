import { openSync, writeSync } from "node:fs";
import { Fault } from "../core/fault.ts";
import { type Bulkhead, createBulkhead, type LogDestination } from "../server.ts";
import type { ChildReport, ReadyLine, ServeOrder, StopOrder } from "./dev-messages.ts";
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
  let bulkhead: Bulkhead | null = null;
  try {
    bulkhead = await start(order);
    await report({ type: "ready", line: await readyLine(order, bulkhead) });
    await stopped;
    return 0;
  } catch (error) {
    await report({ type: "failed", error: toReport(error) });
    return 1;
  } finally {
    await bulkhead?.close();
  }
}
