const ENTITY_TAG = /^(?:(W\/)?"([\x21\x23-\x7e]*)"|(\d+))$/;
const VERSION = /^[1-9]\d{0,14}$/;

/**
 * Versions that an If-Match header allows (RFC 9110, section 13.1.1): null for `*`, undefined where it is malformed. A
 * bare number counts as its tag. Weak tags and tags that are no versions are well-formed but match nothing.
 */
export function parseIfMatch(text: string): readonly number[] | null | undefined {
  if (text.trim() === "*") return null;
  const versions: number[] = [];
  for (const part of text.split(",")) {
    const match = ENTITY_TAG.exec(part.trim());
    if (match === null) return undefined;
    const tag = match[2] ?? match[3] ?? "";
    if (match[1] === undefined && VERSION.test(tag)) versions.push(Number(tag));
  }
  return versions;
}
