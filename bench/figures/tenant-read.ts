import { connectionSettings } from "../../src/data/connection-settings.ts";
import { migrate } from "../../src/data/migrate.ts";
import { startBenchDatabase } from "../bench-database.ts";
import { startChild } from "../child-program.ts";
import type { ReaderOrder, ReaderReport, ReadOrder } from "../children/tenant-reader.ts";
import { aim, type Figure } from "../figure.ts";
import { median } from "../median.ts";

const TENANTS = 1_000;
const FEW = 4;
const ROWS = 50;
const CONCURRENCY = 16;
/** The server's own default. */
const CONNECTIONS = 20;

/** P4: what row-level security costs a read by primary key. */
export const tenantRead: Figure = {
  id: "P4",
  title: "tenant-scoped read",
  about:
    "A tenant's read of a row by its primary key through the tenant door, against the same read without row-level security.",
  async run(bench) {
    bench.progress("P4: starting PostgreSQL and filling two tables");
    const database = await startBenchDatabase(bench, "tenant-read");
    await migrate(connectionSettings(database.url), {
      mode: "development",
      app: new URL("../migrations/", import.meta.url),
    });
    const tenants = (await database.addTenants(TENANTS)).map((tenant) => tenant.id);
    for (const table of ["items", "unprotected_items"]) {
      await database.admin(
        `INSERT INTO app.${table} (tenant_id, id, subject, body)
         SELECT tenant, id, 'Subject ' || id, repeat('x', 200) FROM unnest($1::text[]) AS t (tenant), generate_series(1, ${ROWS}) AS id`,
        [tenants],
      );
      await database.admin(`VACUUM ANALYZE app.${table}`);
    }
    const child = await startChild({
      file: bench.shipped.child("tenant-reader"),
      prefix: bench.cpus.forServer,
      cleanup: bench.cleanup,
    });
    const open: ReaderOrder = { do: "open", databaseUrl: database.url, connections: CONNECTIONS };
    await child.ask(open);

    const few = tenants.slice(0, FEW);
    const of = (table: ReadOrder["table"], from: ReadOrder["tenants"], staysEntered = false): ReadOrder => ({
      table,
      tenants: from,
      staysEntered,
      rowsOfTenant: ROWS,
      concurrency: CONCURRENCY,
    });
    const reads = {
      protectedFew: { name: `tenant table, ${FEW} tenants`, order: of("items", few) },
      plainFew: {
        name: `table without row-level security, ${FEW} tenants`,
        order: of("unprotected_items", few),
      },
      protectedMany: { name: `tenant table, ${TENANTS} tenants`, order: of("items", tenants) },
      plainMany: {
        name: `table without row-level security, ${TENANTS} tenants`,
        order: of("unprotected_items", tenants),
      },
      stays: {
        name: `the same, on connections that never change tenants`,
        order: of("unprotected_items", tenants, true),
      },
    };
    type Read = keyof typeof reads;
    const names = Object.keys(reads) as Read[];
    const reports = new Map<Read, ReaderReport[]>(names.map((name) => [name, []]));
    const run = (name: Read, seconds: number): Promise<ReaderReport> => {
      const order: ReaderOrder = { do: "read", seconds, ...reads[name].order };
      return child.ask<ReaderReport>(order);
    };
    for (const name of names) await run(name, Math.min(1, bench.rounds.warmUpSeconds));
    for (let round = 1; round <= bench.rounds.count; round++) {
      for (const name of names) {
        const report = await run(name, bench.rounds.seconds);
        reports.get(name)?.push(report);
        bench.progress(
          `P4: round ${round}, ${reads[name].name}: ${Math.round(report.statementsPerSecond)} statements/s`,
        );
      }
    }
    await child.stop();
    await database.stop();

    const speed = (name: Read): number =>
      median((reports.get(name) ?? []).map((report) => report.statementsPerSecond));
    const count = (value: number): string => Math.round(value).toLocaleString("en");
    return {
      lines: [
        aim(`through the same door, ${FEW} tenants`, {
          measured: speed("protectedFew") / speed("plainFew"),
          atLeast: 0.65,
        }),
        aim(`through the same door, ${TENANTS} tenants`, {
          measured: speed("protectedMany") / speed("plainMany"),
          atLeast: 0.65,
        }),
        aim(`${TENANTS} tenants, against connections that never change tenants`, {
          measured: speed("protectedMany") / speed("stays"),
        }),
      ],
      tables: [
        {
          columns: ["read", "statements/s", "rounds", "reader's core busy"],
          rows: names.map((name) => [
            reads[name].name,
            count(speed(name)),
            (reports.get(name) ?? []).map((report) => count(report.statementsPerSecond)).join(", "),
            `${Math.round(100 * median((reports.get(name) ?? []).map((report) => report.busy)))} %`,
          ]),
        },
      ],
      notes: [
        `${CONCURRENCY} reads at once over the ${CONNECTIONS} connections of one tenant door, tenants in turn, ${TENANTS * ROWS} rows with primary key (tenant_id, id), all in memory. Both tables are read by the same role through the same code; only the unprotected one has no policy, and its reads name the tenant themselves.`,
        `Through the same door means that both sides pay for connections that change tenants, which with ${TENANTS} tenants nearly every statement does. The last line does not: its other side is a pool that knows nothing of tenants.`,
        "The reader is bound to one core and PostgreSQL to the other; whichever of the two is full is what limits. Where the reader's is, the ratio shows less than row-level security costs PostgreSQL.",
      ],
    };
  },
};
