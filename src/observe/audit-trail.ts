import {
  type AuditFacts,
  type AuditRow,
  CHAIN_START,
  type ChainHead,
  sealAuditRow,
} from "../core/audit-row.ts";
import type { EventSink } from "../core/event.ts";
import { Fault } from "../core/fault.ts";
import type { InstanceId, OperationId } from "../core/ids.ts";

/** Where audit rows are kept. */
export interface AuditStore {
  /** Commits all rows or none. */
  append(rows: readonly AuditRow[]): Promise<void>;
  /** Ends of the chains of `runId` for these tenants, as the database has them. */
  heads(runId: InstanceId, tenants: readonly string[]): Promise<ReadonlyMap<string, ChainHead>>;
  /** Which of these operations already have an outcome. */
  withOutcome(operations: readonly OperationId[]): Promise<ReadonlySet<OperationId>>;
}

export interface AuditTrail {
  /** Resolves once the row is committed. Rejects with Fault `audit_unavailable` when it is not. */
  commit(facts: AuditFacts): Promise<void>;
  /** Takes the row along with the next batch; nobody waits. */
  record(facts: AuditFacts): void;
  /** Writes what is held, then takes no more. */
  close(): Promise<void>;
}

interface Held {
  readonly facts: AuditFacts;
  readonly resolve?: () => void;
  readonly reject?: (error: unknown) => void;
}

/** Rows in one statement. */
const MAX_BATCH = 500;
/** Rows that nobody waits for, held while the database does not answer. Beyond it the newest are dropped, and said so. */
const MAX_HELD = 50_000;
/** How long a row that nobody waits for may stay in memory, in milliseconds: what a killed process can lose of them. */
const LINGER_MS = 50;
/** Pause after the store could not be reached, in milliseconds: each attempt copies what is held, and is a line in the log. */
const RETRY_MS = 1_000;

/**
 * Writes audit rows in groups: while one group is being committed the next one gathers, so that many callers share one
 * commit. Rows of a tenant form one chain for this run.
 */
export function createAuditTrail(options: {
  readonly store: AuditStore;
  readonly runId: InstanceId;
  readonly emit: EventSink;
  readonly now: () => number;
}): AuditTrail {
  const { store, runId, emit, now } = options;
  const heads = new Map<string, ChainHead>();
  let queue: Held[] = [];
  let timer: NodeJS.Timeout | null = null;
  let writing: Promise<void> | null = null;
  // After a failed commit it is not known what the database has: heads and outcomes are read again before the next.
  let doubtful = false;
  // Then the next attempt waits for its time, however many rows come meanwhile.
  let unreachable = false;
  // A run begins without chains. Once there was doubt, a tenant's is begun only where the database has none.
  let allHeadsKnown = true;
  let dropped = 0;

  const write = async (batch: readonly Held[]): Promise<void> => {
    let rows = batch;
    if (doubtful) {
      const known = await store.withOutcome(
        batch.flatMap(({ facts }) =>
          facts.kind === "outcome" && facts.operationId !== null ? [facts.operationId] : [],
        ),
      );
      rows = batch.filter(
        ({ facts }) =>
          facts.kind !== "outcome" || facts.operationId === null || !known.has(facts.operationId),
      );
      heads.clear();
      allHeadsKnown = false;
    }
    if (!allHeadsKnown) {
      const unknown = new Set<string>();
      for (const { facts } of rows) if (!heads.has(facts.tenantId)) unknown.add(facts.tenantId);
      if (unknown.size > 0)
        for (const [tenant, head] of await store.heads(runId, [...unknown])) heads.set(tenant, head);
    }
    // Sealed here and not where the row comes from: one after the other, in the order in which they are written.
    const sealed = rows.map(({ facts }) => {
      const row = sealAuditRow(facts, runId, heads.get(facts.tenantId) ?? CHAIN_START);
      heads.set(facts.tenantId, { seq: row.seq, hash: row.hash });
      return row;
    });
    if (sealed.length > 0) await store.append(sealed);
    doubtful = false;
    unreachable = false;
  };

  const drain = async (): Promise<void> => {
    while (queue.length > 0) {
      const batch = queue.slice(0, MAX_BATCH);
      queue = queue.slice(MAX_BATCH);
      const failed = await writeOrSplit(batch);
      if (failed !== null) {
        const waiting = failed.rows.filter((held) => held.reject !== undefined);
        for (const held of waiting) held.reject?.(new Fault("audit_unavailable", { cause: failed.cause }));
        keep(failed.rows.filter((held) => held.reject === undefined));
        if (waiting.length === 0) return;
      }
    }
  };

  /**
   * Writes a batch; where the store refuses it for one of its rows, half by half, so that a row that cannot be written
   * fails alone. Gives what was not written because the store could not be reached.
   */
  const writeOrSplit = async (
    batch: readonly Held[],
  ): Promise<{ rows: readonly Held[]; cause: unknown } | null> => {
    try {
      await write(batch);
      for (const held of batch) held.resolve?.();
      return null;
    } catch (cause) {
      doubtful = true;
      const [only] = batch;
      unreachable = cause instanceof Fault && cause.code === "database_unavailable";
      if (only === undefined || unreachable) {
        fault("Audit rows could not be written.", cause);
        return { rows: batch, cause };
      }
      if (batch.length === 1) {
        fault("An audit row was refused by the database.", cause);
        only.reject?.(new Fault("audit_unavailable", { cause }));
        return null;
      }
      const half = Math.ceil(batch.length / 2);
      const failed = await writeOrSplit(batch.slice(0, half));
      if (failed !== null) return { rows: [...failed.rows, ...batch.slice(half)], cause: failed.cause };
      return await writeOrSplit(batch.slice(half));
    }
  };

  const fault = (message: string, cause?: unknown): void =>
    emit({ type: "fault", at: now(), level: "error", where: "audit", message, cause });

  /** Puts rows that nobody waits for back in front. */
  const keep = (rows: readonly Held[]): void => {
    const room = Math.max(0, MAX_HELD - queue.length);
    dropped += Math.max(0, rows.length - room);
    queue = [...rows.slice(0, room), ...queue];
    if (dropped > 0) {
      fault(`${dropped} audit rows of read-only operations were lost.`);
      dropped = 0;
    }
  };

  const start = (): void => {
    if (timer !== null) {
      clearTimeout(timer);
      timer = null;
    }
    if (writing !== null) return;
    writing = drain().finally(() => {
      writing = null;
      if (queue.length > 0) schedule(doubtful ? RETRY_MS : 0);
    });
  };

  const schedule = (delay: number): void => {
    timer ??= setTimeout(() => {
      timer = null;
      start();
    }, delay);
  };

  return {
    commit: (facts) =>
      new Promise((resolve, reject) => {
        queue.push({ facts, resolve, reject });
        start();
      }),
    record(facts) {
      if (queue.length >= MAX_HELD) dropped++;
      else queue.push({ facts });
      if (unreachable) schedule(RETRY_MS);
      else if (queue.length >= MAX_BATCH) start();
      else schedule(LINGER_MS);
    },
    async close() {
      if (writing !== null) await writing;
      if (queue.length > 0) {
        start();
        await writing;
      }
      if (timer !== null) clearTimeout(timer);
    },
  };
}
