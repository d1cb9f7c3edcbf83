import { setTimeout as delay } from "node:timers/promises";
import type { TenantId } from "../../core/ids.ts";
import { isRefusal, type Refusal } from "../../core/refusal.ts";

/** A place among a tenant's operations in flight. */
export interface RunPlace {
  leave(): void;
  keepUntil(work: Promise<unknown>): void;
}

/** The runs of each tenant wait in line for their places. */
export interface PlaceLines {
  /** Null: it is not wanted any more, or there is no such tenant. Rejects with what `enter` rejects with. */
  placeFor(tenantId: TenantId, gone: () => boolean): Promise<RunPlace | null>;
}

/** Where there is no place it is looked for again after this long. */
const RETRY_MS = 100;

interface Waiting {
  readonly gone: () => boolean;
  readonly resolve: (place: RunPlace | null) => void;
  readonly reject: (cause: unknown) => void;
}

/**
 * One asks for a place for all of a tenant's runs that wait: if each asked for its own, a tenant with a thousand of them
 * would take the time of all others, and who came last might be first.
 *
 * @param enter a place for a run of a tenant's; a refusal: there is none now. Null: there is no such tenant.
 */
export function createPlaceLines(
  enter: (tenantId: TenantId) => Promise<RunPlace | Refusal | null>,
): PlaceLines {
  // Of tenants of which somebody waits.
  const lines = new Map<TenantId, Waiting[]>();

  /** The first that still wants a place; the others before it hear that they need none. */
  const next = (line: Waiting[]): Waiting | undefined => {
    for (;;) {
      const first = line.shift();
      if (first === undefined || !first.gone()) return first;
      first.resolve(null);
    }
  };

  const serve = async (tenantId: TenantId, line: Waiting[]): Promise<void> => {
    for (;;) {
      // Wherever they stand in the line, they leave it now: what waits is bounded by what is wanted.
      const wanted: Waiting[] = [];
      for (const each of line.splice(0))
        if (each.gone()) each.resolve(null);
        else wanted.push(each);
      line.push(...wanted);
      if (line.length === 0) break;
      try {
        const place = await enter(tenantId);
        if (isRefusal(place)) await delay(RETRY_MS, undefined, { ref: false });
        else {
          // It may have gone meanwhile.
          const first = next(line);
          if (first === undefined) place?.leave();
          else first.resolve(place);
        }
      } catch (cause) {
        next(line)?.reject(cause);
      }
    }
    lines.delete(tenantId);
  };

  return {
    placeFor: (tenantId, gone) =>
      new Promise((resolve, reject) => {
        const waiting: Waiting = { gone, resolve, reject };
        const line = lines.get(tenantId);
        if (line !== undefined) {
          line.push(waiting);
          return;
        }
        const begun = [waiting];
        lines.set(tenantId, begun);
        void serve(tenantId, begun);
      }),
  };
}
