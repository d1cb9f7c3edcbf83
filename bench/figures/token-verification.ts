import { TOKEN_CACHE } from "../../src/authentication.ts";
import { auditWritten } from "../audit-rows.ts";
import type { BenchRun } from "../bench-run.ts";
import { startBulkheadWithTenants } from "../bulkhead-with-tenants.ts";
import { startChild } from "../child-program.ts";
import type {
  SignatureAlgorithm,
  VerifierOrder,
  VerifierReport,
  WayToVerify,
} from "../children/token-verifier.ts";
import { aim, type Figure, type FigureLine, type FigureResult } from "../figure.ts";
import { median } from "../median.ts";
import { CONNECTIONS, measureInTurn, roundsTable, type ServerUnderTest } from "../server-rounds.ts";
import { checkAnswer, toolCallRequest } from "../tool-call-request.ts";

const ALGORITHMS: readonly SignatureAlgorithm[] = ["ES256", "RS256"];
const WAYS: readonly (readonly [WayToVerify, string])[] = [
  ["bare", "the signature alone (crypto.verify)"],
  ["first", "a token's first verification"],
  ["cached", "a cached one"],
];
/** Longest measurement of one way, in seconds: it makes tens of thousands of verifications in one. */
const MOST_SECONDS = 2;
/**
 * Sent in turn, so that each is forgotten before it comes again: an instance remembers fewer, and the one used longest ago
 * goes first.
 */
const NEW_TOKENS = TOKEN_CACHE + 5_000;

/** What it costs to know a caller by a token, the first time and again. */
export const tokenVerification: Figure = {
  id: "IDENTITY",
  title: "token verification",
  about:
    "The first verification of an access token and a cached one, beside the bare signature; and calls with one token, beside calls with a new token each.",
  async run(bench) {
    const inProcess = await measureVerifier(bench);
    const overHttp = await measureCalls(bench);
    return {
      lines: [...inProcess.lines, ...overHttp.lines],
      tables: [...inProcess.tables, ...overHttp.tables],
      notes: [...inProcess.notes, ...overHttp.notes],
    };
  },
};

/** In a process that does nothing else. */
async function measureVerifier(bench: BenchRun): Promise<FigureResult> {
  bench.progress("IDENTITY: signing tokens");
  const child = await startChild({
    file: bench.shipped.child("token-verifier"),
    prefix: bench.cpus.forServer,
    cleanup: bench.cleanup,
  });
  const ask = <Answer>(order: VerifierOrder): Promise<Answer> => child.ask<Answer>(order);
  const all = ALGORITHMS.flatMap((algorithm) =>
    WAYS.map(([way, name]) => ({ algorithm, way, name, reports: [] as VerifierReport[] })),
  );
  for (const algorithm of ALGORITHMS) await ask({ do: "prepare", algorithm });
  for (const { algorithm, way } of all) await ask({ do: "verify", algorithm, way, seconds: 0.3 });
  const seconds = Math.min(bench.rounds.seconds, MOST_SECONDS);
  for (let round = 1; round <= bench.rounds.count; round++) {
    for (const { algorithm, way, name, reports } of all) {
      const report = await ask<VerifierReport>({ do: "verify", algorithm, way, seconds });
      reports.push(report);
      bench.progress(`IDENTITY: round ${round}, ${algorithm}, ${name}: ${report.each.toFixed(1)} µs`);
    }
  }
  await child.stop();

  const cpu = (algorithm: SignatureAlgorithm, way: WayToVerify): number =>
    median(
      all.flatMap((one) =>
        one.algorithm === algorithm && one.way === way ? one.reports.map((report) => report.cpuOfEach) : [],
      ),
    );
  return {
    lines: ALGORITHMS.flatMap((algorithm): FigureLine[] => [
      aim(`${algorithm}: a first verification costs, times the bare signature`, {
        measured: cpu(algorithm, "first") / cpu(algorithm, "bare"),
      }),
      aim(`${algorithm}: a first verification costs, times a cached one`, {
        measured: cpu(algorithm, "first") / cpu(algorithm, "cached"),
        digits: 0,
      }),
    ]),
    tables: [
      {
        columns: ["verified", "µs each", "rounds", "CPU, µs each", "of the bare signature"],
        rows: all.map(({ algorithm, way, name, reports }) => [
          `${algorithm}: ${name}`,
          median(reports.map((report) => report.each)).toFixed(1),
          reports.map((report) => report.each.toFixed(1)).join(", "),
          cpu(algorithm, way).toFixed(1),
          (cpu(algorithm, way) / cpu(algorithm, "bare")).toFixed(3),
        ]),
      },
    ],
    notes: [
      `The verifier that is shipped, alone in a process: ${seconds} s for each line and round, one verification after the other, over 2,000 different tokens (RFC 9068) of one issuer whose keys are known. RS256 with 2,048 bits.`,
      "A first verification reads the token, checks its header and claims, finds the key, verifies the signature on a thread of Node's pool, and remembers the outcome. A cached one hashes the token and looks the outcome up.",
      "These ratios are of CPU time, all threads together: it is steadier than the clock on a machine that is not quiet.",
    ],
  };
}

/** Through everything. */
async function measureCalls(bench: BenchRun): Promise<FigureResult> {
  bench.progress(`IDENTITY: starting PostgreSQL and a server, and signing ${NEW_TOKENS} tokens`);
  const bulkhead = await startBulkheadWithTenants(bench, { name: "token-verification", tenants: 1 });
  const { child, origin, database } = bulkhead;
  const [tenant] = bulkhead.tenants;
  if (tenant === undefined) throw new TypeError("There is no tenant.");
  const requestOf = (token: string): ReturnType<typeof toolCallRequest> =>
    toolCallRequest({ path: tenant.path, token, id: 1, name: tenant.slug });
  const fresh: string[] = [];
  while (fresh.length < NEW_TOKENS) fresh.push(await bulkhead.newToken(tenant));
  const calls = (name: string, tokens: readonly string[]): ServerUnderTest => ({
    name,
    child,
    origin,
    requests: tokens.map(requestOf),
    settle: () => auditWritten(database),
    check: (request) => checkAnswer(name, origin, request),
  });
  const repeated = calls("one token for all calls", [tenant.token]);
  const renewed = calls("a new token for each call", fresh);
  const measured = await measureInTurn(bench, { figure: "IDENTITY", servers: [repeated, renewed] });
  await bulkhead.stop();

  const speed = (of: ServerUnderTest): number =>
    measured.find(({ server }) => server === of)?.perSecond ?? Number.NaN;
  return {
    lines: [
      aim("tools/call with a new token each, of the calls/s with one token", {
        measured: speed(renewed) / speed(repeated),
      }),
    ],
    tables: [roundsTable(measured, "calls/s")],
    notes: [
      `Calls of one tenant on one server, as in P1: ${CONNECTIONS} connections, one call under way on each, everything on. A new token means one of ${NEW_TOKENS.toLocaleString("en")} in turn, of which an instance remembers the last ${TOKEN_CACHE.toLocaleString("en")}: each has been forgotten when it comes again.`,
    ],
  };
}
