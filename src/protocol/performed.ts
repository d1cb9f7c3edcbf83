import type { ErrorCode } from "../core/error-table.ts";
import type { OperationOutcome } from "../core/event.ts";

/** What an operation came to: the members of its result, serialised without the braces. */
export interface Performed {
  /** Of revision 2026-07-28; earlier ones know complete results only. */
  readonly resultType: "complete" | "input_required" | "task";
  readonly members: string;
  /** Members of its `_meta` that a handler gave, serialised likewise; those of the server come after them. */
  readonly meta?: string;
  readonly outcome: OperationOutcome;
  readonly code: ErrorCode | null;
}

/** A result that is what was asked for. @param members of the result object, with `_meta` apart. */
export function complete(
  members: Readonly<Record<string, unknown>>,
  meta?: Readonly<Record<string, unknown>>,
): Performed {
  const own = metaOf(meta);
  return {
    resultType: "complete",
    members: membersOf(members),
    outcome: "ok",
    code: null,
    ...(own === "" ? {} : { meta: own }),
  };
}

/** Names that are the protocol's ("`_meta`", reserved prefixes): what this server says by them is no handler's to say. */
const RESERVED = "io.modelcontextprotocol/";

function metaOf(meta: Readonly<Record<string, unknown>> | undefined): string {
  if (typeof meta !== "object" || meta === null || Array.isArray(meta)) return "";
  return membersOf(Object.fromEntries(Object.entries(meta).filter(([name]) => !name.startsWith(RESERVED))));
}

/** A result object's members as JSON, without its braces. */
export function membersOf(result: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(result).slice(1, -1);
}
