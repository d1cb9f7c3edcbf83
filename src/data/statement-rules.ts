import { type Refusal, refuse } from "../core/refusal.ts";

/** The words a tenant's statement may begin with. Everything else (SET, BEGIN, DO, COPY, EXPLAIN, CREATE …) is refused. */
const FIRST_WORDS: ReadonlySet<string> = new Set([
  "select",
  "with",
  "values",
  "insert",
  "update",
  "delete",
  "merge",
]);

/** A tenant's statement is at most this long, in UTF-16 code units. */
const MAX_LENGTH = 1_000_000;

/**
 * Decides whether a text may be sent as a tenant's statement. That it is one statement only is not decided here but by
 * PostgreSQL: the door uses the extended protocol, which refuses several.
 */
export function checkStatement(text: string): Refusal | null {
  if (text.length > MAX_LENGTH)
    return refuse("sql_refused", { detail: "It is longer than 1,000,000 characters." });
  if (text.includes("\0")) return refuse("sql_refused", { detail: "It contains a NUL character." });
  const start = skipBlank(text);
  if (start === null) return refuse("sql_refused", { detail: "A comment does not end." });
  const word = /^[a-z]+(?![\w$\u0080-\uffff])/i.exec(text.slice(start, start + 20))?.[0]?.toLowerCase();
  if (word === undefined || !FIRST_WORDS.has(word)) {
    return refuse("sql_refused", {
      detail: word === undefined ? "It does not begin with a word." : `It begins with ${word.toUpperCase()}.`,
    });
  }
  return null;
}

/** Index of the first character after white space and comments as PostgreSQL's lexer sees them; null: never ending. */
function skipBlank(text: string): number | null {
  let at = 0;
  for (;;) {
    const char = text[at];
    if (char === " " || char === "\n" || char === "\t" || char === "\r" || char === "\f" || char === "\v") {
      at++;
    } else if (char === "-" && text[at + 1] === "-") {
      const end = /[\n\r]/.exec(text.slice(at));
      if (end === null) return text.length;
      at += end.index + 1;
    } else if (char === "/" && text[at + 1] === "*") {
      // Block comments nest in PostgreSQL.
      let depth = 0;
      for (;;) {
        if (at >= text.length) return null;
        if (text.startsWith("/*", at)) {
          depth++;
          at += 2;
        } else if (text.startsWith("*/", at)) {
          depth--;
          at += 2;
          if (depth === 0) break;
        } else {
          at++;
        }
      }
    } else {
      return at;
    }
  }
}
