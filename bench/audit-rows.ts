import { setTimeout as delay } from "node:timers/promises";
import type { BenchDatabase } from "./bench-database.ts";

/** Waits until no more audit rows come. */
export async function auditWritten(database: BenchDatabase): Promise<void> {
  let before = -1;
  for (let tries = 0; tries < 60; tries++) {
    const rows = await auditRows(database);
    if (rows === before) return;
    before = rows;
    await delay(500);
  }
}

/** How many operations have an outcome on record. */
export async function auditRows(database: BenchDatabase): Promise<number> {
  const [row] = await database.admin<{ n: string }>(
    "SELECT count(*) AS n FROM bulkhead.audit_entries WHERE kind = 'outcome'",
  );
  return Number(row?.n ?? 0);
}
