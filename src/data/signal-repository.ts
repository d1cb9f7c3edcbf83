import type { InstanceId, TenantId } from "../core/ids.ts";
import type { SystemDoor } from "./system-door.ts";

/** A signal to write. */
export interface WrittenSignal {
  /** Counts the signals of this instance: one that is written twice is there once. */
  readonly number: number;
  readonly tenantId: TenantId;
  readonly topic: string;
  /** JSON. */
  readonly payload: string;
}

/** A signal that was read. */
export interface ReadSignal {
  readonly tenantId: TenantId;
  readonly topic: string;
  readonly payload: string;
}

/** Some of the signals after a position, in order. */
export interface SignalPage {
  /** Of other instances alone. */
  readonly signals: readonly ReadSignal[];
  /** Where the next page begins. */
  readonly position: string;
  /** False: there may be more. */
  readonly last: boolean;
}

/** Signals in PostgreSQL: kept for a minute, in the order in which they became visible. */
export interface SignalRepository {
  /** Commits all and notifies the other instances; none for tenants that are not there any more. */
  write(signals: readonly WrittenSignal[]): Promise<void>;
  /** Position after all that are there now. */
  end(): Promise<string>;
  readAfter(position: string): Promise<SignalPage>;
}

/** Signals read at once … */
const PAGE = 500;
/** … and bytes of their payloads, but at least one. */
const PAGE_BYTES = 8 * 1_048_576;

export function createSignalRepository(system: SystemDoor, instanceId: InstanceId): SignalRepository {
  return {
    write: (signals) =>
      system.run("signal other instances", async (db) => {
        await db.query("SELECT bulkhead.write_signals($1, $2, $3, $4, $5)", [
          instanceId,
          signals.map(({ number }) => number),
          signals.map(({ tenantId }) => tenantId),
          signals.map(({ topic }) => topic),
          signals.map(({ payload }) => payload),
        ]);
      }),

    end: () =>
      system.run("signal other instances", async (db) => {
        const { rows } = await db.query<{ position: string }>(
          "SELECT coalesce(max(s.id), 0) AS position FROM bulkhead.signals s",
        );
        return rows[0]?.position ?? "0";
      }),

    readAfter: (position) =>
      system.run("signal other instances", async (db) => {
        // Own signals are passed over here and not in WHERE: else each reading would begin before them again.
        const { rows } = await db.query<{
          id: string;
          tenant_id: TenantId;
          topic: string;
          payload: string | null;
          present: string;
        }>(
          `SELECT p.id, p.tenant_id, p.topic, p.present, CASE WHEN p.weight > 0 THEN s.payload END AS payload
             FROM (SELECT n.id, n.tenant_id, n.topic, n.weight, count(*) OVER () AS present,
                          sum(n.weight) OVER (ORDER BY n.id) AS total
                     FROM (SELECT s.id, s.tenant_id, s.topic,
                                  CASE WHEN s.instance_id = $2 THEN 0 ELSE s.bytes END AS weight
                             FROM bulkhead.signals s WHERE s.id > $1 ORDER BY s.id LIMIT $3) AS n) AS p
             JOIN bulkhead.signals s ON s.id = p.id
            WHERE p.total <= $4 OR p.total = p.weight
            ORDER BY p.id`,
          [position, instanceId, PAGE, PAGE_BYTES],
        );
        const present = Number(rows[0]?.present ?? 0);
        return {
          signals: rows.flatMap(({ tenant_id: tenantId, topic, payload }) =>
            payload === null ? [] : [{ tenantId, topic, payload }],
          ),
          position: rows.at(-1)?.id ?? position,
          last: present < PAGE && rows.length === present,
        };
      }),
  };
}
