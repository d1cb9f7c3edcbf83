import { createWriteStream } from "node:fs";
import { createBulkhead, type LogDestination } from "../server.ts";
import type { ChildReport, ReadyLine, ServeOrder } from "./dev-messages.ts";
import { loadServerModule } from "./load-server-module.ts";
import { toReport } from "./report-error.ts";
import { onStopSignal } from "./stop-signals.ts";

/** The serving half of `bulkhead dev`: does what its supervisor orders, and goes when the supervisor is gone. */
export async function devChild(): Promise<void> {
  const order = await new Promise<ServeOrder>((resolve) => process.once("message", (message) => resolve(message as ServeOrder)));
  const report = (message: ChildReport): void => void process.send?.(message);
  try {
    const server = await loadServerModule(order.module);
    const url = `http://127.0.0.1:${order.port}`;
    const bulkhead = createBulkhead({
      server,
      databaseUrl: order.databaseUrl,
      publicUrl: url,
      operatorToken: order.operatorToken,
      mode: "development",
      migrate: true,
      soleInstance: true,
      log: logDestination(order.logFile),
      drainMs: 5_000,
    });
    let stopping: Promise<void> | null = null;
    const stop = (): void => {
      stopping ??= bulkhead.close().finally(() => process.exit(0));
    };
    onStopSignal(stop);
    process.once("disconnect", stop);
    process.on("message", (message) => {
      if ((message as { type?: unknown }).type === "stop") stop();
    });
    try {
      await bulkhead.listen(order.port);
    } catch (error) {
      await bulkhead.close();
      throw error;
    }
    const development = bulkhead.development();
    const line: ReadyLine = {
      event: "ready",
      url,
      mcp: `${url}/mcp`,
      issuer: development?.issuer ?? "",
      admin: { url: `${url}/admin/v1`, token: order.operatorToken },
      console: `${url}/console/`,
      tenants: (await development?.tenants()) ?? [],
    };
    report({ type: "ready", line });
  } catch (error) {
    report({ type: "failed", error: toReport(error) });
    process.disconnect?.();
    process.exitCode = 1;
  }
}

function logDestination(file: string | null): LogDestination {
  return file === null ? process.stderr : createWriteStream(file, { flags: "a", mode: 0o600 });
}
