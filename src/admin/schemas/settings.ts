import { z } from "@hono/zod-openapi";

/** Settings are in every snapshot of a tenant, and instances keep thousands of those in memory. */
const MAX_BYTES = 32_768;
/** Keeps every recursion over settings, here and in PostgreSQL, far from its stack's end. */
const MAX_DEPTH = 16;

/** A tenant's settings: any JSON object that PostgreSQL can store. */
export const settings = z
  .record(z.string(), z.unknown())
  .superRefine((value, context) => {
    const complaint = complaintAbout(value);
    if (complaint !== null) context.addIssue({ code: "custom", message: complaint });
  })
  .openapi({
    type: "object",
    description: "Any JSON object of at most 32 KB and 16 levels, for the server's own tools.",
  });

/** With a stack of its own: a body of brackets alone would otherwise overflow the call stack. */
function complaintAbout(value: unknown): string | null {
  const open: { readonly value: unknown; readonly depth: number }[] = [{ value, depth: 1 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next.value === "string" && !isStorable(next.value)) return UNSTORABLE;
    if (typeof next.value !== "object" || next.value === null) continue;
    if (next.depth > MAX_DEPTH) return `Must not be nested deeper than ${MAX_DEPTH} levels`;
    for (const [key, member] of Object.entries(next.value)) {
      if (!isStorable(key)) return UNSTORABLE;
      open.push({ value: member, depth: next.depth + 1 });
    }
  }
  return Buffer.byteLength(JSON.stringify(value)) > MAX_BYTES
    ? `Must not be larger than ${MAX_BYTES} bytes`
    : null;
}

const UNSTORABLE = "Must not contain NUL characters or lone surrogates";

function isStorable(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed();
}
