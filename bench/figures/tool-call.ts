import { closeSync, openSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type BenchDatabase, type BenchTenant, startBenchDatabase } from "../bench-database.ts";
import { type BenchIssuer, startBenchIssuer } from "../bench-issuer.ts";
import type { BenchRun } from "../bench-run.ts";
import { type ChildProgram, startChild } from "../child-program.ts";
import type { BulkheadOrder } from "../children/bulkhead-server.ts";
import { aim, type Figure, type FigureLine } from "../figure.ts";
import { freePort } from "../free-port.ts";
import type { HttpRequest, LoadReport } from "../load/load-generator.ts";
import { median } from "../median.ts";
import {
  checkAnswer,
  initializeRequest,
  PERMISSION,
  sendOnce,
  toolCallRequest,
} from "../tool-call-request.ts";

const TENANTS = 1_000;
const CONNECTIONS = 16;

/** A server under test. */
interface Target {
  readonly name: string;
  readonly origin: string;
  readonly reports: LoadReport[];
  /** Waits until the server has done what a round left it to do. */
  settle(): Promise<void>;
}

/** P1: a call of a one-line tool through everything, beside a server that does nothing else and the official SDK's. */
export const toolCall: Figure = {
  id: "P1",
  title: `tools/call through everything, 50 tools, ${TENANTS.toLocaleString("en")} tenants`,
  async run(bench) {
    bench.progress("P1: starting PostgreSQL, three servers, and making tenants");
    const database = await startBenchDatabase(bench, "tool-call");
    const issuer = await startBenchIssuer(bench.cleanup);
    const ours = await startBulkhead(bench, database);
    const bare = await startPlain(bench, "bare-server");
    const official = await startPlain(bench, "official-server");
    const requests = await requestsOfTenants(await addTenants(database, issuer), {
      issuer,
      origin: ours.origin,
    });
    await seen(ours.origin, requests);

    const settle = (): Promise<void> => auditWritten(database);
    const nothing = async (): Promise<void> => {};
    const targets: readonly [Target, Target, Target] = [
      { name: "bare node:http", origin: bare.origin, reports: [], settle: nothing },
      { name: "Bulkhead", origin: ours.origin, reports: [], settle },
      {
        name: "official SDK, one tool, no authentication",
        origin: official.origin,
        reports: [],
        settle: nothing,
      },
    ];
    const load = (target: Target, seconds: number): Promise<LoadReport> =>
      bench.load.run({
        origin: target.origin,
        requests,
        connections: CONNECTIONS,
        seconds,
        prefix: bench.cpus.forOthers,
        scratch: bench.scratch,
      });
    for (const target of targets) {
      bench.progress(`P1: warming up ${target.name}`);
      for (const request of [requests[0], requests.at(-1)]) {
        if (request !== undefined) await checkAnswer(target.name, target.origin, request);
      }
      await load(target, bench.rounds.warmUpSeconds);
      await target.settle();
    }
    // In turn, so that a slow minute of the machine hits all three.
    for (let round = 1; round <= bench.rounds.count; round++) {
      for (const target of targets) {
        const report = await load(target, bench.rounds.seconds);
        if (report.failed > 0)
          throw new Error(`${report.failed} calls of ${target.name} failed: the round counts for nothing.`);
        target.reports.push(report);
        bench.progress(`P1: round ${round}, ${target.name}: ${Math.round(report.callsPerSecond)} calls/s`);
        await target.settle();
      }
    }
    const audit = await compareAudit(database, ours.origin);
    const previous = await previousGeneration(ours.origin, requests);
    if (bench.profileTo !== null)
      await profile(bench, ours.child, () => load(targets[1], bench.rounds.seconds));
    for (const child of [ours.child, bare.child, official.child]) await child.stop();
    await database.stop();

    const [bareSpeed, oursSpeed, officialSpeed] = targets.map(speed) as [number, number, number];
    return {
      lines: [
        aim("revision 2026-07-28, of the bare server", { measured: oursSpeed / bareSpeed, atLeast: 0.6 }),
        aim("revision 2026-07-28, times the official SDK's server", {
          measured: oursSpeed / officialSpeed,
          atLeast: 8,
          digits: 1,
        }),
        { ...previous, what: "previous generation, of the bare server", reach: ">= 0.60" },
        { ...previous, what: "previous generation, times the official SDK's server", reach: ">= 8.0" },
        audit,
      ],
      tables: [
        {
          columns: ["server", "calls/s", "rounds", "of the bare server", "median, ms", "99th percentile, ms"],
          rows: targets.map((target) => [
            target.name,
            count(speed(target)),
            target.reports.map((report) => count(report.callsPerSecond)).join(", "),
            (speed(target) / bareSpeed).toFixed(3),
            median(target.reports.map((report) => report.p50Ms)).toFixed(2),
            median(target.reports.map((report) => report.p99Ms)).toFixed(2),
          ]),
        },
      ],
      notes: [
        `Calls go to ${TENANTS.toLocaleString("en")} tenants in turn, each by its own URL and with a token of its own (ES256, RFC 9068, one broker issuer): ${CONNECTIONS} connections, one call under way on each. The three servers are sent the same bytes, but for their ports.`,
        "All is on: token, tenant, rate and concurrency limits (set higher than the load), validation by zod, one audit row for each call in PostgreSQL, metrics with a label for each tenant, and a log line for each call, written to a file.",
        "The server runs in development mode, since the bench's issuer publishes its keys over http; on the path of a request the modes do not differ. It is compiled JavaScript, as it is published.",
        "A round in which one call fails stops the bench. Rounds of the three servers take turns; the next begins when the audit rows of the one before are written. PostgreSQL writes them while the load runs, on the load generator's core.",
      ],
    };
  },
};

const speed = (target: Target): number => median(target.reports.map((report) => report.callsPerSecond));
const count = (value: number): string => Math.round(value).toLocaleString("en");

async function startBulkhead(
  bench: BenchRun,
  database: BenchDatabase,
): Promise<{ child: ChildProgram; origin: string }> {
  const log = openSync(join(bench.scratch, "bulkhead.log"), "a", 0o600);
  try {
    const child = await startChild({
      file: bench.shipped.child("bulkhead-server"),
      prefix: bench.cpus.forServer,
      stderr: log,
      cleanup: bench.cleanup,
    });
    const order: BulkheadOrder = { do: "serve", databaseUrl: database.url, port: await freePort() };
    await child.ask(order);
    return { child, origin: `http://127.0.0.1:${order.port}` };
  } finally {
    closeSync(log);
  }
}

async function startPlain(bench: BenchRun, name: string): Promise<{ child: ChildProgram; origin: string }> {
  const child = await startChild({
    file: bench.shipped.child(name),
    prefix: bench.cpus.forServer,
    cleanup: bench.cleanup,
  });
  const { port } = await child.ask<{ port: number }>({});
  return { child, origin: `http://127.0.0.1:${port}` };
}

/** Only once the server runs: starting in development mode it would make an issuer for each of them. */
async function addTenants(database: BenchDatabase, issuer: BenchIssuer): Promise<readonly BenchTenant[]> {
  const tenants = await database.addTenants(TENANTS);
  await database.admin(
    `WITH broker AS (
       INSERT INTO bulkhead.issuers (id, issuer, jwks_uri, tenant_claim, algorithms, development)
       VALUES ('iss_' || repeat('0', 26), $1, $2, 'tenant_id', '{ES256}', true) RETURNING id)
     INSERT INTO bulkhead.broker_tenants (issuer_id, claim_value, tenant_id)
     SELECT broker.id, tenant, tenant FROM broker, unnest($3::text[]) AS t (tenant)`,
    [issuer.issuer, issuer.jwksUri, tenants.map((tenant) => tenant.id)],
  );
  return tenants;
}

function requestsOfTenants(
  tenants: readonly BenchTenant[],
  from: { readonly issuer: BenchIssuer; readonly origin: string },
): Promise<HttpRequest[]> {
  return Promise.all(
    tenants.map(async (tenant, i) => {
      const path = `/t/${tenant.slug}/mcp`;
      const token = await from.issuer.sign({
        tenant: tenant.id,
        audience: `${from.origin}${path}`,
        scope: PERMISSION,
      });
      return toolCallRequest({ path, token, id: i + 1, name: tenant.slug });
    }),
  );
}

/** Waits until the server knows the tenants that were added behind its back. */
async function seen(origin: string, requests: readonly HttpRequest[]): Promise<void> {
  const last = requests.at(-1);
  for (let tries = 0; last !== undefined && tries < 50; tries++) {
    if ((await sendOnce(origin, last)).status === 200) return;
    await delay(200);
  }
}

/** Waits until no more audit rows come. */
async function auditWritten(database: BenchDatabase): Promise<void> {
  let before = -1;
  for (let tries = 0; tries < 60; tries++) {
    const rows = await auditRows(database);
    if (rows === before) return;
    before = rows;
    await delay(500);
  }
}

async function auditRows(database: BenchDatabase): Promise<number> {
  const [row] = await database.admin<{ n: string }>(
    "SELECT count(*) AS n FROM bulkhead.audit_entries WHERE kind = 'outcome'",
  );
  return Number(row?.n ?? 0);
}

/** A fast server that loses its audit rows would be no server: how many of the calls that it counted have one? */
async function compareAudit(database: BenchDatabase, origin: string): Promise<FigureLine> {
  const text = await (await fetch(`${origin}/metrics`)).text();
  let operations = 0;
  for (const match of text.matchAll(/^bulkhead_operations_total\{.*\} (\d+)$/gm))
    operations += Number(match[1]);
  const rows = await auditRows(database);
  return {
    what: "audit rows in the database, of the calls that its metrics count",
    reach: "all",
    measured: `${count(rows)} of ${count(operations)}`,
    verdict: rows === operations ? "reached" : "missed",
  };
}

async function previousGeneration(
  origin: string,
  requests: readonly HttpRequest[],
): Promise<{ measured: string; verdict: FigureLine["verdict"] }> {
  const first = requests[0];
  if (first === undefined) throw new TypeError("There are no tenants.");
  const token = (first.headers.authorization ?? "").slice("Bearer ".length);
  const { status } = await sendOnce(origin, initializeRequest({ path: first.path, token }));
  const measured = status === 200 ? "served, but not measured yet" : "not there yet";
  return { measured, verdict: "not_there" };
}

async function profile(bench: BenchRun, child: ChildProgram, load: () => Promise<LoadReport>): Promise<void> {
  if (bench.profileTo === null) return;
  bench.progress("P1: one more round with the profiler on");
  await mkdir(bench.profileTo, { recursive: true });
  const order: BulkheadOrder = { do: "profile" };
  await child.ask(order);
  const report = await load();
  const write: BulkheadOrder = { do: "write profile", file: join(bench.profileTo, "P1-bulkhead.cpuprofile") };
  await child.ask(write);
  bench.progress(`P1: ${write.file}, taken at ${count(report.callsPerSecond)} calls/s`);
}
