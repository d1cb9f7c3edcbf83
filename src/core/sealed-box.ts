import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

/** Bytes of a key. */
export const SEAL_KEY_BYTES = 32;

/** Under what something is sealed. */
export interface Seal {
  readonly key: Uint8Array;
  /** What it belongs to: it opens for nothing else. */
  readonly context: string;
}

/** First byte of what is sealed, so that another form can be told apart later. It is authenticated with the context. */
const VERSION = 1;
/** NIST SP 800-38D section 8.2.2: random nonces of 96 bits serve for 2^32 texts under one key. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + NONCE_BYTES;

/** Makes a text unreadable and unchangeable for whoever lacks the key (AES-256-GCM): version, nonce, content, tag. */
export function sealText(
  text: string,
  { key, context }: Seal,
  random: (size: number) => Buffer = randomBytes,
): Buffer {
  const nonce = random(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(contextBytes(context));
  const content = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  return Buffer.concat([Buffer.of(VERSION), nonce, content, cipher.getAuthTag()]);
}

/** Null for what was sealed under another key or for another context, was changed, or was never sealed. */
export function openText(sealed: Uint8Array, { key, context }: Seal): string | null {
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
}

function contextBytes(context: string): Buffer {
  return Buffer.from(`${VERSION} ${context}`, "utf8");
}
