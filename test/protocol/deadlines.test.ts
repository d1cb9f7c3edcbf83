import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createDeadlines } from "../../src/protocol/deadlines.ts";

let passed: string[];
let now: number;

beforeEach(() => {
  vi.useFakeTimers();
  passed = [];
  now = 0;
});
afterEach(() => {
  vi.useRealTimers();
});

const deadlines = () => createDeadlines(() => now);
const on = (name: string) => (): void => void passed.push(name);
const wait = (ms: number): void => {
  for (let gone = 0; gone < ms; gone += 100) {
    now += 100;
    vi.advanceTimersByTime(100);
  }
};

test.each([1_000, 15_000])("a limit of %d ms passes once, not before its time and soon after", (limitMs) => {
  deadlines().begin(limitMs, on("one"));
  wait(limitMs - 100);
  expect(passed).toEqual([]);
  wait(400);
  expect(passed).toEqual(["one"]);
  wait(60_000);
  expect(passed).toEqual(["one"]);
  expect(vi.getTimerCount()).toBe(0);
});

test.each([1_000, 15_000])("who has ended is not told, and others of %d ms are", (limitMs) => {
  const all = deadlines();
  const first = all.begin(limitMs, on("first"));
  all.begin(limitMs, on("second"));
  first.clear();
  wait(limitMs + 400);
  expect(passed).toEqual(["second"]);
});

test.each([1_000, 15_000])("what is paused of %d ms does not count", (limitMs) => {
  const deadline = deadlines().begin(limitMs, on("one"));
  wait(limitMs / 2);
  deadline.pause();
  wait(60_000);
  deadline.resume();
  wait(limitMs / 2 - 100);
  expect(passed).toEqual([]);
  wait(500);
  expect(passed).toEqual(["one"]);
});

test("limits of seconds share a timer, which is gone with the last of them", () => {
  const all = deadlines();
  const open = [3_000, 15_000, 60_000].map((limitMs) => all.begin(limitMs, on("x")));
  expect(vi.getTimerCount()).toBe(1);
  for (const deadline of open) deadline.clear();
  wait(400);
  expect(vi.getTimerCount()).toBe(0);
  all.begin(3_000, on("later"));
  wait(3_400);
  expect(passed).toEqual(["later"]);
});
