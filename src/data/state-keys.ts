import { randomBytes } from "node:crypto";
import type { Eventually } from "../core/eventually.ts";
import { Fault } from "../core/fault.ts";
import { SEAL_KEY_BYTES } from "../core/sealed-box.ts";
import type { SystemDoor } from "./system-door.ts";

/** A key under which the states of requests are sealed. */
export interface StoredStateKey {
  readonly id: string;
  readonly key: Uint8Array;
}

/** The keys that all instances share: in memory here, in PostgreSQL for all. */
export interface StoredStateKeys {
  sealing(): StoredStateKey;
  /** At once where it is known; otherwise the keys are read again, at most once a second. */
  find(id: string): Eventually<StoredStateKey | null>;
  /** Reads all keys, and makes one when there is none of today's. To be called at the start, and every minute. */
  refresh(): Promise<void>;
}

/** Keys are read again for an unknown id at most this often: anybody can invent ids. */
const READ_AGAIN_MS = 1_000;
/** A key is sealed with from this age on: by then every instance has read it, by its call of refresh every minute. */
const KNOWN_TO_ALL_MS = 2 * 60_000;
/** Keys that are kept in memory: those of two days, and more than enough. */
const MOST = 16;

export function createStateKeys({
  system,
  monotonic,
  random = randomBytes,
}: {
  readonly system: SystemDoor;
  readonly monotonic: () => number;
  readonly random?: (size: number) => Buffer;
}): StoredStateKeys {
  let known: ReadonlyMap<string, StoredStateKey> = new Map();
  let sealing: StoredStateKey | null = null;
  let reading: Promise<void> | null = null;
  let readAt = Number.NEGATIVE_INFINITY;

  const read = async (): Promise<void> => {
    let rows = await readKeys(system);
    if (!rows.some((row) => row.of_today)) {
      await makeKey(system, random);
      rows = await readKeys(system);
    }
    known = new Map(rows.map(({ id, key }) => [id, { id, key }]));
    // Newest first. Where all are new the oldest serves: it was the first, so whoever starts reads it.
    const chosen = rows.find((row) => row.age_ms >= KNOWN_TO_ALL_MS) ?? rows.at(-1);
    sealing = chosen === undefined ? null : { id: chosen.id, key: chosen.key };
  };

  const refresh = (): Promise<void> => {
    readAt = monotonic();
    reading ??= read().finally(() => {
      reading = null;
    });
    return reading;
  };

  return {
    refresh,
    sealing() {
      if (sealing === null) throw new Fault("internal", { detail: "There is no key for states." });
      return sealing;
    },
    find(id) {
      const key = known.get(id);
      if (key !== undefined) return key;
      if (reading === null && monotonic() - readAt < READ_AGAIN_MS) return null;
      return (reading ?? refresh()).then(() => known.get(id) ?? null);
    },
  };
}

interface KeyRow {
  readonly id: string;
  readonly key: Buffer;
  readonly age_ms: number;
  readonly of_today: boolean;
}

function readKeys(system: SystemDoor): Promise<readonly KeyRow[]> {
  return system.run("keep state keys", async (db) => {
    const { rows } = await db.query<{ id: string; key: Buffer; age_ms: number; of_today: boolean }>(
      `SELECT k.id, k.key, (extract(epoch FROM now() - k.created_at) * 1000)::float8 AS age_ms,
              k.created_at > now() - interval '1 day' AS of_today
         FROM bulkhead.state_keys k ORDER BY k.created_at DESC, k.id LIMIT $1`,
      [MOST],
    );
    return rows;
  });
}

/** Makes a key unless another instance has just done so. */
function makeKey(system: SystemDoor, random: (size: number) => Buffer): Promise<void> {
  return system.transaction("keep state keys", async (db) => {
    // Instances that start together would each make one, and seal with their own.
    await db.query("LOCK TABLE bulkhead.state_keys IN SHARE ROW EXCLUSIVE MODE");
    await db.query(
      `INSERT INTO bulkhead.state_keys (id, key, created_at)
       SELECT $1, $2, clock_timestamp()
        WHERE NOT EXISTS (SELECT FROM bulkhead.state_keys k WHERE k.created_at > now() - interval '1 day')`,
      [random(9).toString("base64url"), random(SEAL_KEY_BYTES)],
    );
  });
}
