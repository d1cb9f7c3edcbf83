import type { BenchRun } from "./bench-run.ts";
import { type ChildProgram, startChild } from "./child-program.ts";
import { cpuSeconds } from "./cpu-time.ts";
import type { FigureTable } from "./figure.ts";
import type { HttpRequest, LoadReport } from "./load/load-generator.ts";
import { median } from "./median.ts";

/** PERFORMANCE: 16 connections, each with one request under way. */
export const CONNECTIONS = 16;

/** A server under test, or one way of using it. */
export interface ServerUnderTest {
  readonly name: string;
  readonly child: ChildProgram;
  /** `http://127.0.0.1:port`, no path. */
  readonly origin: string;
  /** Sent one after the other, again and again. */
  readonly requests: readonly HttpRequest[];
  /** Waits until the server has done what a round left it to do. */
  readonly settle?: () => Promise<void>;
  /** Whether it answers one request as it must: a number of refusals a second would be worth nothing. */
  readonly check: (request: HttpRequest) => Promise<void>;
}

interface Round extends LoadReport {
  /** CPU time of the server while the load ran, as a part of that time; null where the system does not tell. */
  readonly busy: number | null;
  /** CPU time of the server for one request in microseconds, with what it still did after the load had ended. */
  readonly cpuOfRequest: number | null;
}

export interface ServerRounds {
  readonly server: ServerUnderTest;
  readonly rounds: readonly Round[];
  /** Median of the rounds. */
  readonly perSecond: number;
}

/** Starts a server of `children/` that needs no orders. */
export async function startPlainServer(
  bench: BenchRun,
  program: string,
): Promise<{ readonly child: ChildProgram; readonly origin: string }> {
  const child = await startChild({
    file: bench.shipped.child(program),
    prefix: bench.cpus.forServer,
    cleanup: bench.cleanup,
  });
  const { port } = await child.ask<{ port: number }>({});
  return { child, origin: `http://127.0.0.1:${port}` };
}

/**
 * Warms the servers up and measures them in turn, round by round, so that a slow minute of the machine hits all of them.
 * @throws Error where a server answers wrongly, or one request of a round fails.
 */
export async function measureInTurn(
  bench: BenchRun,
  of: { readonly figure: string; readonly servers: readonly ServerUnderTest[] },
): Promise<readonly ServerRounds[]> {
  const { figure, servers } = of;
  for (const server of servers) {
    bench.progress(`${figure}: warming up ${server.name}`);
    for (const request of [server.requests[0], server.requests.at(-1)])
      if (request !== undefined) await server.check(request);
    await loadServer(bench, { server, seconds: bench.rounds.warmUpSeconds });
    await server.settle?.();
  }
  const measured = servers.map((server) => ({ server, rounds: [] as Round[] }));
  for (let turn = 1; turn <= bench.rounds.count; turn++) {
    for (const { server, rounds } of measured) {
      const round = await measure(bench, server);
      rounds.push(round);
      bench.progress(`${figure}: round ${turn}, ${server.name}: ${Math.round(round.perSecond)} a second`);
    }
  }
  return measured.map(({ server, rounds }) => ({
    server,
    rounds,
    perSecond: median(rounds.map((round) => round.perSecond)),
  }));
}

/** Puts load on one server, for as long as asked. */
export function loadServer(
  bench: BenchRun,
  of: { readonly server: ServerUnderTest; readonly seconds: number },
): Promise<LoadReport> {
  return bench.load.run({
    origin: of.server.origin,
    requests: of.server.requests,
    connections: CONNECTIONS,
    seconds: of.seconds,
    prefix: bench.cpus.forLoad,
    scratch: bench.scratch,
    cleanup: bench.cleanup,
  });
}

async function measure(bench: BenchRun, server: ServerUnderTest): Promise<Round> {
  const { seconds } = bench.rounds;
  const cpu = (): number | null => cpuSeconds(server.child.pid);
  const before = cpu();
  const report = await loadServer(bench, { server, seconds });
  const after = cpu();
  await server.settle?.();
  const settled = cpu();
  if (report.failed > 0)
    throw new Error(`${report.failed} requests to ${server.name} failed: the round counts for nothing.`);
  return {
    ...report,
    busy: before === null || after === null ? null : (after - before) / seconds,
    cpuOfRequest:
      before === null || settled === null ? null : ((settled - before) / (report.perSecond * seconds)) * 1e6,
  };
}

/** The absolute numbers; the first server is the one that the others are compared with. */
export function roundsTable(measured: readonly ServerRounds[], unit: string): FigureTable {
  const middle = (rounds: readonly Round[], of: (round: Round) => number | null): number | null => {
    const values = rounds.map(of).filter((value) => value !== null);
    return values.length === 0 ? null : median(values);
  };
  const limit = measured[0]?.perSecond ?? 0;
  return {
    columns: [
      "server",
      unit,
      "rounds",
      "of the first",
      "median, ms",
      "99 %, ms",
      "its core busy",
      "its CPU, µs each",
    ],
    rows: measured.map(({ server, rounds, perSecond }) => {
      const busy = middle(rounds, (round) => round.busy);
      return [
        server.name,
        whole(perSecond),
        rounds.map((round) => whole(round.perSecond)).join(", "),
        (perSecond / limit).toFixed(3),
        middle(rounds, (round) => round.p50Ms)?.toFixed(2) ?? "",
        middle(rounds, (round) => round.p99Ms)?.toFixed(2) ?? "",
        busy === null ? "" : `${Math.round(100 * busy)} %`,
        middle(rounds, (round) => round.cpuOfRequest)?.toFixed(0) ?? "",
      ];
    }),
  };
}

function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}
