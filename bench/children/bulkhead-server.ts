/** Bulkhead with everything on, as `bulkhead serve` runs it; log lines go to standard error, which is a file. */
import { writeFile } from "node:fs/promises";
import { Session } from "node:inspector/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Bulkhead, createBulkhead } from "../../src/server.ts";
import { answerOrders } from "./answer-orders.ts";
import { fiftyTools } from "./fifty-tools.ts";

export type BulkheadOrder =
  | {
      readonly do: "serve";
      readonly databaseUrl: string;
      readonly port: number;
      readonly operatorToken?: string;
    }
  /** What is held after everything that nobody needs was let go of. */
  | { readonly do: "memory" }
  | { readonly do: "announce"; readonly tenant: string }
  | { readonly do: "profile" }
  | { readonly do: "write profile"; readonly file: string };

let bulkhead: Bulkhead | null = null;
let profiler: Session | null = null;

answerOrders<BulkheadOrder>({
  async answer(order) {
    switch (order.do) {
      case "serve":
        bulkhead = createBulkhead({
          server: fiftyTools,
          databaseUrl: order.databaseUrl,
          publicUrl: `http://127.0.0.1:${order.port}`,
          // For an issuer that publishes its keys over http on this machine, which production refuses.
          mode: "development",
          migrate: true,
          soleInstance: true,
          ...(order.operatorToken === undefined ? {} : { operatorToken: order.operatorToken }),
        });
        return { port: await bulkhead.listen(order.port) };
      case "memory": {
        setFlagsFromString("--expose_gc");
        const collect: unknown = runInNewContext("gc");
        if (typeof collect === "function") for (let i = 0; i < 3; i++) collect();
        return process.memoryUsage();
      }
      case "announce":
        await bulkhead?.announce(order.tenant, "tools");
        return null;
      case "profile":
        profiler = new Session();
        profiler.connect();
        await profiler.post("Profiler.enable");
        await profiler.post("Profiler.setSamplingInterval", { interval: 200 });
        await profiler.post("Profiler.start");
        return null;
      case "write profile": {
        const made = await profiler?.post("Profiler.stop");
        profiler?.disconnect();
        await writeFile(order.file, JSON.stringify(made?.profile));
        return null;
      }
    }
  },
  close: async () => bulkhead?.close(),
});
