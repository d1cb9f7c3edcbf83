import fc from "fast-check";
import { expect, test } from "vitest";
import { parseStrictObject } from "../../src/identity/strict-json.ts";

const parse = (text: string) => parseStrictObject(Buffer.from(text));

test("every JSON object that was written without a member twice is read as JSON.parse reads it", () => {
  const noProto = (text: string) => !text.includes("__proto__");
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 })), fc.nat(2), (object, indent) => {
      const text = JSON.stringify(object, null, indent);
      fc.pre(noProto(text));
      expect(parse(text)).toEqual(JSON.parse(text));
    }),
  );
});

test("a member that occurs twice is found wherever it is and however it is written", () => {
  fc.assert(
    fc.property(fc.string(), fc.jsonValue({ maxDepth: 2 }), fc.nat(3), (name, value, depth) => {
      fc.pre(name !== "__proto__");
      const escaped = `"${[...name].map((c) => [...Array(c.length).keys()].map((i) => `\\u${c.charCodeAt(i).toString(16).padStart(4, "0")}`).join("")).join("")}"`;
      let text = `{"\\"}{,":1,${JSON.stringify(name)}: ${JSON.stringify(value)} , ${escaped} :2}`;
      for (let i = 0; i < depth; i++) text = `{"x":[[],{"y":${text}}],"z":"{"}`;
      expect(typeof parse(text)).toBe("string");
    }),
  );
});

test.each(["", "[]", "null", "1", '"a"', "{", '{"a":1}x', "{'a':1}", '{"a":01}', '\ufeff{"a":1}'])(
  "not an object: %j",
  (text) => {
    expect(typeof parse(text)).toBe("string");
  },
);

test("bytes that are not UTF-8 are refused", () => {
  expect(typeof parseStrictObject(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toBe("string");
});

test("a member named __proto__ and deep nesting are refused", () => {
  expect(typeof parse('{"a":{"__pr\\u006fto__":{}}}')).toBe("string");
  expect(typeof parse(`{"a":${"[".repeat(32)}${"]".repeat(32)}}`)).toBe("string");
  expect(typeof parse(`{"a":${"[".repeat(31)}${"]".repeat(31)}}`)).toBe("object");
});
