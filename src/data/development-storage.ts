import type { SystemDoor } from "./system-door.ts";

/** What one development issuer keeps under an id. */
export interface DevelopmentRecord {
  /** JSON of the authorization server's own. As text, because jsonb refuses what clients may send: a NUL, half a surrogate. */
  readonly text: string;
  /** By which it is found besides. */
  readonly uid: string | null;
  /** What it was given on, and goes with. */
  readonly grantId: string | null;
  readonly account: string | null;
  /** When it was used up, in seconds since 1970. */
  readonly consumed: number | null;
}

export interface DevelopmentRecordKey {
  /** The issuer's name. */
  readonly issuer: string;
  readonly kind: string;
  readonly id: string;
}

/** What clients of the development authorization server were given, on whichever instance and before a restart. */
export interface DevelopmentStorage {
  /** @param seconds until it expires; null: never. */
  put(key: DevelopmentRecordKey, record: DevelopmentRecord, seconds: number | null): Promise<void>;
  find(key: DevelopmentRecordKey): Promise<DevelopmentRecord | null>;
  findByUid(key: Omit<DevelopmentRecordKey, "id">, uid: string): Promise<DevelopmentRecord | null>;
  /** Of any number of calls at the same moment, one is told true: the first. */
  consume(key: DevelopmentRecordKey, consumed: number): Promise<boolean>;
  remove(key: DevelopmentRecordKey): Promise<void>;
  removeOfGrant(key: Omit<DevelopmentRecordKey, "id">, grantId: string): Promise<void>;
}

/** Most records of one kind and issuer; the oldest go first, since anybody who reaches the server can make them. */
const MAX_RECORDS = 2000;

interface Payload extends Partial<Omit<DevelopmentRecord, "text">> {
  readonly text: string;
}

const PUT = `
  INSERT INTO bulkhead.development_storage (issuer_name, kind, id, payload, expires_at)
  VALUES ($1, $2, $3, $4, clock_timestamp() + $5::float8 * interval '1 second')
  ON CONFLICT (issuer_name, kind, id)
  DO UPDATE SET payload = excluded.payload, expires_at = excluded.expires_at, created_at = clock_timestamp()`;

const BOUND = `
  DELETE FROM bulkhead.development_storage WHERE issuer_name = $1 AND kind = $2 AND id IN (
    SELECT id FROM bulkhead.development_storage WHERE issuer_name = $1 AND kind = $2
     ORDER BY created_at DESC, id OFFSET ${MAX_RECORDS})`;

const FIND =
  "SELECT payload FROM bulkhead.development_storage WHERE issuer_name = $1 AND kind = $2 AND (expires_at IS NULL OR expires_at > clock_timestamp())";

const CONSUME = `
  UPDATE bulkhead.development_storage SET payload = payload || jsonb_build_object('consumed', $4::bigint)
   WHERE issuer_name = $1 AND kind = $2 AND id = $3 AND NOT payload ? 'consumed'`;

export function createDevelopmentStorage(system: SystemDoor): DevelopmentStorage {
  const query = <T extends Record<string, unknown>>(text: string, values: readonly unknown[]) =>
    system.run("serve development clients", (db) => db.query<T>(text, values));
  const find = async (condition: string, values: readonly unknown[]): Promise<DevelopmentRecord | null> => {
    const { rows } = await query<{ payload: Payload }>(`${FIND} AND ${condition}`, values);
    return rows[0] === undefined ? null : recordOf(rows[0].payload);
  };
  return {
    async put({ issuer, kind, id }, record, seconds) {
      await query(PUT, [issuer, kind, id, JSON.stringify(payloadOf(record)), seconds]);
      await query(BOUND, [issuer, kind]);
    },
    find: ({ issuer, kind, id }) => find("id = $3", [issuer, kind, id]),
    findByUid: ({ issuer, kind }, uid) => find("payload ->> 'uid' = $3", [issuer, kind, uid]),
    async consume({ issuer, kind, id }, consumed) {
      const { rowCount } = await query(CONSUME, [issuer, kind, id, consumed]);
      return rowCount === 1;
    },
    async remove({ issuer, kind, id }) {
      await query(
        "DELETE FROM bulkhead.development_storage WHERE issuer_name = $1 AND kind = $2 AND id = $3",
        [issuer, kind, id],
      );
    },
    async removeOfGrant({ issuer, kind }, grantId) {
      await query(
        "DELETE FROM bulkhead.development_storage WHERE issuer_name = $1 AND kind = $2 AND payload ->> 'grantId' = $3",
        [issuer, kind, grantId],
      );
    },
  };
}

function recordOf(payload: Payload): DevelopmentRecord {
  const { text, uid = null, grantId = null, account = null, consumed = null } = payload;
  return { text, uid, grantId, account, consumed };
}

function payloadOf(record: DevelopmentRecord): Partial<DevelopmentRecord> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== null));
}
