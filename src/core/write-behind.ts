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
  /** Counts what was added. */
  readonly number: number;
  readonly owner: string;
}

interface Bound {
  readonly items: number;
  readonly bytes: number;
}

/**
 * While the store does not answer (Fault `database_unavailable`), what is held waits, and beyond `maxHeld` the oldest of
 * the owner of the most is lost: whoever adds more than can be written loses it himself. A batch that the store refuses is halved until the item that it refuses stands alone, and that one is lost.
 *
 * @param options.write commits all of a batch or none. May be given again what it had committed when its answer was lost.
 * @param options.ownerOf whose an item is. Default: all are one owner's.
 * @param options.lingerMs how long an item may wait for others, in milliseconds.
 * @param options.retryMs pause after the store did not answer.
 * @param options.onFault told once of each time that the store does not answer, and of what is lost.
 */
export function createWriteBehind<T>(options: {
  write(batch: readonly T[]): Promise<void>;
  ownerOf?(item: T): string;
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
  const byOwner = new Map<string, { items: number; bytes: number }>();
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<void> | null = null;
  let unreachable = false;
  let closed = false;
  let added = 0;
  /** Number of the first that is being written. */
  let writing = Number.POSITIVE_INFINITY;
  let lost = 0;

  const count = ({ owner, bytes }: Held<T>, by: 1 | -1): void => {
    heldBytes += by * bytes;
    const own = byOwner.get(owner) ?? { items: 0, bytes: 0 };
    own.items += by;
    own.bytes += by * bytes;
    if (own.items > 0) byOwner.set(owner, own);
    else byOwner.delete(owner);
  };

  const ownerOfMost = (of: keyof Bound): string | undefined => {
    let most: { readonly owner: string; readonly held: number } | undefined;
    for (const [owner, own] of byOwner) {
      if (most === undefined || own[of] > most.held) most = { owner, held: own[of] };
    }
    return most?.owner;
  };

  const take = (): Held<T>[] => {
    let items = 0;
    let bytes = 0;
    for (const held of queue) {
      if (items === maxBatch.items || (items > 0 && bytes + held.bytes > maxBatch.bytes)) break;
      items++;
      bytes += held.bytes;
    }
    const batch = queue.slice(0, items);
    queue = queue.slice(items);
    for (const held of batch) count(held, -1);
    return batch;
  };

  const bound = (): void => {
    while (queue.length > maxHeld.items || heldBytes > maxHeld.bytes) {
      const owner = ownerOfMost(heldBytes > maxHeld.bytes ? "bytes" : "items");
      const [oldest] = queue.splice(
        queue.findIndex((held) => held.owner === owner),
        1,
      );
      if (oldest === undefined) return;
      count(oldest, -1);
      lost++;
    }
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
    return [];
  };

  const runOne = async (): Promise<void> => {
    const batch = take();
    writing = batch[0]?.number ?? writing;
    const left = batch.length === 0 ? [] : await writeOrHalve(batch);
    writing = Number.POSITIVE_INFINITY;
    if (left.length > 0) {
      queue = [...left, ...queue];
      for (const held of left) count(held, 1);
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
    while (Math.min(writing, queue[0]?.number ?? writing) <= target) await start();
  };

  return {
    add(item, bytes) {
      if (closed) return;
      const held = { item, bytes, number: ++added, owner: options.ownerOf?.(item) ?? "" };
      queue.push(held);
      count(held, 1);
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
