import type { ServerResponse } from "node:http";

/** Bytes that may wait for a reader without counting: what the system's sockets take at once. */
const MAX_WAITING = 262_144;
/** Longest time in which a reader takes nothing at all of its answer, in milliseconds: systems take a megabyte at a time. */
const STALLED_MS = 60_000;

/**
 * Resolves when the reader has its whole answer, or is gone; null: little or nothing of it waits. Who stops reading is cut
 * off: without that its answers would stay in memory, as many as it may ask for in a day.
 *
 * @param stalledMs default a minute.
 */
export function untilRead(res: ServerResponse, stalledMs = STALLED_MS): Promise<void> | null {
  if (res.destroyed || !res.writableEnded || res.writableLength <= MAX_WAITING) return null;
  // Node starts it anew as long as anything is taken.
  res.setTimeout(stalledMs, () => res.destroy());
  return new Promise((resolve) => {
    res.once("close", () => resolve());
  });
}
