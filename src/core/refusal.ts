import type { ErrorCode } from "./error-table.ts";

/** An expected "no": a value, not an exception, so that the compiler makes every caller handle it. */
export interface Refusal {
  readonly kind: "refusal";
  readonly code: ErrorCode;
  /** Public: appended to the code's text. Says what of the caller's own request was refused. */
  readonly detail?: string;
  /** Public: members of `error.data` beside `code`. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** For 429 and 503: milliseconds until another try makes sense. */
  readonly retryAfterMs?: number;
  /** For 401 and 403: all scopes that the operation needs (RFC 6750 section 3). */
  readonly scopes?: readonly string[];
  /** For 401 and 403: schemes of the challenges to send (RFC 9110 section 11.6.1). Default: Bearer alone. */
  readonly schemes?: readonly ("Bearer" | "DPoP")[];
  /** Internal: logged, never sent. */
  readonly cause?: unknown;
}

export function refuse(code: ErrorCode, more: Omit<Refusal, "kind" | "code"> = {}): Refusal {
  return { kind: "refusal", code, ...more };
}

export function isRefusal(value: unknown): value is Refusal {
  return typeof value === "object" && value !== null && (value as { kind?: unknown }).kind === "refusal";
}
