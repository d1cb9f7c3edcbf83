import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { createSecretBox } from "../../src/identity/secret-box.ts";

const MASTER_KEY = randomBytes(32).toString("base64url");
const box = createSecretBox(MASTER_KEY);

test("a secret opens under the key and for the context that it was sealed with", () => {
  const sealed = box.seal("geheim ✓", "issuer iss_1");
  expect(box.open(sealed, "issuer iss_1")).toBe("geheim ✓");
  expect(createSecretBox(MASTER_KEY).open(sealed, "issuer iss_1")).toBe("geheim ✓");
  expect(Buffer.from(sealed).includes("geheim")).toBe(false);
});

test("it does not open for another registration", () => {
  expect(box.open(box.seal("secret", "issuer iss_1"), "issuer iss_2")).toBeNull();
});

test("it does not open under another master key", () => {
  const other = createSecretBox(randomBytes(32).toString("base64url"));
  expect(other.open(box.seal("secret", "issuer iss_1"), "issuer iss_1")).toBeNull();
});

test("the same secret looks different each time it is sealed", () => {
  expect(box.seal("secret", "a")).not.toEqual(box.seal("secret", "a"));
});

test("a change in any byte, and any shortening, makes it unreadable", () => {
  const sealed = box.seal("secret", "a");
  for (let i = 0; i < sealed.length; i++) {
    const changed = Uint8Array.from(sealed);
    changed[i] = (changed[i] ?? 0) ^ 1;
    expect(box.open(changed, "a"), `byte ${i}`).toBeNull();
    expect(box.open(sealed.subarray(0, i), "a"), `length ${i}`).toBeNull();
  }
});

test.each([
  ["too short", randomBytes(31).toString("base64url")],
  ["too long", randomBytes(33).toString("base64url")],
  ["base64 with padding", `${MASTER_KEY}=`],
  ["with a space", `${MASTER_KEY} `],
  ["empty", ""],
  ["base64", Buffer.alloc(32, 255).toString("base64")],
])("a master key that is %s is refused, and not repeated", (_name, key) => {
  const create = () => createSecretBox(key);
  expect(create).toThrow(expect.objectContaining({ code: "setting_invalid" }));
  if (key !== "") expect(create).not.toThrow(key);
});

test("the form is pinned: version, nonce, content, tag", () => {
  const fixed = createSecretBox(Buffer.alloc(32, 1).toString("base64url"), (size) => Buffer.alloc(size, 2));
  const sealed = fixed.seal("x", "issuer iss_1");
  expect(Buffer.from(sealed).toString("hex")).toMatchInlineSnapshot(
    `"010202020202020202020202027fd6cd0d45e9a2e1f1240370497db12099"`,
  );
  expect(sealed).toHaveLength(1 + 12 + 1 + 16);
});
