import { AsyncLocalStorage } from "node:async_hooks";
import { Fault } from "./fault.ts";

/** Writes in batches what nobody waits for, in the order in which it came. */
export interface WriteBehind<T> {
  /** @param bytes what it weighs, so that what is held has a bound. */
  add(item: T, bytes: number): void;
  /** Resolves when what was added before is written or lost. Rejects where the store does not answer. */
  flush(): Promise<void>;
  /** Writes what is held, if it can, and then no more. */
  close(): Promise<void>;
}

interface Held<T> {
  readonly item: T;
  readonly bytes: number;
}

interface Bound {
  readonly items: number;
  readonly bytes: number;
}

/**
 * While the store does not answer (Fault `database_unavailable`), what is held waits, and beyond `maxHeld` the oldest is
 * lost. A batch that the store refuses is halved until the item that it refuses stands alone, and that one is lost.
 *
 * @param options.write commits all of a batch or none. May be given again what it had committed when its answer was lost.
 * @param options.lingerMs how long an item may wait for others, in milliseconds.
 * @param options.retryMs pause after the store did not answer.
 * @param options.onFault told once of each time that the store does not answer, and of what is lost.
 */
export function createWriteBehind<T>(options: {
  write(batch: readonly T[]): Promise<void>;
  readonly lingerMs: number;
  readonly retryMs: number;
  readonly maxBatch: Bound;
  readonly maxHeld: Bound;
  onFault(message: string, cause: unknown): void;
}): WriteBehind<T> {
  const { write, lingerMs, retryMs, maxBatch, maxHeld, onFault } = options;
  // Timers live on in the context that sets them: not in that of one of the requests, which would be kept with it.
  const outside = AsyncLocalStorage.snapshot();
  let queue: Held<T>[] = [];
  let heldBytes = 0;
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<void> | null = null;
  let unreachable = false;
  let closed = false;
  let added = 0;
  let settled = 0;
  let lost = 0;

  const take = (): Held<T>[] => {
    let count = 0;
    let bytes = 0;
    for (const held of queue) {
      if (count === maxBatch.items || (count > 0 && bytes + held.bytes > maxBatch.bytes)) break;
      count++;
      bytes += held.bytes;
    }
    const batch = queue.slice(0, count);
    queue = queue.slice(count);
    heldBytes -= bytes;
    return batch;
  };

  const bound = (): void => {
    let count = 0;
    while (queue.length - count > maxHeld.items || (heldBytes > maxHeld.bytes && count < queue.length)) {
      heldBytes -= queue[count]?.bytes ?? 0;
      count++;
    }
    if (count === 0) return;
    queue.splice(0, count);
    settled += count;
    lost += count;
  };

  /** Gives back what was not written because the store does not answer; empty: all is settled. */
  const writeOrHalve = async (batch: readonly Held<T>[]): Promise<readonly Held<T>[]> => {
    try {
      await write(batch.map(({ item }) => item));
      unreachable = false;
    } catch (cause) {
      if (cause instanceof Fault && cause.code === "database_unavailable") {
        if (!unreachable) onFault("The database does not answer; what is to be written waits.", cause);
        unreachable = true;
        return batch;
      }
      if (batch.length > 1) {
        const half = batch.length >> 1;
        const left = await writeOrHalve(batch.slice(0, half));
        if (left.length > 0) return [...left, ...batch.slice(half)];
        return writeOrHalve(batch.slice(half));
      }
      onFault("The database refused a row; it is lost.", cause);
    }
    settled += batch.length;
    return [];
  };

  const runOne = async (): Promise<void> => {
    const batch = take();
    const left = batch.length === 0 ? [] : await writeOrHalve(batch);
    if (left.length > 0) {
      queue = [...left, ...queue];
      for (const { bytes } of left) heldBytes += bytes;
      bound();
    }
    if (lost > 0) {
      onFault(`${lost} rows could not be written and are lost: more were held than may be.`, undefined);
      lost = 0;
    }
    if (left.length > 0) throw new Fault("database_unavailable");
  };

  /** Writes one batch, or waits for the one that is being written. */
  const start = (): Promise<void> => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    running ??= outside(runOne).finally(() => {
      running = null;
      if (queue.length > 0 && !closed) schedule(unreachable ? retryMs : 0);
    });
    return running;
  };

  const startAlone = (): void => {
    start().catch(() => {});
  };

  const schedule = (delay: number): void => {
    timer ??= outside(() => setTimeout(startAlone, delay));
  };

  const flush = async (): Promise<void> => {
    const target = added;
    while (settled < target) await start();
  };

  return {
    add(item, bytes) {
      if (closed) return;
      added++;
      queue.push({ item, bytes });
      heldBytes += bytes;
      bound();
      if (running !== null) return;
      if (!unreachable && (queue.length >= maxBatch.items || heldBytes >= maxBatch.bytes)) startAlone();
      else schedule(lingerMs);
    },
    flush,
    async close() {
      closed = true;
      // Its failure was told of; what is held then is lost with the process.
      await flush().catch(() => {});
      if (timer !== null) clearTimeout(timer);
    },
  };
}
