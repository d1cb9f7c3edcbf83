import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { LoadGenerator, LoadOrder } from "./load-generator.ts";
import { runGenerator } from "./run-generator.ts";

interface AutocannonReport {
  readonly requests: { readonly total: number };
  readonly duration: number;
  readonly errors: number;
  readonly non2xx: number;
  readonly latency: { readonly p50: number; readonly p99: number };
}

export function autocannon(): LoadGenerator {
  const require = createRequire(import.meta.url);
  const program = require.resolve("autocannon");
  const { version } = require("autocannon/package.json") as { version: string };
  return {
    description: `autocannon ${version}, which itself limits: ratios to the bare server come out too high. Install wrk for true ones`,
    async run(order: LoadOrder) {
      const { origin, requests, connections, seconds, scratch } = order;
      // Its command line takes many requests only in the form of an HTTP archive.
      const file = join(scratch, `autocannon-${new URL(origin).port}.har`);
      const entries = requests.map((request) => ({
        request: {
          method: "POST",
          url: `${origin}${request.path}`,
          headers: Object.entries(request.headers).map(([name, value]) => ({ name, value })),
          postData: { mimeType: "application/json", text: request.body },
        },
      }));
      await writeFile(
        file,
        JSON.stringify({ log: { version: "1.2", creator: { name: "bench", version: "1" }, entries } }),
      );
      const command = [
        process.execPath,
        program,
        ...["--json", "--no-progress", "--connections", String(connections), "--duration", String(seconds)],
        ...["--har", file, origin],
      ];
      const report = (await runGenerator(command, order)) as AutocannonReport;
      return {
        perSecond: report.requests.total / report.duration,
        p50Ms: report.latency.p50,
        p99Ms: report.latency.p99,
        failed: report.errors + report.non2xx,
      };
    },
  };
}
