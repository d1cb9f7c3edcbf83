import { createHash, timingSafeEqual } from "node:crypto";
import { type ApiKeyId, parseApiKeyId } from "../core/ids.ts";
import type { ApiKey } from "../tenancy/tenant-snapshot.ts";

/** An API key as its bearer sends it. */
export interface PresentedKey {
  readonly id: ApiKeyId;
  readonly secret: string;
}

/** A key just made. */
export interface MadeApiKey {
  /** All of it, to be shown once. */
  readonly text: string;
  readonly secretHash: Uint8Array;
}

const PREFIX = "bk_";
const ID_PREFIX = "key_";
const SECRET_BYTES = 32;
/** `bk_`, the 26 characters of the id, `_`, 32 bytes in base64url. */
const FORM = /^bk_([0-9a-z]{26})_([A-Za-z0-9_-]{43})$/;

/** Whether a text is a key or means to be one: no issuer is ever asked about it. */
export function looksLikeApiKey(text: string): boolean {
  return text.startsWith(PREFIX);
}

/** @returns null for anything but the exact form. */
export function parseApiKey(text: string): PresentedKey | null {
  const [, body, secret] = FORM.exec(text) ?? [];
  const id = body === undefined ? null : parseApiKeyId(ID_PREFIX + body);
  return id === null || secret === undefined ? null : { id, secret };
}

/**
 * Makes the secret of a new key. 256 random bits need no slow hash: there is nothing to guess from.
 *
 * @param random draws so many random bytes.
 */
export function makeApiKey(id: ApiKeyId, random: (bytes: number) => Uint8Array): MadeApiKey {
  const secret = Buffer.from(random(SECRET_BYTES)).toString("base64url");
  return { text: `${PREFIX}${id.slice(ID_PREFIX.length)}_${secret}`, secretHash: hashOf(secret) };
}

/** Compares hashes in constant time: the time that it takes says nothing about the secret. */
export function isSecretOf(key: ApiKey, secret: string): boolean {
  const expected = Buffer.from(key.secretHash, "base64");
  const actual = hashOf(secret);
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

/** Of the secret's text as it is sent. */
function hashOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}
