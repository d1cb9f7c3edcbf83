import { auditRows, auditWritten } from "../audit-rows.ts";
import { type BulkheadWithTenants, startBulkheadWithTenants } from "../bulkhead-with-tenants.ts";
import { profileBulkhead } from "../cpu-profile.ts";
import { aim, type Figure, type FigureLine } from "../figure.ts";
import type { HttpRequest } from "../load/load-generator.ts";
import {
  CONNECTIONS,
  loadServer,
  measureInTurn,
  roundsTable,
  type ServerUnderTest,
  startPlainServer,
} from "../server-rounds.ts";
import { checkAnswer, earlierCallRequest, openSession, toolCallRequest } from "../tool-call-request.ts";

const TENANTS = 1_000;

/** P1: a call of a one-line tool through everything, beside a server that does nothing else and the official SDK's. */
export const toolCall: Figure = {
  id: "P1",
  title: "tools/call",
  about: `Calls of a one-line read-only tool through everything, 50 tools and ${TENANTS.toLocaleString("en")} tenants, beside a bare server and the official SDK's.`,
  async run(bench) {
    bench.progress("P1: starting PostgreSQL, three servers, and making tenants");
    const bulkhead = await startBulkheadWithTenants(bench, { name: "tool-call", tenants: TENANTS });
    const requests = bulkhead.tenants.map(({ path, token, slug }, i) =>
      toolCallRequest({ path, token, id: i + 1, name: slug }),
    );
    const under = (name: string, started: Pick<ServerUnderTest, "child" | "origin">): ServerUnderTest => ({
      name,
      child: started.child,
      origin: started.origin,
      requests,
      check: (request) => checkAnswer(name, started.origin, request),
    });
    const bare = under("bare node:http", await startPlainServer(bench, "bare-server"));
    const ours = { ...under("Bulkhead", bulkhead), settle: () => auditWritten(bulkhead.database) };
    const official = under(
      "official SDK: one tool, no authentication",
      await startPlainServer(bench, "official-server"),
    );
    const earlierRequests = await inSessions(bulkhead);
    const earlier = { ...ours, name: "Bulkhead, 2025-11-25 in sessions", requests: earlierRequests };
    const earlierBare = { ...bare, name: "bare node:http, sent the same", requests: earlierRequests };
    const measured = await measureInTurn(bench, {
      figure: "P1",
      servers: [bare, ours, official, earlierBare, earlier],
    });
    const audit = await compareAudit(bulkhead);
    await profileBulkhead(bench, {
      figure: "P1",
      child: bulkhead.child,
      load: () => loadServer(bench, { server: ours, seconds: bench.rounds.seconds }),
    });
    for (const server of [bare, official]) await server.child.stop();
    await bulkhead.stop();

    const speed = (of: ServerUnderTest): number =>
      measured.find(({ server }) => server === of)?.perSecond ?? Number.NaN;
    return {
      lines: [
        aim("2026-07-28, of the bare server", { measured: speed(ours) / speed(bare), atLeast: 0.6 }),
        aim("2026-07-28, times the official SDK's server", {
          measured: speed(ours) / speed(official),
          atLeast: 8,
          digits: 1,
        }),
        aim("2025-11-25, of the bare server", {
          measured: speed(earlier) / speed(earlierBare),
          atLeast: 0.6,
        }),
        aim("2025-11-25, times the official SDK's server", {
          measured: speed(earlier) / speed(official),
          atLeast: 8,
          digits: 1,
        }),
        audit,
      ],
      tables: [roundsTable(measured, "calls/s")],
      notes: [
        `Calls go to all ${TENANTS.toLocaleString("en")} tenants in turn, each by its own URL and with a token of its own (ES256, RFC 9068, one broker issuer): ${CONNECTIONS} connections, one call under way on each. The servers compared are sent the same bytes, but for their ports.`,
        "All is on: token, tenant, rate and concurrency limits (set higher than the load), validation by zod, one audit row for each call in PostgreSQL, metrics with a label for each tenant, and a log line for each call, written to a file.",
        "The server runs in development mode, since the bench's issuer publishes its keys over http; on the path of a request the modes do not differ. It is compiled JavaScript, as it is published.",
        "A round in which one call fails stops the bench. The servers take turns; the next begins when the audit rows of the one before are written. PostgreSQL writes them on the load generator's core, while the load runs and after it.",
        "A core that is not busy to the full waited: for the load generator, or for other work on the machine. CPU time for each call counts all threads and what was done after the round, and is steadier than calls/s on a machine that is not quiet.",
      ],
    };
  },
};

/** A server that is fast because it loses audit rows would be no server: how many of the calls it counted have one? */
async function compareAudit({ database, origin }: BulkheadWithTenants): Promise<FigureLine> {
  const text = await (await fetch(`${origin}/metrics`)).text();
  let operations = 0;
  for (const match of text.matchAll(/^bulkhead_operations_total\{.*\} (\d+)$/gm))
    operations += Number(match[1]);
  const rows = await auditRows(database);
  return {
    what: "audit rows in the database, of the calls that the metrics count",
    reach: "all",
    measured: `${rows.toLocaleString("en")} of ${operations.toLocaleString("en")}`,
    verdict: operations > 0 && rows === operations ? "reached" : "missed",
  };
}

/** The same calls, each in a session of its tenant. */
async function inSessions({ origin, tenants }: BulkheadWithTenants): Promise<HttpRequest[]> {
  const requests: HttpRequest[] = [];
  for (const [i, { path, token, slug }] of tenants.entries()) {
    const session = await openSession(origin, { path, token });
    requests.push(earlierCallRequest({ path, token, id: i + 1, name: slug, session }));
  }
  return requests;
}
