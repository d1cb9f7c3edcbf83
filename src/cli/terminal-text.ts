/**
 * Characters that do not just stand where they are written: controls, with which a terminal can be made to do something
 * (also the 8-bit ones, ECMA-48), ends of lines, and marks that turn the direction of what stands around them.
 */
const ACTIVE = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** One line of text from outside, as a person may see it. */
export function terminalText(text: string): string {
  return text.replace(ACTIVE, "\uFFFD");
}

/** A value from outside as one line of JSON. `JSON.stringify` itself escapes no more than the controls below U+0020. */
export function terminalJson(value: unknown): string {
  return JSON.stringify(value).replace(
    ACTIVE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
