import { type ErrorCode, errorRow } from "./error-table.ts";

/**
 * An unexpected or unrecoverable condition with a stable code: thrown at start, by the command line, and by the
 * objects handed to a tool (`ctx.sql`, `ctx.store`).
 */
export class Fault extends Error {
  override readonly name = "Fault";
  readonly code: ErrorCode;
  /** What to do about it, from the error table or more exact. */
  readonly remedy: string;
  /** What in particular was wrong. */
  readonly detail: string | undefined;

  constructor(code: ErrorCode, options: { detail?: string; remedy?: string; cause?: unknown } = {}) {
    const row = errorRow(code);
    super(options.detail === undefined ? row.text : `${row.text} ${options.detail}`, {
      cause: options.cause,
    });
    this.code = code;
    this.remedy = options.remedy ?? row.remedy;
    this.detail = options.detail;
  }
}
