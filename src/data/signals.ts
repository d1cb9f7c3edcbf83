import type { InstanceId, TenantId } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import { isOfTopic, parseSignal, type Signal, type SignalTopic } from "../core/signal.ts";
import { createWriteBehind } from "../core/write-behind.ts";
import type { SignalRepository, WrittenSignal } from "./signal-repository.ts";

/** What instances tell each other. */
export interface SignalBus {
  /**
   * Tells every other instance, in the order of the calls; whoever tells has acted on it itself already. Nobody waits,
   * and nothing is promised: a signal may be lost while the database does not answer.
   *
   * @returns why it is not told: `body_too_large` where it is larger than a signal may be, `rate_limited` (`data.limit` is
   *   "signalBytes") where it is large and the tenant has told much already.
   */
  publish(signal: Signal): Refusal | null;
  /** @returns what ends it. */
  subscribe<T extends SignalTopic>(topic: T, listener: (signal: Signal<T>) => void): () => void;
}

/** The bus as the instance that runs it sees it. */
export interface InstanceSignals extends SignalBus {
  /**
   * Reads what other instances have written by now, and hands it to the listeners: in order, each once. The first time
   * it only finds the end, so that what was said before this instance began concerns it not.
   *
   * @throws Fault `database_unavailable`.
   */
  catchUp(): Promise<void>;
  /** Takes a notification of the channel `bulkhead_signals`: its text names the instance that wrote. */
  heard(writer: string): void;
  /** Writes what is held. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Signals of one moment are written together: an instance commits at most about a hundred times a second. */
const LINGER_MS = 10;
const RETRY_MS = 250;
/** Largest payload, in bytes of JSON: as large as a client's message may be by default. */
const MAX_PAYLOAD_BYTES = 4 * 1_048_576;
/** Payloads beyond this are what clients have sent … */
const LARGE_BYTES = 16_384;
/**
 * … and this many bytes of them a tenant may have told by one instance in each minute, for which they are kept: every
 * instance reads them all, and any client can send answers that nobody waits for.
 */
const MAX_LARGE = { bytes: 32 * 1_048_576, withinMs: 60_000 } as const;

export function createSignals(options: {
  readonly repository: SignalRepository;
  readonly instanceId: InstanceId;
  /** Milliseconds of a clock that never goes back. */
  readonly monotonic: () => number;
  readonly onFault: (message: string, cause: unknown) => void;
}): InstanceSignals {
  const { repository, instanceId, monotonic, onFault } = options;
  const listeners = new Map<SignalTopic, Set<(signal: Signal) => void>>();
  const writer = createWriteBehind<WrittenSignal>({
    write: repository.write,
    ownerOf: ({ tenantId }) => tenantId,
    lingerMs: LINGER_MS,
    retryMs: RETRY_MS,
    maxBatch: { items: 500, bytes: 8 * 1_048_576 },
    maxHeld: { items: 10_000, bytes: 64 * 1_048_576 },
    onFault: (message, cause) => onFault(`Signals to other instances: ${message}`, cause),
  });
  let written = 0;
  let position: string | null = null;
  let reading: Promise<void> | null = null;
  let wanted = false;
  let closed = false;

  // Of the tenants that have told something large in this minute.
  const large = new Map<TenantId, number>();
  let largeSince = monotonic();

  const admit = (tenantId: TenantId, bytes: number): Refusal | null => {
    if (bytes <= LARGE_BYTES) return null;
    if (bytes > MAX_PAYLOAD_BYTES) return refuse("body_too_large", { data: { limit: MAX_PAYLOAD_BYTES } });
    const now = monotonic();
    if (now - largeSince >= MAX_LARGE.withinMs) {
      large.clear();
      largeSince = now;
    }
    const told = (large.get(tenantId) ?? 0) + bytes;
    if (told > MAX_LARGE.bytes) {
      const retryAfterMs = largeSince + MAX_LARGE.withinMs - now;
      return refuse("rate_limited", {
        retryAfterMs,
        data: { limit: "signalBytes", value: MAX_LARGE.bytes },
      });
    }
    large.set(tenantId, told);
    return null;
  };

  const deliver = (signal: Signal): void => {
    for (const listener of listeners.get(signal.topic) ?? []) {
      try {
        listener(signal);
      } catch (cause) {
        onFault(`A listener to ${signal.topic} failed.`, cause);
      }
    }
  };

  const read = async (): Promise<void> => {
    position ??= await repository.end();
    while (wanted && !closed) {
      wanted = false;
      for (let last = false; !last && !closed; ) {
        const page = await repository.readAfter(position);
        // Before they are delivered: each once, also when the next page cannot be read.
        position = page.position;
        last = page.last;
        for (const written of page.signals) {
          const signal = parseSignal(written);
          if (signal !== null) deliver(signal);
        }
      }
    }
  };

  const catchUp = (): Promise<void> => {
    // Also where one is under way: it may have looked before what this caller wants to see was there.
    wanted = true;
    reading ??= read().finally(() => {
      reading = null;
    });
    return reading;
  };

  return {
    publish({ tenantId, topic, payload }) {
      const text = JSON.stringify(payload);
      const bytes = Buffer.byteLength(text);
      const refused = admit(tenantId, bytes);
      if (refused === null) writer.add({ number: ++written, tenantId, topic, payload: text }, bytes);
      return refused;
    },
    subscribe(topic, listener) {
      const heard = (signal: Signal): void => {
        if (isOfTopic(signal, topic)) listener(signal);
      };
      const all = listeners.get(topic) ?? new Set();
      listeners.set(topic, all);
      all.add(heard);
      return () => {
        all.delete(heard);
      };
    },
    catchUp,
    heard(from) {
      // What fails here fails at the next regular reading as well, which tells of it.
      if (from !== instanceId && !closed) catchUp().catch(() => {});
    },
    flush: writer.flush,
    async close() {
      await writer.close();
      closed = true;
      await reading?.catch(() => {});
    },
  };
}
