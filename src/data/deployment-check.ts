import { Fault } from "../core/fault.ts";
import { checkIsolation } from "./isolation-check.ts";
import { ownMigrationNames } from "./migrate.ts";
import type { SystemDoor } from "./system-door.ts";

/**
 * What must be true of a database before an instance serves from it.
 * @throws Fault `database_not_migrated`, `database_is_development`, `database_not_development` or `isolation_broken`,
 *   each naming what it found.
 */
export async function checkDeployment(system: SystemDoor, mode: "development" | "production"): Promise<void> {
  const names = await ownMigrationNames();
  const read = system.run("check isolation", async (db) => {
    const present = await db.query<{ there: boolean }>(
      "SELECT to_regclass('public.bulkhead_migrations') IS NOT NULL AND to_regclass('bulkhead.deployment') IS NOT NULL AS there",
    );
    if (present.rows[0]?.there !== true) return null;
    const applied = await db.query<{ name: string }>(
      "SELECT name FROM public.bulkhead_migrations WHERE scope = 'bulkhead'",
    );
    const deployment = await db.query<{ mode: string; development: boolean }>(
      `SELECT mode, EXISTS (SELECT 1 FROM bulkhead.issuers WHERE development)
                    OR EXISTS (SELECT 1 FROM bulkhead.development_keys) AS development FROM bulkhead.deployment`,
    );
    return { applied: new Set(applied.rows.map((row) => row.name)), deployment: deployment.rows[0] };
  });
  const state = await read.catch((error: unknown) => {
    // Without the migrations the roles do not exist, or have another password: SQLSTATE class 28.
    if (error instanceof Fault && isWrongLogin(error.cause)) return null;
    throw error;
  });
  const missing = state === null ? names : names.filter((name) => !state.applied.has(name));
  if (state === null || missing.length > 0) {
    throw new Fault("database_not_migrated", { detail: `Missing: ${missing.join(", ")}.` });
  }
  if (mode === "production" && (state.deployment?.mode !== "production" || state.deployment.development)) {
    throw new Fault("database_is_development");
  }
  if (mode === "development" && state.deployment?.mode !== "development")
    throw new Fault("database_not_development");
  const findings = await checkIsolation(system);
  if (findings.length > 0) {
    throw new Fault("isolation_broken", {
      detail: findings.map((finding) => `${finding.rule}: ${finding.object}`).join("; "),
    });
  }
}

function isWrongLogin(cause: unknown): boolean {
  const code = (cause as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" && code.startsWith("28");
}
