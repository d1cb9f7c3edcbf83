import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { LineWriter } from "../../../src/protocol/stdio/line-writer.ts";

/** A client that reads when it is told to. */
function start() {
  let read: (() => void) | null = null;
  let bytes = 0;
  let stalled = 0;
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      read = done;
    },
  });
  const writer = new LineWriter(output, () => stalled++);
  return { writer, output, bytes: () => bytes, stalled: () => stalled, read: () => read?.() };
}

const MB = 1_048_576;

test("one answer may be larger than what may wait", async () => {
  const { writer, output, stalled, read, bytes } = start();
  expect(writer.send("x".repeat(70 * MB))).toBe(70 * MB + 1);
  read();
  await expect.poll(() => output.writableLength).toBe(0);
  expect(writer.send("{}")).toBe(3);
  expect([stalled(), bytes()]).toEqual([0, 70 * MB + 4]);
});

test("a client that takes nothing is told of once, and sent nothing more", () => {
  const { writer, stalled, output } = start();
  const answer = "x".repeat(10 * MB);
  for (let i = 0; i < 20; i++) writer.send(answer);
  expect(stalled()).toBe(1);
  expect(output.writableLength).toBeLessThan(75 * MB);
  expect(writer.send("{}")).toBe(0);
});

test("what the client can do without is left out where it reads slowly", () => {
  const { writer, output } = start();
  writer.send("x".repeat(MB));
  const waiting = output.writableLength;
  writer.offer("{}");
  expect(output.writableLength).toBe(waiting);
  writer.send("{}");
  expect(output.writableLength).toBe(waiting + 3);
});
