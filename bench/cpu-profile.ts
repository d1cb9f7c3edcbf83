import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { BenchRun } from "./bench-run.ts";
import type { ChildProgram } from "./child-program.ts";
import type { BulkheadOrder } from "./children/bulkhead-server.ts";

/** With `--profile`: a CPU profile of Bulkhead during one more load, whose number counts for nothing. */
export async function profileBulkhead(
  bench: BenchRun,
  of: {
    readonly figure: string;
    readonly child: ChildProgram;
    readonly load: () => Promise<{ readonly perSecond: number }>;
  },
): Promise<void> {
  if (bench.profileTo === null) return;
  bench.progress(`${of.figure}: one more round with the profiler on`);
  await mkdir(bench.profileTo, { recursive: true });
  const start: BulkheadOrder = { do: "profile" };
  await of.child.ask(start);
  const { perSecond } = await of.load();
  const write: BulkheadOrder = {
    do: "write profile",
    file: join(bench.profileTo, `${of.figure}.cpuprofile`),
  };
  await of.child.ask(write);
  bench.progress(`${of.figure}: ${write.file} was taken at ${Math.round(perSecond)} a second`);
}
