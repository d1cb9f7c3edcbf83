import { type AuditRow, CHAIN_START, type ChainHead, sealAuditRow } from "../core/audit-row.ts";
import type { Actor } from "../core/event.ts";
import type { InstanceId, OperationId, TenantId } from "../core/ids.ts";
import type { SystemConnection, SystemDoor } from "./system-door.ts";

/** Audit rows in PostgreSQL. The system role may add and read them, and nothing else. */
export interface AuditRepository {
  append(rows: readonly AuditRow[]): Promise<void>;
  heads(runId: InstanceId, tenants: readonly string[]): Promise<ReadonlyMap<string, ChainHead>>;
  withOutcome(operations: readonly OperationId[]): Promise<ReadonlySet<OperationId>>;
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
  return {
    append: (rows) => system.run("write audit rows", (db) => insert(db, rows)),

    heads: (runId, tenants) => system.run("write audit rows", (db) => readHeads(db, runId, tenants)),

    withOutcome: (operations) =>
      system.run("write audit rows", async (db) => {
        const { rows } = await db.query<{ operation_id: OperationId }>(
          "SELECT operation_id FROM bulkhead.audit_entries WHERE kind = 'outcome' AND operation_id = ANY ($1)",
          [operations],
        );
        return new Set(rows.map((row) => row.operation_id));
      }),

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
        await insert(db, sealed);
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

async function insert(db: SystemConnection, rows: readonly AuditRow[]): Promise<void> {
  const column = <T>(pick: (row: AuditRow) => T): T[] => rows.map(pick);
  const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));
  await db.query(
    `INSERT INTO bulkhead.audit_entries
       (tenant_id, run_id, seq, kind, operation_id, at, actor, action, target, outcome, code, duration_ms, details, prev_hash, hash)
     SELECT tenant_id, run_id, seq, kind, operation_id, to_timestamp(at / 1000.0), actor, action, target, outcome, code,
            duration_ms, details, decode(prev_hash, 'hex'), decode(hash, 'hex')
       FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::jsonb[], $8::text[], $9::text[],
                   $10::text[], $11::text[], $12::float8[], $13::jsonb[], $14::text[], $15::text[])
         AS r (tenant_id, run_id, seq, kind, operation_id, at, actor, action, target, outcome, code, duration_ms, details, prev_hash, hash)
      -- Nothing is written any more for a tenant that was deleted meanwhile: its trail has gone with it.
      WHERE r.tenant_id = 'deployment' OR EXISTS (SELECT 1 FROM bulkhead.tenants t WHERE t.id = r.tenant_id)`,
    [
      column((row) => row.tenantId),
      column((row) => row.runId),
      column((row) => row.seq),
      column((row) => row.kind),
      column((row) => row.operationId),
      column((row) => row.at),
      column((row) => json(row.actor)),
      column((row) => row.action),
      column((row) => row.target),
      column((row) => row.outcome),
      column((row) => row.code),
      column((row) => row.durationMs),
      column((row) => json(row.details)),
      column((row) => Buffer.from(row.prevHash).toString("hex")),
      column((row) => Buffer.from(row.hash).toString("hex")),
    ],
  );
}

async function readHeads(
  db: SystemConnection,
  runId: AuditRow["runId"],
  tenants: readonly string[],
): Promise<Map<string, ChainHead>> {
  const { rows } = await db.query<{ tenant_id: string; seq: string; hash: Buffer }>(
    `SELECT DISTINCT ON (tenant_id) tenant_id, seq, hash FROM bulkhead.audit_entries
      WHERE run_id = $1 AND tenant_id = ANY ($2) ORDER BY tenant_id, seq DESC`,
    [runId, tenants],
  );
  return new Map(rows.map((row) => [row.tenant_id, { seq: Number(row.seq), hash: row.hash }]));
}
