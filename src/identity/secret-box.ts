import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { Fault } from "../core/fault.ts";

/** Keeps secrets that must be read again, such as those of introspection clients, unreadable in the database. */
export interface SecretBox {
  /** @param context what the secret belongs to, for example `issuer iss_…`: it opens for nothing else. */
  seal(text: string, context: string): Uint8Array;
  /** Null for what was sealed under another key or for another context, was changed, or was never sealed. */
  open(sealed: Uint8Array, context: string): string | null;
}

/** First byte of what is sealed, so that another form can be told apart later. It is authenticated with the context. */
const VERSION = 1;
const KEY_BYTES = 32;
/** NIST SP 800-38D section 8.2.2: random nonces of 96 bits serve for 2^32 secrets under one key. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + NONCE_BYTES;

/**
 * AES-256-GCM.
 *
 * @param masterKey 32 bytes in base64url.
 * @throws Fault `setting_invalid`
 */
export function createSecretBox(
  masterKey: string,
  random: (size: number) => Buffer = randomBytes,
): SecretBox {
  const key = Buffer.from(masterKey, "base64url");
  // The decoder skips what it does not know, so the text must be what these bytes are written as.
  if (key.length !== KEY_BYTES || key.toString("base64url") !== masterKey) {
    throw new Fault("setting_invalid", { detail: "The master key must be 32 bytes in base64url." });
  }
  return {
    seal(text, context) {
      const nonce = random(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(contextBytes(context));
      const content = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
      return Buffer.concat([Buffer.of(VERSION), nonce, content, cipher.getAuthTag()]);
    },
    open(sealed, context) {
      if (sealed[0] !== VERSION || sealed.length < HEAD_BYTES + TAG_BYTES) return null;
      const contentEnd = sealed.length - TAG_BYTES;
      const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(1, HEAD_BYTES), {
        authTagLength: TAG_BYTES,
      })
        .setAAD(contextBytes(context))
        .setAuthTag(sealed.subarray(contentEnd));
      try {
        const content = decipher.update(sealed.subarray(HEAD_BYTES, contentEnd));
        return Buffer.concat([content, decipher.final()]).toString("utf8");
      } catch {
        return null;
      }
    },
  };
}

function contextBytes(context: string): Buffer {
  return Buffer.from(`${VERSION} ${context}`, "utf8");
}
