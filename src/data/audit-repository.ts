import pg from "pg";
import { type AuditRow, CHAIN_START, type ChainHead, sealAuditRow } from "../core/audit-row.ts";
import type { Actor } from "../core/event.ts";
import { Fault } from "../core/fault.ts";
import type { InstanceId, OperationId, TenantId } from "../core/ids.ts";
import { createAuditBatchText } from "./audit-batch-text.ts";
import type { SystemConnection, SystemDoor } from "./system-door.ts";
import { violatedConstraint } from "./violated-constraint.ts";

/** Audit rows in PostgreSQL. The system role may add and read them, and nothing else. */
export interface AuditRepository {
  /**
   * Commits all rows or none. Rejects with the server's error where something in a row is the reason, and none was written;
   * with Fault `database_unavailable` where that cannot be told.
   *
   * @param again passes over rows that are there already with this very hash
   */
  append(rows: readonly AuditRow[], again?: boolean): Promise<void>;
  /**
   * Gives the outcome `unknown` to every intent whose instance is gone: stopped, or not heard of for `deadAfterMs`.
   * Gives back how many there were.
   */
  closeOrphans(options: {
    readonly runId: InstanceId;
    readonly deadAfterMs: number;
    readonly now: number;
  }): Promise<number>;
}

/** Any constant: one instance closes orphans at a time. */
const RECOVERY_LOCK = 7_305_808_869_231_650_001n;
/** Intents closed in one transaction; the rest follow at the next call. */
const MAX_ORPHANS = 5_000;

export function createAuditRepository(system: SystemDoor): AuditRepository {
  const text = createAuditBatchText();
  return {
    async append(rows, again = false) {
      await text.of(rows, (json) => {
        const attempt = (statement: string): Promise<unknown> =>
          system.run("write audit rows", (db) => db.query(statement, [json]));
        const done = again
          ? attempt(INSERT_AGAIN).catch((error: unknown) => {
              // It has waited for the attempt before, which was still to commit. Now it is there to be seen.
              if (violatedConstraint(error) === "audit_entries_pkey") return attempt(INSERT_AGAIN);
              throw error;
            })
          : attempt(INSERT);
        return done.catch(throwUnlessKnown);
      });
    },

    closeOrphans: ({ runId, deadAfterMs, now }) =>
      system.transaction("close orphaned intents", async (db) => {
        await db.query("SELECT pg_catalog.pg_advisory_xact_lock($1)", [RECOVERY_LOCK]);
        const dead = await db.query<{ id: string }>(
          `SELECT id FROM bulkhead.instances
            WHERE id <> $1 AND recovered_at IS NULL
              AND (stopped_at IS NOT NULL OR seen_at < now() - make_interval(secs => $2))`,
          [runId, deadAfterMs / 1000],
        );
        if (dead.rows.length === 0) return 0;
        const runs = dead.rows.map((row) => row.id);
        const { rows } = await db.query<Orphan>(
          `SELECT i.tenant_id, i.operation_id, i.actor, i.action, i.target, i.run_id
             FROM bulkhead.audit_entries i
            WHERE i.kind = 'intent' AND i.run_id = ANY ($1)
              AND NOT EXISTS (SELECT 1 FROM bulkhead.audit_entries o
                               WHERE o.tenant_id = i.tenant_id AND o.operation_id = i.operation_id AND o.kind = 'outcome')
            ORDER BY i.tenant_id, i.at LIMIT $2`,
          [runs, MAX_ORPHANS],
        );
        if (rows.length < MAX_ORPHANS) {
          await db.query("UPDATE bulkhead.instances SET recovered_at = now() WHERE id = ANY ($1)", [runs]);
        }
        if (rows.length === 0) return 0;
        // Its own chain: the run's other chain is being written by the audit trail at the same time.
        const chain = `${runId}/recovery` as const;
        const heads = new Map(await readHeads(db, chain, [...new Set(rows.map((row) => row.tenant_id))]));
        const sealed = rows.map((row) => {
          const next = sealAuditRow(
            {
              tenantId: row.tenant_id,
              kind: "outcome",
              operationId: row.operation_id,
              at: now,
              actor: row.actor,
              action: row.action,
              target: row.target,
              outcome: "unknown",
              code: null,
              durationMs: null,
              details: { run: row.run_id },
            },
            chain,
            heads.get(row.tenant_id) ?? CHAIN_START,
          );
          heads.set(row.tenant_id, next);
          return next;
        });
        await text.of(sealed, (json) => db.query(INSERT, [json]));
        return rows.length;
      }),
  };
}

interface Orphan {
  tenant_id: TenantId;
  operation_id: OperationId;
  actor: Actor | null;
  action: string;
  target: string | null;
  run_id: string;
}

/** Rows come as one JSON text (`audit-batch-text.ts`); as text and not as jsonb, since bytes of jsonb would be PostgreSQL's own. */
const INSERT = `
  INSERT INTO bulkhead.audit_entries
    (prev_hash, tenant_id, run_id, seq, kind, operation_id, at, actor, action, target, outcome, code, duration_ms, details, hash)
  SELECT decode(r ->> 0, 'hex'), r ->> 1, r ->> 2, (r ->> 3)::bigint, r ->> 4, r ->> 5, to_timestamp((r ->> 6)::bigint / 1000.0),
         nullif(r -> 7, 'null'), r ->> 8, r ->> 9, r ->> 10, r ->> 11, (r ->> 12)::float8, nullif(r -> 13, 'null'),
         decode(r ->> 14, 'hex')
    FROM jsonb_array_elements($1::text::jsonb) AS rows (r)
   -- Nothing is written any more for a tenant that was deleted meanwhile: its trail has gone with it. Not by EXISTS, for
   -- which PostgreSQL would read the ids of all tenants for each batch.
   WHERE (r ->> 1 = 'deployment' OR (SELECT true FROM bulkhead.tenants t WHERE t.id = r ->> 1))`;

/** Not by ON CONFLICT, which would pass over rows also where others stand in their places: that is an error. */
const INSERT_AGAIN = `${INSERT}
     AND (SELECT true FROM bulkhead.audit_entries e
           WHERE e.tenant_id = r ->> 1 AND e.run_id = r ->> 2 AND e.seq = (r ->> 3)::bigint
             AND e.hash = decode(r ->> 14, 'hex')) IS NULL`;

/**
 * SQLSTATE classes of what a row is refused for: data that cannot be stored, a second outcome, something too large. All
 * others, and what is no answer of the server's, say nothing of the rows: the connection was cut, the disk is full, or the
 * server is a standby.
 */
const OF_A_ROW = /^(22|23|54)/;

function throwUnlessKnown(error: unknown): never {
  const known =
    (error instanceof pg.DatabaseError && OF_A_ROW.test(error.code ?? "")) ||
    (error instanceof Fault && error.code === "database_unavailable");
  throw known ? error : new Fault("database_unavailable", { cause: error });
}

async function readHeads(
  db: SystemConnection,
  runId: AuditRow["runId"],
  tenants: readonly string[],
): Promise<Map<string, ChainHead>> {
  const { rows } = await db.query<{ tenant_id: string; seq: string; hash: string }>(
    `SELECT DISTINCT ON (tenant_id) tenant_id, seq, encode(hash, 'hex') AS hash FROM bulkhead.audit_entries
      WHERE run_id = $1 AND tenant_id = ANY ($2) ORDER BY tenant_id, seq DESC`,
    [runId, tenants],
  );
  return new Map(rows.map((row) => [row.tenant_id, { seq: Number(row.seq), hash: row.hash }]));
}
