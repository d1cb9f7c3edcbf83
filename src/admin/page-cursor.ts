import type { PagePosition } from "./page.ts";

// Microseconds to the year 2286, and a key: an id, a plan's name, or the beginning of a hash.
const FORM = /^(\d{1,16})\.([a-z0-9_-]{1,39})$/;

/** A position as the opaque text that a client sends back. */
export function writeCursor(position: PagePosition): string {
  return Buffer.from(`${position.createdMicros}.${position.key}`).toString("base64url");
}

/** Null: not a text that {@link writeCursor} makes. */
export function parseCursor(text: string): PagePosition | null {
  if (text.length > 100) return null;
  const [, createdMicros, key] = FORM.exec(Buffer.from(text, "base64url").toString("latin1")) ?? [];
  return createdMicros === undefined || key === undefined ? null : { createdMicros, key };
}
