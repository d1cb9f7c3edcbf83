import { execFileSync, spawnSync } from "node:child_process";

/** Which processes run on which core, where the system can be told. */
export interface CpuPlacement {
  /** What to put before a command line so that it runs on the core of the server under test. */
  readonly forServer: readonly string[];
  /** The same for the core of everything else: load generator, database. */
  readonly forOthers: readonly string[];
  /**
   * The same for a load generator, which goes before everything else on that core: while it waited for the database to
   * leave it the core, it would offer no load.
   */
  readonly forLoad: readonly string[];
  /** Moves a process that is already running, and those that it starts from now on, to the core of everything else. */
  moveToOthers(pid: number): void;
  /** For the page. */
  readonly description: string;
}

/** Runs the rest of its arguments before all programs that are not of this kind; for administrators alone. */
const FIRST = ["chrt", "--fifo", "1"] as const;

export function placeOnCpus(): CpuPlacement {
  const cpus = allowedCpus();
  const [server, others] = cpus;
  const goesFirst = spawnSync(FIRST[0], [...FIRST.slice(1), "true"], { stdio: "ignore" }).status === 0;
  if (server === undefined || others === undefined) {
    return {
      forServer: [],
      forOthers: [],
      forLoad: [],
      moveToOthers: () => {},
      description: "no process is bound to a core (no taskset, or one core only)",
    };
  }
  return {
    forServer: ["taskset", "-c", server],
    forOthers: ["taskset", "-c", others],
    forLoad: ["taskset", "-c", others, ...(goesFirst ? FIRST : [])],
    moveToOthers: (pid) => {
      execFileSync("taskset", ["-a", "-cp", others, String(pid)], { stdio: "ignore" });
    },
    description: `the server under test is bound to core ${server}; load generator and PostgreSQL share core ${others}, ${
      goesFirst
        ? "where the generator goes first (SCHED_FIFO)"
        : "and the generator waits for its turn there (no right to SCHED_FIFO)"
    }`,
  };
}

function allowedCpus(): string[] {
  let text: string;
  try {
    text = execFileSync("taskset", ["-cp", String(process.pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch {
    return [];
  }
  return (text.split(":").pop() ?? "")
    .trim()
    .split(",")
    .flatMap((range) => {
      const [first, last = first] = range.split("-").map(Number);
      if (first === undefined || last === undefined || !Number.isInteger(first) || !Number.isInteger(last))
        return [];
      return Array.from({ length: last - first + 1 }, (_, i) => String(first + i));
    });
}
