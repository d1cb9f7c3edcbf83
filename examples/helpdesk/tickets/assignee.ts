import type { TenantContext } from "bulkhead-mcp";
import { oneLine } from "./free-text.ts";

/** Who works on a ticket, as a model says it: the words that need no knowledge of subjects, or a subject. */
export const assignee = oneLine(255).describe(
  '"me" for the caller, "nobody" for no one, or the subject of a colleague, for example "ben".',
);

/** The subject that is meant; null for nobody. */
export function subjectOf(word: string, ctx: TenantContext): string | null {
  if (word === "me") return ctx.principal.subject;
  return word === "nobody" ? null : word;
}
