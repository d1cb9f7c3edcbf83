import { z } from "zod";

/**
 * Text that a person or a model wrote: trimmed, 1 to `max` characters, and without NUL, which PostgreSQL cannot store.
 */
export function freeText(max: number): z.ZodString {
  return z
    .string()
    .trim()
    .min(1)
    .max(max)
    .refine((text) => !text.includes("\0"), "must not contain NUL characters");
}

/** As {@link freeText}, on one line: a line break could pass for the next entry of a list. */
export function oneLine(max: number): z.ZodString {
  return freeText(max).refine((text) => !/[\n\r\u2028\u2029]/.test(text), "must be on one line");
}
