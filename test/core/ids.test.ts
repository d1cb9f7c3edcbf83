import { describe, expect, test } from "vitest";
import { createIdSource, parseSlug, parseTenantId } from "../../src/core/ids.ts";

const BODY = "[0-9abcdefghjkmnpqrstvwxyz]{26}";

describe("ids", () => {
  test("100,000 of them are different and well-formed", () => {
    const ids = createIdSource(Date.now);
    const made = new Set<string>();
    const forms = [
      [ids.tenant, new RegExp(`^tnt_${BODY}$`)],
      [ids.operation, new RegExp(`^op_${BODY}$`)],
      [ids.instance, new RegExp(`^ins_${BODY}$`)],
      [ids.issuer, new RegExp(`^iss_${BODY}$`)],
    ] as const;
    let malformed = 0;
    for (const [make, form] of forms) {
      for (let i = 0; i < 25_000; i++) {
        const id = make();
        if (!form.test(id)) malformed++;
        made.add(id.slice(id.indexOf("_")));
      }
    }
    expect(malformed).toBe(0);
    expect(made.size).toBe(100_000);
  });

  test("sort by the millisecond in which they were made, to the end of the range", () => {
    let now = 0;
    const ids = createIdSource(() => now);
    const made: string[] = [];
    for (const time of [0, 1, 31, 32, 33, 1_023, 1_024, 999_999_999_999, 1_800_000_000_000, 2 ** 48 - 1]) {
      now = time;
      made.push(ids.operation(), ids.operation());
    }
    for (let i = 2; i < made.length; i++) expect((made[i] ?? "") > (made[i - (i % 2) - 1] ?? "")).toBe(true);
    for (let i = 0; i < 5_000; i++) {
      now = i * 7;
      made[i] = ids.tenant();
    }
    expect(made.slice(0, 5_000).sort()).toEqual(made.slice(0, 5_000));
  });

  test("have the time in front and 80 random bits behind, in Crockford's base 32", () => {
    const filled = (byte: number) =>
      createIdSource(
        () => 0,
        (bytes) => new Uint8Array(bytes).fill(byte),
      ).tenant();
    expect(filled(0)).toBe(`tnt_${"0".repeat(26)}`);
    expect(filled(255)).toBe(`tnt_${"0".repeat(10)}${"z".repeat(16)}`);
    // 00 44 32 14 c7 42 54 b6 35 cf: the numbers 0 to 15, five bits each.
    const counting = Uint8Array.from([0x00, 0x44, 0x32, 0x14, 0xc7, 0x42, 0x54, 0xb6, 0x35, 0xcf]);
    const ids = createIdSource(
      () => 31,
      (bytes) => Uint8Array.from({ length: bytes }, (_, i) => counting[i % 10] ?? 0),
    );
    expect(ids.tenant()).toBe("tnt_000000000z0123456789abcdef");
  });

  test("use every random byte once", () => {
    let drawn = 0;
    const ids = createIdSource(
      () => 0,
      (bytes) => {
        drawn++;
        return Uint8Array.from({ length: bytes }, (_, i) => (i / 10 + drawn * 7) & 255);
      },
    );
    const made = new Set(Array.from({ length: 1_200 }, () => ids.tenant()));
    // 400 ids a block; no id shares its bytes with another.
    expect(drawn).toBe(3);
    expect(made.size).toBeGreaterThan(250);
  });
});

const good = "01h0abcdefghjkmnpqrstvwxyz";

test.each<[what: string, text: string]>([
  ["another kind's prefix", `op_${good}`],
  ["no prefix", good],
  ["a prefix in capitals", `TNT_${good}`],
  ["capitals", `tnt_${good.toUpperCase()}`],
  ["an i", `tnt_${good.replace("a", "i")}`],
  ["an l, which looks like a 1", `tnt_${good.replace("1", "l")}`],
  ["an o, which looks like a 0", `tnt_${good.replace("0", "o")}`],
  ["a u", `tnt_${good.replace("v", "u")}`],
  ["a Cyrillic а", `tnt_${good.replace("a", "а")}`],
  ["a full-width 1", `tnt_${good.replace("1", "１")}`],
  ["one character less", `tnt_${good.slice(1)}`],
  ["one character more", `tnt_${good}0`],
  ["a line feed at the end", `tnt_${good}\n`],
  ["a line before it", `x\ntnt_${good}`],
  ["a space", ` tnt_${good}`],
  ["a NUL", `tnt_${good}\0`],
  ["a hyphen", `tnt-${good}`],
  ["nothing", ""],
])("%s is no tenant's id", (_what, text) => {
  expect(parseTenantId(text)).toBeNull();
});

test("a tenant's id is one", () => {
  expect(parseTenantId(`tnt_${good}`)).toBe(`tnt_${good}`);
});

test.each<[text: string, is: boolean]>([
  ["acme", true],
  ["a1", true],
  ["a-b", true],
  ["a-b-c-9", true],
  ["a".repeat(39), true],
  ["a".repeat(40), false],
  ["a", false],
  ["", false],
  ["9a", false],
  ["-a", false],
  ["a-", false],
  ["a--b", false],
  ["A1", false],
  ["a_b", false],
  ["a.b", false],
  ["a b", false],
  ["a/b", false],
  ["a%62", false],
  ["acme\n", false],
  ["\nacme", false],
  ["аcme", false],
  ["acmé", false],
  ["xn--acm-epa", false],
  ["tnt_01h0abcdefghjkmnpqrstvwxyz", false],
])("%j is a slug: %s", (text, is) => {
  expect(parseSlug(text)).toBe(is ? text : null);
});
