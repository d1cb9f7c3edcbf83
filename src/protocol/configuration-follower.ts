import type { TenantId } from "../core/ids.ts";
import type { Change } from "../tenancy/client.ts";
import type { TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import type { ChangeStreams } from "./change-streams.ts";
import type { OpenWork, WorkingCaller } from "./open-work.ts";

/** Brings what is under way up to date with the configuration: ends what no longer holds, tells streams of the rest. */
export interface ConfigurationFollower {
  /** A tenant's configuration was seen to have changed; null: everybody's. */
  changed(tenantId: TenantId | null): void;
  /**
   * Tells a tenant's streams what was announced, under its configuration as it is now: what no longer holds is ended first
   * and hears nothing.
   *
   * @throws what the configuration, or a stream's subscriptions, could not be read with.
   */
  announced(tenantId: TenantId, changes: readonly Change[]): Promise<void>;
  /** Tries again what could not be read. To be called every half a second. */
  retry(): void;
}

/** Tenants looked at together: a change of a plan concerns all, and must leave connections to the requests. */
const AT_ONCE = 3;

export function createConfigurationFollower<Caller extends WorkingCaller>(options: {
  /** The tenant as it is now; null: it is gone. */
  readonly current: (tenantId: TenantId) => TenantSnapshot | null | Promise<TenantSnapshot | null>;
  readonly openWork: OpenWork<Caller>;
  readonly stillHolds: (snapshot: TenantSnapshot, caller: Caller) => boolean;
  readonly streams: Pick<ChangeStreams, "has" | "changed" | "announced">;
  /** Told once of a row of failures. */
  readonly onFault: (cause: unknown) => void;
}): ConfigurationFollower {
  const { openWork } = options;
  // Both hold tenants with work under way only.
  const waiting = new Set<TenantId>();
  const failed = new Set<TenantId>();
  let lookedAt = 0;

  const bringUpToDate = async (tenantId: TenantId): Promise<void> => {
    const snapshot = await options.current(tenantId);
    openWork.check(tenantId, snapshot, options.stillHolds);
    if (snapshot !== null) await options.streams.changed(snapshot);
  };

  const goOn = (): void => {
    for (const tenantId of waiting) {
      if (lookedAt >= AT_ONCE) return;
      waiting.delete(tenantId);
      lookedAt++;
      bringUpToDate(tenantId)
        .catch((cause: unknown) => {
          if (failed.size === 0) options.onFault(cause);
          failed.add(tenantId);
        })
        .finally(() => {
          lookedAt--;
          goOn();
        });
    }
  };

  return {
    changed(tenantId) {
      if (tenantId === null) for (const each of openWork.tenants()) waiting.add(each);
      else if (openWork.has(tenantId)) waiting.add(tenantId);
      goOn();
    },
    async announced(tenantId, changes) {
      if (!options.streams.has(tenantId)) return;
      const looked = options.current(tenantId);
      // Nothing is waited for where nothing has to be: whoever announces is heard before it goes on.
      const snapshot = looked instanceof Promise ? await looked : looked;
      openWork.check(tenantId, snapshot, options.stillHolds);
      if (snapshot !== null) await options.streams.announced(snapshot, changes);
    },
    retry() {
      if (failed.size === 0) return;
      for (const tenantId of failed) if (openWork.has(tenantId)) waiting.add(tenantId);
      failed.clear();
      goOn();
    },
  };
}
