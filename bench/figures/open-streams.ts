import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { BenchRun } from "../bench-run.ts";
import {
  type BulkheadWithTenants,
  startBulkheadWithTenants,
  type TenantAccess,
} from "../bulkhead-with-tenants.ts";
import { type ChildProgram, startChild } from "../child-program.ts";
import type { BulkheadOrder } from "../children/bulkhead-server.ts";
import { MORE_TOOLS } from "../children/fifty-tools.ts";
import type { Arrivals, StreamAccess, StreamOrder } from "../children/stream-reader.ts";
import { aim, type Figure } from "../figure.ts";
import { median } from "../median.ts";

/** As many of a tenant as an instance takes. */
const FULL = { tenants: 10, ofEach: 1_000, changes: 11 };
const QUICK = { tenants: 5, ofEach: 100, changes: 3 };
/** Opened and closed before anything is measured: what is made once is no stream's. */
const WARM_UP = 50;
/** Between two changes, in milliseconds: what is announced within 50 ms of another waits for it. */
const PAUSE_MS = 200;
/** Signing all tokens at once would hold up the bench for as long. */
const SIGNED_AT_ONCE = 500;

type Memory = Pick<NodeJS.MemoryUsage, "rss" | "heapUsed" | "external">;

/** What an open stream holds, and how long a change takes to all streams of a tenant. */
export const openStreams: Figure = {
  id: "STREAMS",
  title: "open listen streams",
  about: `${(FULL.tenants * FULL.ofEach).toLocaleString("en")} open subscriptions/listen streams on one instance: memory of each, and the time until a change has reached all ${FULL.ofEach.toLocaleString("en")} of a tenant.`,
  async run(bench) {
    const size = bench.rounds.count === 1 ? QUICK : FULL;
    const total = size.tenants * size.ofEach;
    const operatorToken = randomBytes(32).toString("base64url");
    bench.progress("STREAMS: starting PostgreSQL and a server");
    const bulkhead = await startBulkheadWithTenants(bench, {
      name: "open-streams",
      tenants: size.tenants,
      operatorToken,
    });
    const reader = await startChild({
      file: bench.shipped.child("stream-reader"),
      prefix: bench.cpus.forOthers,
      cleanup: bench.cleanup,
    });
    const port = Number(new URL(bulkhead.origin).port);
    const ask = <Answer>(order: StreamOrder): Promise<Answer> => reader.ask<Answer>(order);
    const memory = (): Promise<Memory> =>
      bulkhead.child.ask<Memory>({ do: "memory" } satisfies BulkheadOrder);

    bench.progress(`STREAMS: signing ${total} tokens`);
    const all = await accessOf(bulkhead, size.ofEach);
    await ask({ do: "open", port, streams: all.slice(0, WARM_UP) });
    await ask({ do: "close" });
    const before = await memory();
    const started = performance.now();
    const { open } = await ask<{ open: number }>({ do: "open", port, streams: all });
    const openingSeconds = (performance.now() - started) / 1_000;
    if (open !== total) throw new Error(`${open} of ${total} streams are open.`);
    const after = await memory();
    const each = (of: (memory: Memory) => number): number => (of(after) - of(before)) / total / 1_024;

    const [tenant] = bulkhead.tenants;
    if (tenant === undefined) throw new TypeError("There are no tenants.");
    const configured = await measureChanges(bench, {
      what: "PATCH of toolSets",
      reader,
      tenant,
      size,
      change: (turn) => patchToolSets(bulkhead, { tenant, operatorToken, on: turn % 2 === 0 }),
    });
    const announced = await measureChanges(bench, {
      what: "announce",
      reader,
      tenant,
      size,
      change: () =>
        bulkhead.child.ask({ do: "announce", tenant: tenant.slug } satisfies BulkheadOrder).then(() => {}),
    });
    await reader.stop();
    await bulkhead.stop();

    const resident = each(({ rss }) => rss);
    return {
      lines: [
        aim(`open at once: ${total.toLocaleString("en")}; resident memory of each`, {
          measured: resident,
          digits: 1,
          unit: "KB",
        }),
        aim(`a change of configuration at the last of ${size.ofEach.toLocaleString("en")} streams, median`, {
          measured: median(configured.map(({ last }) => last)),
          digits: 0,
          unit: "ms",
        }),
        aim(`an announced change at the last of ${size.ofEach.toLocaleString("en")} streams, median`, {
          measured: median(announced.map(({ last }) => last)),
          digits: 0,
          unit: "ms",
        }),
      ],
      tables: [
        {
          columns: ["memory, KB of each stream", "resident", "heap", "outside the heap"],
          rows: [
            [
              `${total.toLocaleString("en")} streams, ${size.tenants} tenants`,
              resident.toFixed(1),
              each(({ heapUsed }) => heapUsed).toFixed(1),
              each(({ external }) => external).toFixed(1),
            ],
          ],
        },
        {
          columns: [
            "change",
            "changes",
            "first stream, ms",
            "median stream, ms",
            "last stream, ms",
            "worst, ms",
          ],
          rows: [
            ["PATCH of a tenant's toolSets", ...timesRow(configured)],
            ["announced by code", ...timesRow(announced)],
          ],
        },
      ],
      notes: [
        `Real HTTP/1.1 over loopback, each stream on a connection and with a token of its own (ES256); opened ${total.toLocaleString("en")} in ${openingSeconds.toFixed(1)} s by another process. Memory is that of the server's process after garbage was collected, before and with the streams, and so includes what it remembers of their tokens; the kernel's own socket buffers are not in it.`,
        "Time runs from before the PATCH request, or the order to announce, to the moment at which the reader's process has the message; first, median and last are medians over the changes. The reader and the server have cores of their own where there are two.",
        "The other tenants' streams are open meanwhile, and hear nothing: one message over one of them fails the figure.",
      ],
    };
  },
};

interface ChangeTimes {
  readonly first: number;
  readonly middle: number;
  readonly last: number;
}

async function measureChanges(
  bench: BenchRun,
  of: {
    readonly what: string;
    readonly reader: ChildProgram;
    readonly tenant: TenantAccess;
    readonly size: { readonly ofEach: number; readonly changes: number };
    readonly change: (turn: number) => Promise<void>;
  },
): Promise<readonly ChangeTimes[]> {
  const times: ChangeTimes[] = [];
  for (let turn = 0; turn < of.size.changes; turn++) {
    await delay(PAUSE_MS);
    await of.reader.ask({ do: "watch" } satisfies StreamOrder);
    const started = Number(process.hrtime.bigint()) / 1e6;
    await of.change(turn);
    const { moments, others } = await of.reader.ask<Arrivals>({
      do: "arrivals",
      path: of.tenant.path,
      count: of.size.ofEach,
    } satisfies StreamOrder);
    if (others > 0) throw new Error(`${others} streams of other tenants were told of ${of.what}.`);
    const took = moments.map((moment) => moment - started);
    times.push({ first: Math.min(...took), middle: median(took), last: Math.max(...took) });
    bench.progress(`STREAMS: ${of.what} ${turn + 1}: ${Math.max(...took).toFixed(0)} ms to the last`);
  }
  return times;
}

function timesRow(times: readonly ChangeTimes[]): string[] {
  const middle = (of: (time: ChangeTimes) => number): string => median(times.map(of)).toFixed(0);
  return [
    String(times.length),
    middle(({ first }) => first),
    middle(({ middle: half }) => half),
    middle(({ last }) => last),
    Math.max(...times.map(({ last }) => last)).toFixed(0),
  ];
}

/** Each stream with a token of its own, tenant after tenant. */
async function accessOf(bulkhead: BulkheadWithTenants, ofEach: number): Promise<readonly StreamAccess[]> {
  const all: StreamAccess[] = [];
  for (const tenant of bulkhead.tenants) {
    for (let from = 0; from < ofEach; from += SIGNED_AT_ONCE) {
      const count = Math.min(SIGNED_AT_ONCE, ofEach - from);
      const tokens = await Promise.all(Array.from({ length: count }, () => bulkhead.newToken(tenant)));
      for (const token of tokens) all.push({ path: tenant.path, token });
    }
  }
  return all;
}

async function patchToolSets(
  { origin }: BulkheadWithTenants,
  of: { readonly tenant: TenantAccess; readonly operatorToken: string; readonly on: boolean },
): Promise<void> {
  const response = await fetch(`${origin}/admin/v1/tenants/${of.tenant.slug}`, {
    method: "PATCH",
    headers: { authorization: `Bearer ${of.operatorToken}`, "content-type": "application/json" },
    body: JSON.stringify({ toolSets: of.on ? [MORE_TOOLS] : [] }),
  });
  if (!response.ok) throw new Error(`PATCH answers ${response.status}: ${await response.text()}`);
}
