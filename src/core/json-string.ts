/** All but printable ASCII without quotation mark and backslash: what may need an escape. Most texts have none of it. */
const UNUSUAL = /[^ !#-[\]-~]/;

/** The same as `JSON.stringify`, at less than half the cost for a text with nothing unusual in it. */
export function jsonString(text: string | null): string {
  return typeof text !== "string" || UNUSUAL.test(text) ? JSON.stringify(text) : `"${text}"`;
}

/** A number as `JSON.stringify` writes it: `null` for null, and for what JSON does not have. */
export function jsonNumber(value: number | null): string {
  return Number.isFinite(value) ? `${value}` : "null";
}
