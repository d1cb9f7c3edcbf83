import { auditWritten } from "../audit-rows.ts";
import { startBulkheadWithTenants } from "../bulkhead-with-tenants.ts";
import { startChild } from "../child-program.ts";
import type { BareListOrder } from "../children/bare-list-server.ts";
import { aim, type Figure } from "../figure.ts";
import type { HttpRequest } from "../load/load-generator.ts";
import { measureInTurn, roundsTable, type ServerUnderTest } from "../server-rounds.ts";
import { openSession, sendOnce, toolListRequest } from "../tool-call-request.ts";

const TENANTS = 1_000;
const TOOLS = 50;

/** P2: `tools/list` of 50 tools, beside a server that writes the same bytes and does nothing else. */
export const toolList: Figure = {
  id: "P2",
  title: "tools/list",
  about: `Lists of ${TOOLS} tools through everything, ${TENANTS.toLocaleString("en")} tenants, beside bare servers that write the same bytes.`,
  async run(bench) {
    bench.progress("P2: starting PostgreSQL, three servers, and making tenants");
    const bulkhead = await startBulkheadWithTenants(bench, { name: "tool-list", tenants: TENANTS });
    const { origin, tenants } = bulkhead;
    const check = async (request: HttpRequest): Promise<void> => {
      const { status, text } = await sendOnce(origin, request);
      const answer = status === 200 ? (JSON.parse(text) as { result?: { tools?: unknown[] } }) : null;
      if (answer?.result?.tools?.length !== TOOLS) {
        throw new Error(`A list is answered with ${status}: ${text.slice(0, 500)}`);
      }
    };
    const pair = async (name: string, requests: readonly HttpRequest[]): Promise<ServerUnderTest[]> => {
      const [first] = requests;
      if (first === undefined) throw new TypeError("There are no tenants.");
      const { text } = await sendOnce(origin, first);
      const order: BareListOrder = { afterId: text.slice(text.indexOf(',"result"')) };
      const child = await startChild({
        file: bench.shipped.child("bare-list-server"),
        prefix: bench.cpus.forServer,
        cleanup: bench.cleanup,
      });
      const { port } = await child.ask<{ port: number }>(order);
      const bare = { child, origin: `http://127.0.0.1:${port}` };
      return [
        { ...bare, name: `bare node:http, the bytes of ${name}`, requests, check: async () => {} },
        {
          name: `Bulkhead, ${name}`,
          child: bulkhead.child,
          origin,
          requests,
          check,
          settle: () => auditWritten(bulkhead.database),
        },
      ];
    };
    const current = tenants.map(({ path, token }, i) =>
      toolListRequest({ path, token, id: i + 1, session: null }),
    );
    const earlier: HttpRequest[] = [];
    for (const [i, { path, token }] of tenants.entries()) {
      const session = await openSession(origin, { path, token });
      earlier.push(toolListRequest({ path, token, id: i + 1, session }));
    }
    const servers = [...(await pair("2026-07-28", current)), ...(await pair("2025-11-25", earlier))];
    const measured = await measureInTurn(bench, { figure: "P2", servers });
    for (const { child } of new Set(servers.filter((server) => server.child !== bulkhead.child)))
      await child.stop();
    await bulkhead.stop();
    const speed = (i: number): number => measured[i]?.perSecond ?? Number.NaN;
    return {
      lines: [
        aim("2026-07-28, of a bare server that writes the same bytes", {
          measured: speed(1) / speed(0),
          atLeast: 0.6,
        }),
        aim("2025-11-25, of a bare server that writes the same bytes", {
          measured: speed(3) / speed(2),
          atLeast: 0.6,
        }),
      ],
      tables: [roundsTable(measured, "lists/s")],
      notes: ["As P1: everything is on, each list is an operation with its audit row and its log line."],
    };
  },
};
