import type { TenantId } from "../core/ids.ts";

/** How much of what a tenant's streams say is kept on behalf of an instance. */
export interface StreamBudget {
  /** Takes room for something that is to be kept. False: there is not so much left. */
  take(tenantId: TenantId, bytes: number): boolean;
}

/** What is kept is removed after five minutes, by a sweep every half minute: then it is counted no more. */
const LIFE_MS = 6 * 60_000;
/** Of the keys of a row, its head and its places in indexes: a million of empty messages weigh something as well. */
const ROW_BYTES = 400;

/**
 * Counts by spans of at least the life of an event, the last one and the one before: so never less than is there, and up
 * to twice as long as it is. Only tenants that said something within them have an entry.
 *
 * @param of.bytes of a tenant, in messages and rows.
 * @param of.onSpent told of a tenant's first event in a span that is not kept.
 */
export function createStreamBudget(of: {
  readonly bytes: number;
  readonly monotonic: () => number;
  readonly onSpent: (tenantId: TenantId) => void;
}): StreamBudget {
  let since = of.monotonic();
  let before: ReadonlyMap<TenantId, number> = new Map();
  let now = new Map<TenantId, number>();
  const spent = new Set<TenantId>();

  const turn = (): void => {
    const spans = Math.floor((of.monotonic() - since) / LIFE_MS);
    if (spans === 0) return;
    before = spans === 1 ? now : new Map();
    now = new Map();
    spent.clear();
    since += spans * LIFE_MS;
  };

  return {
    take(tenantId, bytes) {
      turn();
      const taken = (now.get(tenantId) ?? 0) + ROW_BYTES + bytes;
      if (taken + (before.get(tenantId) ?? 0) <= of.bytes) {
        now.set(tenantId, taken);
        return true;
      }
      if (!spent.has(tenantId)) of.onSpent(tenantId);
      spent.add(tenantId);
      return false;
    },
  };
}
