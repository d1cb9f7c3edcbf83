import { spawn } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { openClusterPlace } from "../../src/data/embedded/cluster-place.ts";
import type { BenchRun } from "../bench-run.ts";
import { aim, type Figure, type FigureLine } from "../figure.ts";
import { median } from "../median.ts";
import { processTree } from "../process-memory.ts";

const READY_MS = 60_000;
const STOP_MS = 30_000;
/** How long the server is left alone before its memory is read, in milliseconds. */
const IDLE_MS = 3_000;

/** A way to start `bulkhead dev`. */
interface Way {
  readonly name: string;
  readonly cwd: string;
  readonly args: readonly string[];
}

interface Start {
  readonly readySeconds: number;
  readonly memory: Memory | null;
}

/** In megabytes of 1,000,000 bytes. */
interface Memory {
  readonly serving: number;
  readonly supervisor: number;
  readonly postgres: number;
  /** Whatever else runs below the supervisor. */
  readonly others: number;
}

/** P9: how long a developer waits, and what stays in memory. */
export const devStart: Figure = {
  id: "P9",
  title: "bulkhead dev",
  about:
    "How long `bulkhead dev examples/helpdesk/server.ts` takes until it is ready, and what it holds while nobody calls.",
  async run(bench) {
    const ways: readonly Way[] = [
      { name: "as published", cwd: bench.shipped.directory, args: [bench.shipped.command] },
      {
        name: "from a checkout (npm start)",
        cwd: bench.root,
        args: ["--conditions=bulkhead-source", "--import", "tsx", "src/cli/main.ts"],
      },
    ];
    const lines: FigureLine[] = [];
    const rows: string[][] = [];
    for (const way of ways) {
      const fresh: Start[] = [];
      const again: Start[] = [];
      for (let round = 1; round <= bench.rounds.count; round++) {
        const dataDir = join(bench.scratch, `dev-${ways.indexOf(way)}-${round}`);
        await mkdir(dataDir);
        const remove = await bench.cleanup.add(() => removeDataDir(dataDir));
        fresh.push(await start(bench, way, { dataDir, idleMs: 0 }));
        again.push(await start(bench, way, { dataDir, idleMs: IDLE_MS }));
        await remove();
        bench.progress(
          `P9: round ${round}, ${way.name}: ready after ${fresh.at(-1)?.readySeconds.toFixed(2)} s, again ${again.at(-1)?.readySeconds.toFixed(2)} s`,
        );
      }
      const seconds = (starts: readonly Start[]): number => median(starts.map((one) => one.readySeconds));
      const memories = again.flatMap((one) => (one.memory === null ? [] : [one.memory]));
      lines.push(
        aim(`${way.name}: ready on a fresh data directory`, {
          measured: seconds(fresh),
          atMost: 5,
          digits: 1,
          unit: "s",
        }),
        aim(`${way.name}: ready again`, { measured: seconds(again), atMost: 2, digits: 1, unit: "s" }),
        memories.length === 0
          ? {
              what: `${way.name}: memory of the idle serving process`,
              reach: "<= 200 MB",
              measured: "only on Linux",
              verdict: "not_there",
            }
          : aim(`${way.name}: memory of the idle serving process`, {
              measured: median(memories.map((memory) => memory.serving)),
              atMost: 200,
              digits: 0,
              unit: "MB",
            }),
      );
      const megabytes = (of: (memory: Memory) => number): string =>
        memories.length === 0 ? "not measured" : `${median(memories.map(of)).toFixed(0)} MB`;
      rows.push([
        way.name,
        fresh.map((one) => one.readySeconds.toFixed(2)).join(", "),
        again.map((one) => one.readySeconds.toFixed(2)).join(", "),
        megabytes((memory) => memory.serving),
        megabytes((memory) => memory.supervisor),
        megabytes((memory) => memory.postgres),
        megabytes((memory) => memory.others),
      ]);
    }
    return {
      lines,
      tables: [
        {
          columns: [
            "started",
            "fresh, s",
            "again, s",
            "serving process",
            "supervisor",
            "PostgreSQL",
            "other processes",
          ],
          rows,
        },
      ],
      notes: [
        "From the start of the command to its ready line, with --json. As published: compiled, by node dist/cli/main.js; from a checkout: with tsx, which keeps what it has translated in the system's temporary folder.",
        `Memory is read ${IDLE_MS / 1000} s after the ready line of the second start, before any request: resident for the processes of Node, proportional (shared pages counted once) for PostgreSQL's together. A megabyte is 1,000,000 bytes.`,
        "Nothing is bound to a core here. PostgreSQL's binaries are on the machine already: as root the first start of all copies them once.",
      ],
    };
  },
};

async function removeDataDir(dataDir: string): Promise<void> {
  // As root the cluster lies elsewhere.
  await (await openClusterPlace(dataDir, process.getuid?.())).remove();
  await rm(dataDir, { recursive: true, force: true });
}

/** Starts it, waits until it is ready and as long as asked, and stops it. */
async function start(
  bench: BenchRun,
  way: Way,
  how: { readonly dataDir: string; readonly idleMs: number },
): Promise<Start> {
  const began = performance.now();
  const child = spawn(
    process.execPath,
    [...way.args, "dev", "examples/helpdesk/server.ts", "--json", "--port", "0", "--data-dir", how.dataDir],
    { cwd: way.cwd, stdio: ["ignore", "pipe", "pipe"] },
  );
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    // The log has a line for each event: the last of it is enough to say why a start failed.
    errors = (errors + chunk.toString()).slice(-4_000);
  });
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  const stop = await bench.cleanup.add(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    // It stops PostgreSQL and its child before it ends; killed, it would leave them.
    const inTime = await Promise.race([ended.then(() => true), delay(STOP_MS, false, { ref: false })]);
    if (!inTime) child.kill("SIGKILL");
  });
  try {
    const ready = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), READY_MS);
      createInterface({ input: child.stdout }).once("line", (line) => {
        clearTimeout(timer);
        resolve(line.startsWith('{"event":"ready"'));
      });
      ended.then(() => resolve(false));
    });
    const readySeconds = (performance.now() - began) / 1000;
    if (!ready) throw new Error(`bulkhead dev (${way.name}) did not become ready:\n${errors}`);
    if (how.idleMs === 0 || child.pid === undefined) return { readySeconds, memory: null };
    await delay(how.idleMs);
    return { readySeconds, memory: await memoryOf(child.pid) };
  } finally {
    await stop();
  }
}

async function memoryOf(supervisor: number): Promise<Memory | null> {
  const tree = await processTree(supervisor);
  if (tree === null) return null;
  const sums = { serving: 0, supervisor: 0, postgres: 0, others: 0 };
  for (const found of tree) {
    const part =
      found.pid === supervisor
        ? "supervisor"
        : / dev-child$/.test(found.command)
          ? "serving"
          : /(^|\/)postgres[: ]/.test(found.command)
            ? "postgres"
            : "others";
    sums[part] += part === "postgres" ? (found.proportionalMb ?? found.residentMb) : found.residentMb;
  }
  return sums;
}
