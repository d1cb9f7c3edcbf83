import { createHash } from "node:crypto";
import type { Adapter, AdapterPayload } from "oidc-provider";
import type { Clock } from "../../core/clock.ts";
import type { OidcProvider } from "./load-oidc-provider.ts";

/** What an issuer keeps under an id. */
export interface StoredRecord {
  /** JSON, to be given back as it is. */
  readonly text: string;
  /** By which it is found besides. */
  readonly uid: string | null;
  /** What it was given on, and goes with. */
  readonly grantId: string | null;
  readonly account: string | null;
  /** When it was used up, in seconds since 1970. */
  readonly consumed: number | null;
}

export interface RecordKey {
  /** The issuer's name. */
  readonly issuer: string;
  readonly kind: string;
  readonly id: string;
}

/** Where issuers keep clients, grants, refresh tokens and what goes with them: the data room's port. Bounded by it. */
export interface IssuerStorage {
  /** @param seconds until it expires; null: never. */
  put(key: RecordKey, record: StoredRecord, seconds: number | null): Promise<void>;
  /** Null: never there, expired, or removed. */
  find(key: RecordKey): Promise<StoredRecord | null>;
  findByUid(key: Omit<RecordKey, "id">, uid: string): Promise<StoredRecord | null>;
  /** False where it was used up before. */
  consume(key: RecordKey, consumed: number): Promise<boolean>;
  remove(key: RecordKey): Promise<void>;
  removeOfGrant(key: Omit<RecordKey, "id">, grantId: string): Promise<void>;
}

/**
 * Fits the storage to the library. Ids are what a bearer shows (codes, refresh tokens, session cookies), so only their
 * SHA-256 is kept, as the key, and they are left out of what is kept under it. Two things stay readable: a registered
 * client's secret, since the library compares it, and the address of an open sign-in, which counts only with its cookie.
 */
export function createIssuerStorage(of: {
  readonly storage: IssuerStorage;
  readonly issuer: string;
  readonly clock: Clock;
  readonly library: OidcProvider;
}): (kind: string) => Adapter {
  const { storage, issuer, clock } = of;
  return (kind) => {
    const keyOf = (id: string): RecordKey => ({
      issuer,
      kind,
      id: createHash("sha256").update(id).digest("base64url"),
    });
    return {
      async upsert(id, payload, expiresIn) {
        const { uid, grantId, accountId, consumed } = payload;
        // Null stands for the id, with which it is asked for again.
        const text = JSON.stringify(payload.jti === id ? { ...payload, jti: null } : payload);
        await storage.put(
          keyOf(id),
          {
            text,
            uid: uid ?? null,
            grantId: grantId ?? null,
            account: accountId ?? null,
            consumed: typeof consumed === "number" ? consumed : null,
          },
          expiresIn ?? null,
        );
      },
      async find(id) {
        const record = await storage.find(keyOf(id));
        return record === null ? undefined : payloadOf(record, id);
      },
      async findByUid(uid) {
        const record = await storage.findByUid({ issuer, kind }, uid);
        return record === null ? undefined : payloadOf(record, undefined);
      },
      // Only the device flow has user codes, which is off.
      findByUserCode: async () => undefined,
      async consume(id) {
        // The library has looked before; of two that looked at the same moment one is refused here.
        if (!(await storage.consume(keyOf(id), Math.floor(clock.now() / 1000)))) {
          throw new of.library.errors.InvalidGrant("it was used before");
        }
      },
      destroy: (id) => storage.remove(keyOf(id)),
      revokeByGrantId: (grantId) => storage.removeOfGrant({ issuer, kind }, grantId),
    };
  };
}

function payloadOf(record: StoredRecord, id: string | undefined): AdapterPayload {
  const payload: AdapterPayload & { jti?: string | null } = JSON.parse(record.text);
  const { jti, ...rest } = payload;
  return {
    ...rest,
    ...(jti === null ? (id === undefined ? {} : { jti: id }) : jti === undefined ? {} : { jti }),
    ...(record.consumed === null ? {} : { consumed: record.consumed }),
  };
}
