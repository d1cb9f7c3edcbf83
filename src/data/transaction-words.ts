/**
 * Words that begin a statement by which a migration would leave the transaction that the migrator began, and with it the
 * role that it runs as. END is not among them: it also closes the body of a function (BEGIN ATOMIC).
 */
const WORDS: ReadonlySet<string> = new Set(["begin", "start", "commit", "rollback", "abort"]);

/** A comment to the line's end, a quoted text or name, the opening of a dollar quote or of a block comment, a word, a character. */
const TOKEN =
  /--[^\n\r]*|[eE]'(?:[^'\\]+|\\[\s\S]|'')*'|'[^']*'|"[^"]*"|\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$|\/\*|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|[\s\S]/gu;

/** The first statement of a script that begins with one of these words: that word in capitals; null where there is none. */
export function transactionWord(script: string): string | null {
  const token = new RegExp(TOKEN);
  let begins = true;
  for (let match = token.exec(script); match !== null; match = token.exec(script)) {
    const [text] = match;
    if (text === "/*") token.lastIndex = endOfComment(script, match.index);
    else if (text === ";") begins = true;
    else if (text.trim() === "" || text.startsWith("--")) continue;
    else {
      if (text.startsWith("$") && text.endsWith("$") && text.length > 1) {
        const end = script.indexOf(text, token.lastIndex);
        token.lastIndex = end < 0 ? script.length : end + text.length;
      }
      if (begins && WORDS.has(text.toLowerCase())) return text.toUpperCase();
      begins = false;
    }
  }
  return null;
}

/** Block comments nest in PostgreSQL. */
function endOfComment(script: string, start: number): number {
  let depth = 0;
  for (let at = start; at < script.length; at++) {
    if (script.startsWith("/*", at)) depth++;
    else if (script.startsWith("*/", at)) depth--;
    else continue;
    at++;
    if (depth === 0) return at + 1;
  }
  return script.length;
}
