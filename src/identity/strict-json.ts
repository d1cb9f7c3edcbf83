/** An object read from JSON. Its members are outside data. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Deepest nesting accepted: claims that name a tenant or a permission are flat. */
const MAX_DEPTH = 32;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Parses a JSON object in which no member occurs twice at any level. `JSON.parse` keeps the last of two, other parsers
 * the first, so a token that two of them read differently passes one check and acts as something else in the next
 * (RFC 8725 section 2.4, RFC 7519 section 4).
 *
 * @returns the object, or what is wrong with the text. The text says nothing of the content.
 */
export function parseStrictObject(bytes: Uint8Array): JsonObject | string {
  let text: string;
  let value: unknown;
  try {
    text = utf8.decode(bytes);
    value = JSON.parse(text);
  } catch {
    return "is not JSON";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "is not a JSON object";
  return findFlaw(text) ?? (value as JsonObject);
}

/** Walks over a text that is known to be valid JSON. Escapes in names are resolved, so that `s\u0075b` equals `sub`. */
function findFlaw(text: string): string | null {
  const open: (Set<string> | null)[] = [];
  let nameNext = false;
  for (let i = 0; i < text.length; i++) {
    switch (text[i]) {
      case "{":
      case "[": {
        if (open.length === MAX_DEPTH) return "is nested too deeply";
        nameNext = text[i] === "{";
        open.push(nameNext ? new Set() : null);
        break;
      }
      case "}":
      case "]":
        open.pop();
        nameNext = false;
        break;
      case ",":
        nameNext = (open.at(-1) ?? null) !== null;
        break;
      case '"': {
        const end = endOfString(text, i);
        const names = open.at(-1);
        if (nameNext && names) {
          const name = String(JSON.parse(text.slice(i, end + 1)));
          if (names.has(name)) return "has a member twice";
          // No issuer writes it; it is there to reach the prototype of a careless reader.
          if (name === "__proto__") return "has a member named after the prototype";
          names.add(name);
        }
        nameNext = false;
        i = end;
        break;
      }
    }
  }
  return null;
}

function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === '"') return i;
  }
  return text.length;
}
