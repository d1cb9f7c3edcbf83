import { hash } from "node:crypto";
import type { CryptoKey } from "jose";
import type { Clock } from "../core/clock.ts";
import type { IssuerId } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { TrustedIssuer } from "../tenancy/tenant-snapshot.ts";
import { createGuardedFetch, type GuardedFetch, type GuardedFetchOptions } from "./guarded-fetch.ts";
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
  /** The published `kid` of a key that {@link find} gave, also where the token named none; null where it has none. */
  keyIdOf(key: CryptoKey): string | null;
  /** Whether the issuer was seen to publish a key that {@link find} gave no more. */
  isWithdrawn(key: CryptoKey): boolean;
}

/** Milliseconds after which keys are read again. */
const FRESH_MS = 600_000;
/** Milliseconds up to which requests do not wait for that reading. Older keys belong to an issuer hardly used. */
const UNHURRIED_MS = 1_200_000;
/** Milliseconds since the last successful reading for which keys are used while the endpoint is down. */
const STALE_MS = 3_600_000;
/**
 * Readings that unknown key ids may cause, since anybody can send tokens with new ones: so many at once, and one more
 * in each of so many milliseconds.
 */
const SEARCHES = 4;
const SEARCH_EVERY_MS = 10_000;
/** Milliseconds for which a key id that was looked for and not found is not looked for again, and how many are kept. */
const MISSING_MS = 30_000;
const MAX_MISSING = 64;
const MAX_BACK_OFF_MS = 60_000;
/** More registrations than this lose the keys of the one read first. */
const MAX_ISSUERS = 10_000;

interface IssuerKeys {
  readonly jwksUri: string;
  set: KeySet | undefined;
  /** When `set` was read, on the monotonic clock, like the other times here. */
  readAt: number;
  failures: number;
  retryAt: number;
  reading: Promise<void> | undefined;
  /** Why the last reading failed, for the log. */
  fault: string;
  /** When all searches made so far will have been allowed for (the generic cell rate algorithm). */
  searchedUntil: number;
  /** Hashes of what was looked for and not found, oldest first, and when. */
  readonly missing: Map<string, number>;
  /** Key ids that the issuer has withdrawn, the last time that it withdrew any. */
  withdrawn: ReadonlySet<unknown>;
}

export function createKeySets(
  options: { readonly clock: Clock } & ({ readonly fetch: GuardedFetch } | GuardedFetchOptions),
): KeySets {
  const { clock } = options;
  const fetch = "fetch" in options ? options.fetch : createGuardedFetch(options);
  const records = new Map<IssuerId, IssuerKeys>();
  const publishedAs = new WeakMap<CryptoKey, PublishedKey>();
  const withdrawn = new WeakSet<PublishedKey>();

  function recordOf(issuer: TrustedIssuer, jwksUri: string): IssuerKeys {
    const known = records.get(issuer.id);
    // Another address is another set: keys of the old one must not outlive the change.
    if (known !== undefined && known.jwksUri === jwksUri) return known;
    const record: IssuerKeys = {
      jwksUri,
      set: undefined,
      readAt: Number.NEGATIVE_INFINITY,
      failures: 0,
      retryAt: Number.NEGATIVE_INFINITY,
      reading: undefined,
      fault: "",
      searchedUntil: Number.NEGATIVE_INFINITY,
      missing: new Map(),
      withdrawn: new Set(),
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
    try {
      const before = record.set;
      record.set = readKeySet(await fetch(record.jwksUri), before);
      const { keys } = record.set;
      const gone = before?.keys.filter((key) => !keys.includes(key)) ?? [];
      for (const key of gone) withdrawn.add(key);
      if (gone.length > 0) record.withdrawn = new Set(gone.map(({ jwk }) => jwk.kid));
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

  function holds(record: IssuerKeys, wanted: WantedKey, now: number): boolean {
    return (
      record.set !== undefined && now - record.readAt <= STALE_MS && record.set.find(wanted) !== "unknown"
    );
  }

  /** Answers from what is there. */
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

  /** Answers after a reading that begins no earlier than this call, where one may. */
  async function seek(record: IssuerKeys, wanted: WantedKey): Promise<CryptoKey | Refusal> {
    if (record.reading !== undefined) {
      // It may have asked before the issuer published this key.
      await record.reading;
      if (record.failures > 0 || holds(record, wanted, clock.monotonic())) return settle(record, wanted);
    }
    if (record.reading === undefined) {
      const now = clock.monotonic();
      const wait = admitReading(record, now);
      if (wait > 0) {
        if (record.failures > 0 || isMissing(record, wanted, now) || record.withdrawn.has(wanted.kid)) {
          return settle(record, wanted);
        }
        // Strangers may have used up the searches, and clients throw away a token that is called invalid.
        return unsearched(wait);
      }
    }
    await readOnce(record);
    const now = clock.monotonic();
    if (record.failures === 0 && !holds(record, wanted, now)) noteMissing(record, wanted, now);
    return settle(record, wanted);
  }

  function use(published: PublishedKey, alg: string): CryptoKey | Promise<CryptoKey | Refusal> {
    const note = (key: CryptoKey) => {
      publishedAs.set(key, published);
      return key;
    };
    const imported = published.use(alg);
    if (!(imported instanceof Promise)) return note(imported);
    return imported.then(note, () => refuse("token_invalid", { cause: "the issuer's key is not valid" }));
  }

  return {
    find(issuer, wanted) {
      if (issuer.jwksUri === null) return refuse("token_invalid", { cause: "the issuer publishes no keys" });
      const record = recordOf(issuer, issuer.jwksUri);
      const now = clock.monotonic();
      const age = now - record.readAt;
      if (holds(record, wanted, now)) {
        if (age <= FRESH_MS) return settle(record, wanted);
        if (age <= UNHURRIED_MS || record.failures > 0) {
          if (admitReading(record, now) === 0) void readOnce(record);
          return settle(record, wanted);
        }
      } else if (age <= FRESH_MS && isMissing(record, wanted, now)) {
        return settle(record, wanted);
      }
      return seek(record, wanted);
    },
    keyIdOf(key) {
      const kid = publishedAs.get(key)?.jwk.kid;
      return typeof kid === "string" ? kid : null;
    },
    isWithdrawn(key) {
      const published = publishedAs.get(key);
      return published !== undefined && withdrawn.has(published);
    },
  };
}

/**
 * Milliseconds until a reading may begin: not while it backs off, and of fresh keys only as often as searches may be made.
 * 0: it may, and where it is a search it is counted.
 */
function admitReading(record: IssuerKeys, now: number): number {
  if (now < record.retryAt) return record.retryAt - now;
  if (now - record.readAt > FRESH_MS) return 0;
  const next = Math.max(record.searchedUntil, now) + SEARCH_EVERY_MS;
  const wait = next - now - SEARCHES * SEARCH_EVERY_MS;
  if (wait > 0) return wait;
  record.searchedUntil = next;
  return 0;
}

function isMissing(record: IssuerKeys, wanted: WantedKey, now: number): boolean {
  const since = record.missing.get(missingName(wanted));
  return since !== undefined && now - since < MISSING_MS;
}

function noteMissing(record: IssuerKeys, wanted: WantedKey, now: number): void {
  const name = missingName(wanted);
  record.missing.delete(name);
  record.missing.set(name, now);
  if (record.missing.size > MAX_MISSING) {
    const oldest = record.missing.keys().next();
    if (!oldest.done) record.missing.delete(oldest.value);
  }
}

/** Hashed, because a key id from outside may be as long as a token. */
function missingName({ alg, kid }: WantedKey): string {
  return hash("sha256", `${alg}\n${kid ?? ""}`, "base64");
}

function unsearched(waitMs: number): Refusal {
  return refuse("keys_unavailable", {
    retryAfterMs: Math.max(1000, Math.ceil(waitMs)),
    cause: "key set: kid is unknown, and too many others were looked for",
  });
}

function unavailable(record: IssuerKeys, now: number): Refusal {
  return refuse("keys_unavailable", {
    retryAfterMs: Math.max(1000, Math.ceil(record.retryAt - now)),
    cause: `key set: ${record.fault}`,
  });
}
