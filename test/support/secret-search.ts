/** Secrets by what they are called in a test's failure. */
export type Secrets = ReadonlyMap<string, string>;

/** Shorter texts are no secrets, and stand anywhere by chance. */
const MIN_LENGTH = 16;
const BASE64URL = /^[A-Za-z0-9_-]+$/;

/**
 * All that a secret may look like in a log, a table or a dump: as it is, escaped for URLs, forms and JSON, unescaped, as
 * hex, and as base64 wherever in the encoded text it stands; and, of bytes in base64url, the same of the bytes.
 */
export function formsOf(secret: string): ReadonlySet<string> {
  const forms = new Set([
    secret,
    encodeURIComponent(secret),
    new URLSearchParams({ "": secret }).toString().slice(1),
    JSON.stringify(secret).slice(1, -1),
    ...unescaped(secret),
    ...encodings(Buffer.from(secret)),
  ]);
  const bytes = BASE64URL.test(secret) ? Buffer.from(secret, "base64url") : Buffer.alloc(0);
  if (bytes.length >= MIN_LENGTH) for (const form of encodings(bytes)) forms.add(form);
  return new Set([...forms].filter((form) => form.length >= MIN_LENGTH));
}

/** What of the secrets, in which form, stands in a text. */
export function secretsIn(text: string | Buffer, secrets: Secrets): string[] {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  return [...secrets].flatMap(([name, secret]) =>
    [...formsOf(secret)]
      .filter((form) => bytes.includes(form))
      .map((form) => `${name}, as ${form.slice(0, 12)}…`),
  );
}

function unescaped(secret: string): string[] {
  try {
    return [decodeURIComponent(secret), new URLSearchParams(`=${secret}`).get("") ?? ""];
  } catch {
    // A percent sign of its own.
    return [];
  }
}

function encodings(bytes: Buffer): string[] {
  const hex = bytes.toString("hex");
  return [hex, hex.toUpperCase(), ...[0, 1, 2].flatMap((before) => base64After(before, bytes))];
}

/** The letters of base64 that these bytes alone decide when so many others come before them. */
function base64After(before: number, bytes: Buffer): string[] {
  const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
  const from = Math.ceil((before * 8) / 6);
  const to = Math.floor(((before + bytes.length) * 8) / 6);
  const letters = encoded.slice(from, to);
  return [letters, letters.replaceAll("+", "-").replaceAll("/", "_")];
}
