import { randomBytes } from "node:crypto";
import { Fault } from "../core/fault.ts";
import { openText, SEAL_KEY_BYTES, sealText } from "../core/sealed-box.ts";

/** Keeps secrets that must be read again, such as those of introspection clients, unreadable in the database. */
export interface SecretBox {
  /** @param context what the secret belongs to, for example `issuer iss_…`: it opens for nothing else. */
  seal(text: string, context: string): Uint8Array;
  /** Null for what was sealed under another key or for another context, was changed, or was never sealed. */
  open(sealed: Uint8Array, context: string): string | null;
}

/**
 * @param masterKey 32 bytes in base64url.
 * @throws Fault `setting_invalid`
 */
export function createSecretBox(
  masterKey: string,
  random: (size: number) => Buffer = randomBytes,
): SecretBox {
  const key = Buffer.from(masterKey, "base64url");
  // The decoder skips what it does not know, so the text must be what these bytes are written as.
  if (key.length !== SEAL_KEY_BYTES || key.toString("base64url") !== masterKey) {
    throw new Fault("setting_invalid", { detail: "The master key must be 32 bytes in base64url." });
  }
  return {
    seal: (text, context) => sealText(text, { key, context }, random),
    open: (sealed, context) => openText(sealed, { key, context }),
  };
}
