import {
  type AuditFacts,
  type AuditRow,
  CHAIN_START,
  type ChainHead,
  sealAuditRow,
} from "../core/audit-row.ts";
import type { EventSink } from "../core/event.ts";
import { Fault } from "../core/fault.ts";
import type { InstanceId } from "../core/ids.ts";

/** Where audit rows are kept. */
export interface AuditStore {
  /**
   * Commits all rows or none; those of a tenant that is gone are left out. Rejects with Fault `database_unavailable` where
   * nobody knows which: the answer may be lost, or the commit still to come. Rejects with anything else where it was none,
   * for something in a row.
   *
   * @param again an attempt with these rows had no answer: those that it wrote, to the byte, are passed over
   */
  append(rows: readonly AuditRow[], again: boolean): Promise<void>;
}

export interface AuditTrail {
  /**
   * Resolves once the row is committed. Rejects with Fault `audit_unavailable` when that is not known. An outcome is then
   * written later all the same, and so is an intent that was on its way: with the outcome that it failed.
   */
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

/** Rows of which it is not known whether they were written, and why. */
interface Unanswered {
  readonly rows: readonly Held[];
  readonly cause: unknown;
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
 *
 * Each row is written once, also where the answer to a commit was lost. The group is then sent again before anything else,
 * in the same order behind the same heads: that makes the very same rows, by which the store knows those that it has.
 */
export function createAuditTrail(options: {
  readonly store: AuditStore;
  readonly runId: InstanceId;
  readonly emit: EventSink;
  readonly now: () => number;
}): AuditTrail {
  const { store, runId, emit, now } = options;
  // A run begins without chains, and nobody else writes in them: they end with what was last committed from here. Never
  // read from the database, which would hide what it has lost. Some 200 bytes for each tenant that did something.
  const heads = new Map<string, ChainHead>();
  let queue: Held[] = [];
  let timer: NodeJS.Timeout | null = null;
  let writing: Promise<void> | null = null;
  // Rows in front of the queue that were sent without an answer. The next attempt waits for its time, however many come meanwhile.
  let unanswered = 0;
  let dropped = 0;

  const write = async (batch: readonly Held[], again: boolean): Promise<void> => {
    // Sealed here and not where the row comes from: one after the other, in the order in which they are written.
    const sealed = batch.map(({ facts }) => {
      const row = sealAuditRow(facts, runId, heads.get(facts.tenantId) ?? CHAIN_START);
      heads.set(facts.tenantId, { seq: row.seq, hash: row.hash });
      return row;
    });
    try {
      await store.append(sealed, again);
    } catch (cause) {
      for (const row of sealed.toReversed())
        heads.set(row.tenantId, { seq: row.seq - 1, hash: row.prevHash });
      throw cause;
    }
  };

  const drain = async (): Promise<void> => {
    while (queue.length > 0) {
      const again = unanswered > 0;
      const batch = queue.slice(0, again ? unanswered : MAX_BATCH);
      queue = queue.slice(batch.length);
      const failed = await writeOrSplit(batch, again);
      unanswered = failed?.rows.length ?? 0;
      if (failed !== null) return putBack(failed);
    }
  };

  /**
   * Writes a batch; where the store refuses it for one of its rows, half by half, so that a row that cannot be written
   * fails alone. Gives the rows of which it is not known whether they were written.
   */
  const writeOrSplit = async (batch: readonly Held[], again: boolean): Promise<Unanswered | null> => {
    try {
      await write(batch, again);
      for (const held of batch) held.resolve?.();
      return null;
    } catch (cause) {
      const [only] = batch;
      if (only === undefined || (cause instanceof Fault && cause.code === "database_unavailable")) {
        fault("Audit rows could not be written.", cause);
        return { rows: batch, cause };
      }
      if (batch.length === 1) {
        fault("An audit row was refused by the database.", cause);
        only.reject?.(new Fault("audit_unavailable", { cause }));
        return null;
      }
      const half = Math.ceil(batch.length / 2);
      const failed = await writeOrSplit(batch.slice(0, half), again);
      // The other half as well: it may be there from the attempt before.
      if (failed !== null) return { rows: [...failed.rows, ...batch.slice(half)], cause: failed.cause };
      return await writeOrSplit(batch.slice(half), again);
    }
  };

  const fault = (message: string, cause?: unknown): void =>
    emit({ type: "fault", at: now(), level: "error", where: "audit", message, cause });

  /**
   * Puts rows without an answer back in front, all of them in their order, and lets nobody wait any longer. Not bounded, or
   * else a chain lost rows from its middle: they are one batch.
   */
  const putBack = ({ rows, cause }: Unanswered): void => {
    const later = queue;
    queue = rows.map(({ facts }) => ({ facts }));
    for (const { facts, reject } of rows)
      if (reject !== undefined && facts.kind === "intent") queue.push({ facts: notRun(facts) });
    for (const held of later) {
      if (held.reject === undefined) queue.push(held);
      // Nothing runs without its intent, so one that was not sent need not be there.
      else if (held.facts.kind !== "intent") queue.push({ facts: held.facts });
    }
    for (const { reject } of [...rows, ...later]) reject?.(new Fault("audit_unavailable", { cause }));
  };

  const start = (): void => {
    if (timer !== null) {
      clearTimeout(timer);
      timer = null;
    }
    if (writing !== null) return;
    writing = drain().finally(() => {
      writing = null;
      if (dropped > 0) fault(`${dropped} audit rows of read-only operations were lost.`);
      dropped = 0;
      if (queue.length > 0) schedule(unanswered > 0 ? RETRY_MS : 0);
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
      if (unanswered > 0) schedule(RETRY_MS);
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

/** The outcome of an operation whose caller was told that its intent is not on record. */
function notRun(intent: AuditFacts): AuditFacts {
  return { ...intent, kind: "outcome", outcome: "failed", code: "audit_unavailable" };
}
