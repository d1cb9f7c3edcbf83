import type { Clock } from "../core/clock.ts";
import { after, type Eventually } from "../core/eventually.ts";
import { type ApiKeyId, type IssuerId, parseTenantId, type Slug, type TenantId } from "../core/ids.ts";
import { createConfigurationCache } from "./configuration-cache.ts";
import type { ConfigurationChanges, ConfigurationSource } from "./configuration-source.ts";
import type { TenantName } from "./tenant-record.ts";
import type { TenantSnapshot, TrustedIssuer } from "./tenant-snapshot.ts";

/**
 * The configuration as this instance knows it: snapshots, cached and replaced when their version is old. Look-ups are
 * synchronous when cached, so that the request path does not wait. Each way to a tenant leads to the same snapshot.
 */
export interface TenantDirectory {
  /** Null: no such tenant. */
  bySlug(slug: Slug): TenantSnapshot | null | Promise<TenantSnapshot | null>;
  byId(id: TenantId): TenantSnapshot | null | Promise<TenantSnapshot | null>;
  byName(name: TenantName): TenantSnapshot | null | Promise<TenantSnapshot | null>;
  /** The tenant that has an API key. That it still has it is what the snapshot says: it may be newer than the way there. */
  byKey(key: ApiKeyId): TenantSnapshot | null | Promise<TenantSnapshot | null>;
  /** The tenant that a broker's claim value stands for. That it still does is what the snapshot says. */
  byClaim(issuer: IssuerId, claimValue: string): TenantSnapshot | null | Promise<TenantSnapshot | null>;
  brokers(): readonly TrustedIssuer[] | Promise<readonly TrustedIssuer[]>;
  /** Reads the changes since the last refresh and drops what they made old. */
  refresh(): Promise<void>;
  /** False when the configuration could not be read for longer than the bound: nothing may be served then. */
  isFresh(): boolean;
  /** Version that this instance has seen. */
  version(): number;
  /** Told of every tenant whose configuration was seen to have changed; null: all of them. */
  onChange(listener: (tenantId: TenantId | null, version: number) => void): void;
}

export function createTenantDirectory(options: {
  readonly source: ConfigurationSource;
  readonly clock: Clock;
  /** Longest time without a successful refresh, in milliseconds. */
  readonly maxStaleMs: number;
}): TenantDirectory {
  const { source, clock, maxStaleMs } = options;
  const snapshots = createConfigurationCache<TenantSnapshot>({ clock, tenantOf: ({ id }) => id });
  const tenantOf = (id: TenantId): TenantId => id;
  // Apart: keys and claims that are made up must not drive out slugs.
  const slugs = createConfigurationCache({ clock, tenantOf });
  const keys = createConfigurationCache({ clock, tenantOf });
  const claims = createConfigurationCache({ clock, tenantOf });
  const listeners: ((tenantId: TenantId | null, version: number) => void)[] = [];
  let brokers: readonly TrustedIssuer[] | Promise<readonly TrustedIssuer[]> | null = null;
  let version = 0;
  let refreshedAt = Number.NEGATIVE_INFINITY;

  const drop = (changes: ConfigurationChanges): void => {
    brokers = changes.everything || brokers instanceof Promise ? null : brokers;
    for (const cache of [snapshots, slugs, keys, claims]) cache.drop(changes);
  };

  const refresh = async (): Promise<void> => {
    // Before, not after: what is read may be as old as the moment of asking.
    const asked = clock.monotonic();
    const changes = await source.changesSince(version);
    refreshedAt = asked;
    if (changes.version === version) return;
    const first = version === 0;
    version = changes.version;
    drop(first ? { ...changes, everything: true } : changes);
    if (first) return;
    if (changes.everything) for (const listener of listeners) listener(null, version);
    else for (const tenant of changes.tenants) for (const listener of listeners) listener(tenant, version);
  };

  const ofId = (id: TenantId) => snapshots.get(id, () => source.snapshotOfId(id));
  const ofFound = (id: TenantId | null) => (id === null ? null : ofId(id));
  const follow = (id: Eventually<TenantId | null>) => after(id, ofFound);
  const ofSlug = (slug: Slug) => follow(slugs.get(slug, () => source.idOfSlug(slug)));

  let underWay: Promise<void> | null = null;
  let following: Promise<void> | null = null;
  const run = (): Promise<void> => {
    const running = refresh().finally(() => {
      if (underWay === running) underWay = null;
    });
    underWay = running;
    return running;
  };

  return {
    bySlug: ofSlug,
    byId: ofId,
    byName(name) {
      const id = parseTenantId(name);
      return id === null ? ofSlug(name as Slug) : ofId(id);
    },
    byKey: (key) => follow(keys.get(key, () => source.idOfKey(key))),
    byClaim: (issuer, value) =>
      follow(claims.get(`${issuer} ${value}`, () => source.idOfClaim(issuer, value))),
    brokers() {
      if (brokers !== null) return brokers;
      const pending = source.brokers();
      brokers = pending;
      pending.then(
        (found) => {
          if (brokers === pending) brokers = found;
        },
        () => {
          if (brokers === pending) brokers = null;
        },
      );
      return pending;
    },
    refresh() {
      // One at a time; all who ask meanwhile share the next, since the one under way may have read too early.
      if (following !== null) return following;
      if (underWay === null) return run();
      following = underWay
        .catch(() => {})
        .then(() => {
          following = null;
          return run();
        });
      return following;
    },
    isFresh: () => clock.monotonic() - refreshedAt <= maxStaleMs,
    version: () => version,
    onChange(listener) {
      listeners.push(listener);
    },
  };
}
