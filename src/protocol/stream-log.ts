import type { SessionId, TenantId } from "../core/ids.ts";
import { createWriteBehind } from "../core/write-behind.ts";
import type { SignalPort } from "./signal-port.ts";
import { createStreamBudget } from "./stream-budget.ts";

/** A stream of a session. */
export interface StreamName {
  readonly tenantId: TenantId;
  readonly sessionId: SessionId;
  readonly streamId: string;
}

/** Something that was said on a stream: `seq` counts from 1. */
export interface StreamEvent {
  readonly seq: number;
  /** A JSON-RPC message; null: nothing follows. */
  readonly message: string | null;
}

/** Where it is kept what was said: the data room's port. */
export interface StreamStore {
  write(rows: readonly (StreamName & StreamEvent)[]): Promise<void>;
  trim(
    streams: readonly StreamName[],
    kept: { readonly events: number; readonly bytes: number },
  ): Promise<void>;
  /** As many as begin within the first so many bytes. */
  read(
    stream: StreamName,
    from: { readonly afterSeq: number; readonly bytes: number },
  ): Promise<readonly StreamEvent[] | null>;
}

/** What was said of a stream that follows an event: the beginning of it. */
export interface StreamPage {
  readonly events: readonly StreamEvent[];
  /** Whether more follows than these. */
  readonly more: boolean;
}

/**
 * What was said on the streams of sessions, so that a client may come back for it to any instance: of a tenant as much as
 * there is room for. Where there is none left for an event, nothing is kept of its stream any more: with a gap in it, it
 * would have a client wait for an answer that was given already.
 */
export interface StreamLog {
  /** Notes that there is such a stream, on which nothing was said yet. Gives false as {@link append} does. */
  open(stream: StreamName): boolean;
  /**
   * Notes what is said, in the order of the calls; nobody waits. When it is written, other instances are told
   * (`stream_written`), once for all that was written together.
   *
   * @returns false: there was no room for it. The stream is forgotten, and is not to be noted any further.
   */
  append(event: StreamName & StreamEvent): boolean;
  /**
   * What was said after `afterSeq`, in order, by whichever instance: of the last five minutes, 1,000 events and 4 MB. What
   * is older is left out. No more at once than a reader takes, or else a slow one had the same read again and again.
   * Null: there is no such stream.
   *
   * @throws Fault `database_unavailable`.
   */
  read(stream: StreamName, afterSeq: number): Promise<StreamPage | null>;
  /** Resolves when what was said before is written. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

const LINGER_MS = 10;
const RETRY_MS = 500;
/** An event is read where less than this stands before it: fewer bytes than this are all that there is. */
const PAGE_BYTES = 65_536;
const KEPT = { events: 1_000, bytes: 4 * 1_048_576 } as const;
/**
 * What all streams of a tenant say on an instance and is kept, in bytes, over a life of events or two: or else one whose
 * handlers say much filled the database for all.
 */
const KEPT_OF_TENANT = 256 * 1_048_576;
/** Stands for an event for which there was no room. */
const FORGOTTEN = -1;
/** What a trim leaves of such a stream. */
const NOTHING = { events: 0, bytes: 0 } as const;
/** Streams of which it is known how much was said. One that falls out is counted anew, and so may keep twice as much. */
const MAX_COUNTED = 20_000;

export function createStreamLog(options: {
  readonly store: StreamStore;
  readonly signals: SignalPort;
  readonly monotonic: () => number;
  /** Default 256 MB. */
  readonly keptOfTenant?: number;
  readonly onFault: (message: string, cause: unknown) => void;
}): StreamLog {
  const { store, signals, onFault, keptOfTenant = KEPT_OF_TENANT } = options;
  const said = new Map<string, { events: number; bytes: number }>();
  const budget = createStreamBudget({
    bytes: keptOfTenant,
    monotonic: options.monotonic,
    onSpent: (tenantId) =>
      onFault(
        `Streams: those of ${tenantId} say more than is kept of a tenant; clients cannot come back for the rest.`,
        undefined,
      ),
  });

  /** The streams of a batch, each with its last event in it. */
  const write = async (batch: readonly (StreamName & StreamEvent)[]): Promise<void> => {
    const forgotten = batch.filter(({ seq }) => seq === FORGOTTEN);
    await store.write(forgotten.length === 0 ? batch : batch.filter(({ seq }) => seq !== FORGOTTEN));
    // With the batch: what is left of one would be taken for all of it.
    if (forgotten.length > 0) await store.trim(forgotten, NOTHING);
    const streams = new Map<string, StreamName & StreamEvent>();
    const full = new Map<string, StreamName>();
    for (const event of batch) {
      const key = keyOf(event);
      streams.set(key, event);
      const count = said.get(key) ?? { events: 0, bytes: 0 };
      count.events++;
      count.bytes += sizeOf(event);
      said.delete(key);
      said.set(key, count);
      if (count.events > KEPT.events || count.bytes > KEPT.bytes) full.set(key, event);
      if (event.message === null || event.seq === FORGOTTEN) said.delete(key);
    }
    for (const oldest of said.keys()) {
      if (said.size <= MAX_COUNTED) break;
      said.delete(oldest);
    }
    for (const { tenantId, sessionId, streamId, seq } of streams.values()) {
      signals.publish({ tenantId, topic: "stream_written", payload: { sessionId, streamId, seq } });
    }
    // What is written is written: a failure here is not one of the batch.
    if (full.size > 0) {
      await store.trim([...full.values()], KEPT).catch((cause) => onFault("Streams: not trimmed.", cause));
    }
  };
  const writer = createWriteBehind<StreamName & StreamEvent>({
    write,
    ownerOf: ({ tenantId }) => tenantId,
    lingerMs: LINGER_MS,
    retryMs: RETRY_MS,
    maxBatch: { items: 500, bytes: 8 * 1_048_576 },
    maxHeld: { items: 20_000, bytes: 64 * 1_048_576 },
    onFault: (message, cause) => onFault(`Streams: ${message}`, cause),
  });

  const add = (event: StreamName & StreamEvent): boolean => {
    const bytes = sizeOf(event);
    // It would be removed again as soon as it was written.
    if (bytes > KEPT.bytes) return true;
    if (budget.take(event.tenantId, bytes)) {
      writer.add(event, bytes);
      return true;
    }
    const { tenantId, sessionId, streamId } = event;
    // Behind what is still to be written of it.
    writer.add({ tenantId, sessionId, streamId, seq: FORGOTTEN, message: null }, 0);
    return false;
  };

  return {
    open: ({ tenantId, sessionId, streamId }) => add({ tenantId, sessionId, streamId, seq: 0, message: "" }),
    append: add,
    async read(stream, afterSeq) {
      // A client that comes back to the instance it left may be faster than the batch.
      await writer.flush();
      const events = await store.read(stream, { afterSeq, bytes: PAGE_BYTES });
      return events && { events, more: bytesOf(events) >= PAGE_BYTES };
    },
    flush: writer.flush,
    close: writer.close,
  };
}

function keyOf({ tenantId, sessionId, streamId }: StreamName): string {
  return `${tenantId}/${sessionId}/${streamId}`;
}

function bytesOf(events: readonly StreamEvent[]): number {
  let bytes = 0;
  for (const event of events) bytes += sizeOf(event);
  return bytes;
}

function sizeOf({ message }: StreamEvent): number {
  return message === null ? 0 : Buffer.byteLength(message);
}
