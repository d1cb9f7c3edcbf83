import { createHash, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { createIdSource } from "../../src/core/ids.ts";
import { isSecretOf, looksLikeApiKey, makeApiKey, parseApiKey } from "../../src/identity/api-key.ts";
import type { ApiKey } from "../../src/tenancy/tenant-snapshot.ts";

const id = createIdSource(() => 1_800_000_000_000).apiKey();
const keyOf = (secretHash: Uint8Array | string): ApiKey => ({
  id,
  name: "ci",
  secretHash: typeof secretHash === "string" ? secretHash : Buffer.from(secretHash).toString("base64"),
  permissions: [],
  createdAt: 0,
  expiresAt: 1,
});

test("a key is its id and 32 random bytes, of which the SHA-256 is kept", () => {
  const made = makeApiKey(id, (bytes) => new Uint8Array(bytes).fill(0xff));
  expect(made.text).toBe(`bk_${id.slice(4)}_${"_".repeat(42)}8`);
  expect(made.text).toHaveLength(3 + 26 + 1 + 43);
  expect(Buffer.from(made.secretHash)).toEqual(
    createHash("sha256")
      .update(`${"_".repeat(42)}8`)
      .digest(),
  );
});

test("what was made is read again, and its secret is the key's and nobody else's", () => {
  const made = makeApiKey(id, randomBytes);
  expect(looksLikeApiKey(made.text)).toBe(true);
  const read = parseApiKey(made.text);
  expect(read?.id).toBe(id);
  expect(isSecretOf(keyOf(made.secretHash), read?.secret ?? "")).toBe(true);
  const other = makeApiKey(id, randomBytes);
  expect(isSecretOf(keyOf(other.secretHash), read?.secret ?? "")).toBe(false);
});

test("a secret with one letter changed is not the key's", () => {
  const made = makeApiKey(id, randomBytes);
  const key = keyOf(made.secretHash);
  const secret = parseApiKey(made.text)?.secret ?? "";
  for (let i = 0; i < secret.length; i++) {
    const changed = secret.slice(0, i) + (secret[i] === "A" ? "B" : "A") + secret.slice(i + 1);
    expect(isSecretOf(key, changed)).toBe(false);
  }
});

test("a stored hash of another length admits nobody", () => {
  for (const stored of ["", "AAAA", Buffer.alloc(33).toString("base64")]) {
    expect(isSecretOf(keyOf(stored), "A".repeat(43))).toBe(false);
  }
});
