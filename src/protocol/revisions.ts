/** The current revision: each request stands for itself. */
export const CURRENT = "2026-07-28";

/** The previous generation, newest first: a handshake, and sessions. */
export const EARLIER = ["2025-11-25", "2025-06-18", "2025-03-26"] as const;

export type EarlierRevision = (typeof EARLIER)[number];
/** A protocol revision that this server speaks. */
export type Revision = typeof CURRENT | EarlierRevision;

/** What a request of the current generation may name as its version: what `server/discover` and refusals list. */
export const SUPPORTED_VERSIONS: readonly string[] = Object.freeze([CURRENT]);

export function isEarlier(version: unknown): version is EarlierRevision {
  return EARLIER.some((revision) => revision === version);
}
