/** Where a client stands on a stream: the last event that it has seen. */
export interface EventPosition {
  readonly streamId: string;
  /** 0: it has only seen that there is such a stream. */
  readonly seq: number;
}

/** Ids of streams that answer a POST begin with this: a session's own stream has none of them. */
const PREFIX = "post_";
/** Of 12 random bytes, so that ids are unique on all instances. As many digits as the log can count. */
const FORM = /^(post_[A-Za-z0-9_-]{16})\.(0|[1-9]\d{0,8})$/;

export function newStreamId(random: (bytes: number) => Uint8Array): string {
  return PREFIX + Buffer.from(random(12)).toString("base64url");
}

export function eventId(streamId: string, seq: number): string {
  return `${streamId}.${seq}`;
}

/** Null for what is no event id of a stream that answers a POST. */
export function parseEventId(text: string): EventPosition | null {
  const [, streamId, seq] = FORM.exec(text) ?? [];
  return streamId === undefined ? null : { streamId, seq: Number(seq) };
}
