import type { CryptoKey } from "jose";
import type { Clock } from "../core/clock.ts";
import type { IssuerId } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { TrustedIssuer } from "../tenancy/tenant-snapshot.ts";
import { createKeyFetch, type KeyFetch, type KeyFetchOptions } from "./key-fetch.ts";
import { type KeySet, type PublishedKey, readKeySet, type WantedKey } from "./key-set.ts";

/** The public keys of issuers: a set for each registration, never merged, so that no issuer can sign for another. */
export interface KeySets {
  /**
   * The key that may have made a signature. Answers at once when it has it.
   *
   * @returns a refusal `token_invalid` where the issuer has no such key, `keys_unavailable` where that cannot be known
   *   at the moment.
   */
  find(issuer: TrustedIssuer, wanted: WantedKey): CryptoKey | Refusal | Promise<CryptoKey | Refusal>;
  /** Forgets a registration's keys: they are read anew when next needed. */
  forget(issuer: IssuerId): void;
}

/** Milliseconds after which keys are read again before they are used. */
const FRESH_MS = 600_000;
/** Milliseconds since the last successful reading for which keys are used while the endpoint is down. */
const STALE_MS = 3_600_000;
/** Milliseconds between two readings that unknown key ids may cause: anybody can send tokens with new ones. */
const COOL_DOWN_MS = 30_000;
const MAX_BACK_OFF_MS = 60_000;
/** More registrations than this lose the keys of the one read first. */
const MAX_ISSUERS = 10_000;

interface IssuerKeys {
  readonly jwksUri: string;
  set: KeySet | undefined;
  /** On the monotonic clock, like the other times here. */
  readAt: number;
  attemptedAt: number;
  failures: number;
  retryAt: number;
  reading: Promise<void> | undefined;
  /** Why the last reading failed, for the log. */
  fault: string;
}

export function createKeySets(
  options: { readonly clock: Clock; readonly fetch?: KeyFetch } & KeyFetchOptions,
): KeySets {
  const { clock } = options;
  const fetch = options.fetch ?? createKeyFetch(options);
  const records = new Map<IssuerId, IssuerKeys>();

  function recordOf(issuer: TrustedIssuer, jwksUri: string): IssuerKeys {
    const known = records.get(issuer.id);
    // Another address is another set: keys of the old one must not outlive the change.
    if (known !== undefined && known.jwksUri === jwksUri) return known;
    const record: IssuerKeys = {
      jwksUri,
      set: undefined,
      readAt: 0,
      attemptedAt: Number.NEGATIVE_INFINITY,
      failures: 0,
      retryAt: Number.NEGATIVE_INFINITY,
      reading: undefined,
      fault: "",
    };
    records.delete(issuer.id);
    records.set(issuer.id, record);
    if (records.size > MAX_ISSUERS) {
      const first = records.keys().next();
      if (!first.done) records.delete(first.value);
    }
    return record;
  }

  async function read(record: IssuerKeys): Promise<void> {
    record.attemptedAt = clock.monotonic();
    try {
      record.set = readKeySet(await fetch(record.jwksUri), record.set);
      record.readAt = clock.monotonic();
      record.failures = 0;
    } catch (error) {
      record.fault = error instanceof Error ? error.message : "unknown";
      record.retryAt = clock.monotonic() + Math.min(1000 * 2 ** record.failures, MAX_BACK_OFF_MS);
      record.failures++;
    }
  }

  /** One reading at a time for each registration, however many requests wait for it. */
  function readOnce(record: IssuerKeys): Promise<void> {
    record.reading ??= read(record).finally(() => {
      record.reading = undefined;
    });
    return record.reading;
  }

  function settle(record: IssuerKeys, wanted: WantedKey): CryptoKey | Refusal | Promise<CryptoKey | Refusal> {
    const now = clock.monotonic();
    if (record.set === undefined || now - record.readAt > STALE_MS) return unavailable(record, now);
    const found = record.set.find(wanted);
    if (found === "ambiguous")
      return refuse("token_invalid", { cause: "kid does not name one key of the issuer" });
    if (found !== "unknown") return use(found, wanted.alg);
    // While the endpoint is down it is not known whether the issuer has published this key.
    if (record.failures > 0) return unavailable(record, now);
    return refuse("token_invalid", { cause: "kid is not a key of the issuer" });
  }

  return {
    find(issuer, wanted) {
      if (issuer.jwksUri === null) return refuse("token_invalid", { cause: "the issuer publishes no keys" });
      const record = recordOf(issuer, issuer.jwksUri);
      const now = clock.monotonic();
      const fresh = record.set !== undefined && now - record.readAt <= FRESH_MS;
      const known = fresh && record.set?.find(wanted) !== "unknown";
      const mayRead = now >= record.retryAt && (!fresh || now - record.attemptedAt >= COOL_DOWN_MS);
      if (known || (record.reading === undefined && !mayRead)) return settle(record, wanted);
      return readOnce(record).then(() => settle(record, wanted));
    },
    forget(issuer) {
      records.delete(issuer);
    },
  };
}

function use(key: PublishedKey, alg: string): CryptoKey | Promise<CryptoKey | Refusal> {
  const imported = key.use(alg);
  if (!(imported instanceof Promise)) return imported;
  return imported.catch(() => refuse("token_invalid", { cause: "the issuer's key is not valid" }));
}

function unavailable(record: IssuerKeys, now: number): Refusal {
  return refuse("keys_unavailable", {
    retryAfterMs: Math.max(1000, Math.ceil(record.retryAt - now)),
    cause: `key set: ${record.fault}`,
  });
}
