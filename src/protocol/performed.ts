import type { ErrorCode } from "../core/error-table.ts";
import type { OperationOutcome } from "../core/event.ts";

/** What an operation came to: the members of its result, serialised without the braces. */
export interface Performed {
  /** Of revision 2026-07-28; earlier ones know complete results only. */
  readonly resultType: "complete" | "input_required" | "task";
  readonly members: string;
  /** Members of its `_meta` that a handler gave, serialised likewise; those of the server come after them. Null: none. */
  readonly meta: string | null;
  readonly outcome: OperationOutcome;
  readonly code: ErrorCode | null;
}

/**
 * A result that is what was asked for, or the tool's own error.
 * @param members of the result object, with `_meta` apart.
 */
export function complete(
  members: object,
  meta?: Readonly<Record<string, unknown>>,
  outcome: OperationOutcome = "ok",
): Performed {
  return { resultType: "complete", members: membersOf(members), meta: metaOf(meta), outcome, code: null };
}

/** Names that are the protocol's ("`_meta`", reserved prefixes): what this server says by them is no handler's to say. */
const RESERVED = "io.modelcontextprotocol/";

function metaOf(meta: Readonly<Record<string, unknown>> | undefined): string | null {
  if (typeof meta !== "object" || meta === null || Array.isArray(meta)) return null;
  const own = Object.entries(meta).filter(([name]) => !name.startsWith(RESERVED));
  return own.length === 0 ? null : membersOf(Object.fromEntries(own)) || null;
}

/** A result object's members as JSON, without its braces. */
export function membersOf(result: object): string {
  return JSON.stringify(result).slice(1, -1);
}
