import type { Adapter, AdapterPayload } from "oidc-provider";
import type { Clock } from "../../core/clock.ts";

/** Most records of one kind; the oldest go first, since anybody who reaches the server can make them. */
const MAX_RECORDS = 2000;

interface StoredRecord {
  readonly payload: AdapterPayload;
  /** On the monotonic clock; null: never. */
  readonly endsAt: number | null;
}

/**
 * Keeps clients, codes, grants and refresh tokens of one development issuer in memory: a restart forgets them, and
 * clients register anew.
 */
export function createMemoryStorage(clock: Clock): (kind: string) => Adapter {
  const kinds = new Map<string, Map<string, StoredRecord>>();

  function recordsOf(kind: string): Map<string, StoredRecord> {
    const known = kinds.get(kind);
    if (known !== undefined) return known;
    const records = new Map<string, StoredRecord>();
    kinds.set(kind, records);
    return records;
  }

  return (kind) => {
    const records = recordsOf(kind);
    const find = (id: string): AdapterPayload | undefined => {
      const record = records.get(id);
      if (record === undefined) return undefined;
      if (record.endsAt === null || record.endsAt > clock.monotonic()) return record.payload;
      records.delete(id);
      return undefined;
    };
    const findBy = async (matches: (payload: AdapterPayload) => boolean) => {
      for (const id of records.keys()) {
        const payload = find(id);
        if (payload !== undefined && matches(payload)) return payload;
      }
      return undefined;
    };
    return {
      async upsert(id, payload, expiresIn) {
        records.delete(id);
        const endsAt = expiresIn === undefined ? null : clock.monotonic() + expiresIn * 1000;
        records.set(id, { payload, endsAt });
        if (records.size > MAX_RECORDS) {
          const first = records.keys().next();
          if (!first.done) records.delete(first.value);
        }
      },
      find: async (id) => find(id),
      findByUid: (uid) => findBy((payload) => payload.uid === uid),
      findByUserCode: (userCode) => findBy((payload) => payload.userCode === userCode),
      async consume(id) {
        const record = records.get(id);
        const consumed = Math.floor(clock.now() / 1000);
        if (record !== undefined) records.set(id, { ...record, payload: { ...record.payload, consumed } });
      },
      async destroy(id) {
        records.delete(id);
      },
      async revokeByGrantId(grantId) {
        for (const [id, record] of records) if (record.payload.grantId === grantId) records.delete(id);
      },
    };
  };
}
