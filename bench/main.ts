/**
 * `npm run bench [-- --only p1,p4] [--quick] [--profile folder]`: measures the figures, prints them, and, where all of
 * them were measured in full, writes bench/results.md. Traffic stays on loopback; everything that it starts it stops.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { BenchRun } from "./bench-run.ts";
import { Cleanup } from "./cleanup.ts";
import { placeOnCpus } from "./cpu-placement.ts";
import type { Figure, FigureResult } from "./figure.ts";
import { FIGURES, UNMEASURED } from "./figures.ts";
import { chooseLoadGenerator } from "./load/choose-load-generator.ts";
import { describeMachine, loadAverage } from "./machine.ts";
import { resultsPage } from "./results-page.ts";
import { compilePackage } from "./shipped-package.ts";

const FULL = { count: 3, seconds: 5, warmUpSeconds: 3 };
const QUICK = { count: 1, seconds: 1, warmUpSeconds: 1 };
const RESULTS = fileURLToPath(new URL("results.md", import.meta.url));

async function main(): Promise<number> {
  const { values: options } = parseArgs({
    options: {
      only: { type: "string" },
      quick: { type: "boolean", default: false },
      profile: { type: "string" },
    },
  });
  const figures = chosen(options.only);
  if (typeof figures === "string") {
    console.error(figures);
    return 2;
  }
  const loadBefore = loadAverage();
  const cleanup = new Cleanup();
  let stopped = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (stopped) return;
      stopped = true;
      console.error("bench: stopping");
      cleanup.run().then(() => process.exit(130));
    });
  }
  try {
    const scratch = await mkdtemp(join(tmpdir(), "bulkhead-bench-"));
    await cleanup.add(() => rm(scratch, { recursive: true, force: true }));
    const root = fileURLToPath(new URL("..", import.meta.url));
    const progress = (text: string): void => console.error(`bench: ${text}`);
    progress("compiling");
    const bench: BenchRun = {
      root,
      scratch,
      shipped: await compilePackage(root, join(scratch, "package"), cleanup),
      cpus: placeOnCpus(),
      load: chooseLoadGenerator(),
      cleanup,
      rounds: options.quick ? QUICK : FULL,
      profileTo: options.profile === undefined ? null : resolve(options.profile),
      progress,
    };
    const results: { figure: Figure; result: FigureResult }[] = [];
    for (const figure of figures) results.push({ figure, result: await figure.run(bench) });
    const page = resultsPage({
      date: new Date(),
      machine: describeMachine({
        root,
        load: bench.load.description,
        cpus: bench.cpus.description,
        loadBefore,
      }),
      how: options.quick
        ? "QUICK: one round of a second, for trying the bench; these numbers prove nothing."
        : `Medians of ${FULL.count} rounds of ${FULL.seconds} s each, after a warm-up.`,
      results,
      unmeasured: [
        ...FIGURES.filter((figure) => !figures.includes(figure)).map((figure) => figure.id),
        ...UNMEASURED,
      ],
    });
    console.log(page);
    if (options.quick || figures.length < FIGURES.length) {
      progress("results.md is left as it is: only a full run of all figures writes it");
    } else {
      await writeFile(RESULTS, page);
      progress(`written to ${RESULTS}`);
    }
    return 0;
  } catch (error) {
    // What breaks after Ctrl-C breaks because it was stopped.
    if (!stopped) console.error("bench:", error);
    return 1;
  } finally {
    await cleanup.run();
  }
}

/** The figures to measure, or what is wrong with the choice. */
function chosen(only: string | undefined): readonly Figure[] | string {
  if (only === undefined) return FIGURES;
  const wanted = only.split(",").map((id) => id.trim().toUpperCase());
  const unknown = wanted.filter((id) => !FIGURES.some((figure) => figure.id === id));
  if (unknown.length > 0)
    return `No figure ${unknown.join(", ")}. There are: ${FIGURES.map((figure) => figure.id).join(", ")}.`;
  return FIGURES.filter((figure) => wanted.includes(figure.id));
}

process.exitCode = await main();
