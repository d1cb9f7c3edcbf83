import type { Clock } from "../core/clock.ts";
import { Fault } from "../core/fault.ts";
import type { TenantId } from "../core/ids.ts";
import type { ConfigurationChanges, Reading } from "./configuration-source.ts";

/**
 * What is known of tenants by one kind of key. What is there is answered at once. Of each key one reading is under way at
 * most, which all who ask meanwhile share: however many ask, a tenant takes one connection.
 */
export interface ConfigurationCache<Found> {
  /**
   * Never answers what a change made old that was heard of before the answer: whoever waited would act on it after
   * everybody else was stopped.
   *
   * @throws Fault `configuration_stale` where it changed as often as it was read.
   */
  get(key: string, read: () => Promise<Reading<Found>>): Found | null | Promise<Found | null>;
  /** Drops what a change made old: these tenants', or everything. */
  drop(changes: ConfigurationChanges): void;
}

/** Tenants held. Beyond it the one that was not asked for longest goes. */
const MAX_FOUND = 20_000;
/** Misses held, apart from the others: strangers make them up, and must not drive out tenants. */
const MAX_MISSES = 5_000;
/** A miss is asked again after this long, in milliseconds, even without a change. */
const MISS_MS = 1_000;
/** Readings for one answer. A second is needed only where a change was made, and heard of, while the first was coming. */
const MAX_READINGS = 5;

export function createConfigurationCache<Found>(options: {
  readonly clock: Clock;
  readonly tenantOf: (found: Found) => TenantId;
}): ConfigurationCache<Found> {
  const { clock, tenantOf } = options;
  const known = new Map<string, Found>();
  const misses = new Map<string, number>();
  const underWay = new Map<string, { readonly news: News; readonly answer: Promise<Found | null> }>();

  const keep = (key: string, found: Found | null): void => {
    misses.delete(key);
    if (found === null) {
      misses.set(key, clock.monotonic() + MISS_MS);
      dropOldest(misses, MAX_MISSES);
    } else {
      known.set(key, found);
      dropOldest(known, MAX_FOUND);
    }
  };

  const readCurrent = async (
    key: string,
    read: () => Promise<Reading<Found>>,
    news: News,
  ): Promise<Found | null> => {
    for (let left = MAX_READINGS; left > 0; left--) {
      const { found, version } = await read();
      if (version < news.versionFor(found === null ? null : tenantOf(found))) continue;
      keep(key, found);
      return found;
    }
    throw new Fault("configuration_stale", { detail: "It changed as often as it was read." });
  };

  return {
    get(asked, read) {
      const held = known.get(asked);
      if (held !== undefined) {
        // Moving it to the end on every hit would cost the request path; it matters only where some may have to go.
        if (known.size > MAX_FOUND / 2) {
          known.delete(asked);
          known.set(ownText(asked), held);
        }
        return held;
      }
      const key = ownText(asked);
      if ((misses.get(key) ?? Number.NEGATIVE_INFINITY) > clock.monotonic()) return null;
      const joined = underWay.get(key);
      if (joined !== undefined) return joined.answer;
      const news = createNews();
      const answer = readCurrent(key, read, news).finally(() => underWay.delete(key));
      underWay.set(key, { news, answer });
      return answer;
    },
    drop(changes) {
      for (const { news } of underWay.values()) news.hear(changes);
      // A new tenant is a change too, and may be one of the misses.
      misses.clear();
      if (changes.everything) {
        known.clear();
        return;
      }
      const changed = new Set(changes.tenants);
      for (const [key, found] of known) if (changed.has(tenantOf(found))) known.delete(key);
    },
  };
}

/** The changes that were heard of while something was being read: so that one tenant's do not make others' readings old. */
interface News {
  hear(changes: ConfigurationChanges): void;
  /** What was read of a tenant must be of this version or a newer one; null: what was not found, which any change concerns. */
  versionFor(tenantId: TenantId | null): number;
}

function createNews(): News {
  // Bounded by the tenants that change within the time that a reading may take.
  const ofTenants = new Map<TenantId, number>();
  let ofAll = 0;
  let ofAny = 0;
  return {
    hear({ version, tenants, everything }) {
      ofAny = version;
      if (everything) ofAll = version;
      else for (const tenantId of tenants) ofTenants.set(tenantId, version);
    },
    versionFor: (tenantId) => (tenantId === null ? ofAny : Math.max(ofAll, ofTenants.get(tenantId) ?? 0)),
  };
}

/**
 * Through bytes: V8 makes a part of a text by referring to the whole, so whoever keeps the slug of a URL would keep the URL,
 * and the token that somebody put into its query.
 */
function ownText(text: string): string {
  return Buffer.from(text).toString();
}

function dropOldest(map: Map<string, unknown>, limit: number): void {
  const oldest = map.size > limit ? map.keys().next().value : undefined;
  if (oldest !== undefined) map.delete(oldest);
}
