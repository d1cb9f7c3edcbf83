import type { MessageLevel } from "../tenancy/client.ts";

/** From the least severe on (RFC 5424 section 6.2.1). */
const LEVELS: readonly MessageLevel[] = [
  "debug",
  "info",
  "notice",
  "warning",
  "error",
  "critical",
  "alert",
  "emergency",
];

export function isLevel(value: unknown): value is MessageLevel {
  return LEVELS.some((level) => level === value);
}

export function isAtLeast(level: MessageLevel, least: MessageLevel): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf(least);
}
