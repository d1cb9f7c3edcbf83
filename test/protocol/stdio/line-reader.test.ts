import fc from "fast-check";
import { expect, test } from "vitest";
import { LineReader } from "../../../src/protocol/stdio/line-reader.ts";

/** What a reader tells of pieces that come one after the other, with an end. */
function read(pieces: readonly (string | Buffer)[], limit = 1_000): string[] {
  const told: string[] = [];
  const reader = new LineReader({
    limit: () => limit,
    onLine: (line) => told.push(line.toString("latin1")),
    onTooLong: (at) => told.push(`longer than ${at}`),
  });
  for (const piece of pieces) reader.push(Buffer.from(piece));
  reader.end();
  return told;
}

test("a line is whole when its line break has come, in however many pieces it comes", () => {
  expect(read(["one\ntwo\n"])).toEqual(["one", "two"]);
  expect(read(["o", "n", "e\nt", "wo", "\n"])).toEqual(["one", "two"]);
});

test("blank lines are left out, and a carriage return does no harm", () => {
  expect(read(["\n\r\n \t\n", "one\r\n", "\n"])).toEqual(["one\r"]);
});

test("the end makes a line of what has no line break", () => {
  expect(read(["one\ntwo"])).toEqual(["one", "two"]);
});

test("a line of as many bytes as it may have is taken, and of one more refused", () => {
  expect(read(["12345\n", "123456\n"], 5)).toEqual(["12345", "longer than 5"]);
  expect(read(["123", "45\n", "123", "456\n"], 5)).toEqual(["12345", "longer than 5"]);
});

test("what follows a line that is too long is read, and that it is too long is told once, before its end", () => {
  const told: string[] = [];
  const reader = new LineReader({
    limit: () => 5,
    onLine: (line) => told.push(line.toString()),
    onTooLong: () => told.push("too long"),
  });
  reader.push(Buffer.from("123456"));
  expect(told).toEqual(["too long"]);
  reader.push(Buffer.from("7890".repeat(100)));
  reader.push(Buffer.from("1\nnext\n"));
  expect(told).toEqual(["too long", "next"]);
});

test("a limit that becomes lower holds for the line that is being read", () => {
  let limit = 10;
  const told: unknown[] = [];
  const reader = new LineReader({
    limit: () => limit,
    onLine: (line) => told.push(line.toString()),
    onTooLong: (at) => told.push(at),
  });
  reader.push(Buffer.from("1234"));
  limit = 3;
  reader.push(Buffer.from("5\n123\n"));
  expect(told).toEqual([3, "123"]);
});

test("however lines are cut into pieces, they come as they were", () => {
  const line = fc
    .uint8Array({ maxLength: 60 })
    .map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 10)));
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 12 }),
      fc.array(fc.nat(400), { maxLength: 30 }),
      (lines, cuts) => {
        const whole = Buffer.concat(lines.flatMap((each) => [each, Buffer.from("\n")]));
        const at = [0, ...cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b), whole.length];
        const pieces = at.slice(1).map((to, index) => whole.subarray(at[index], to));
        const texts = lines.map((each) => each.toString("latin1"));
        expect(read(pieces, 40)).toEqual(
          texts.flatMap((text) =>
            text.length > 40 ? ["longer than 40"] : /^[ \t\r]*$/.test(text) ? [] : [text],
          ),
        );
      },
    ),
    { numRuns: 2_000 },
  );
});
