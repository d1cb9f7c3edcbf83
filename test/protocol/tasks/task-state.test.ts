import { expect, test } from "vitest";
import { NOTHING_YET } from "../../../src/protocol/replay.ts";
import {
  inputRequestsOf,
  pose,
  readTaskState,
  takeResponses,
  taskState,
} from "../../../src/protocol/tasks/task-state.ts";

const question = (message: string) => ({ method: "elicitation/create" as const, params: { message } });

test("a name that the client has seen is never used for another question", () => {
  const first = pose(taskState(NOTHING_YET), { a: question("1"), b: question("2") }, NOTHING_YET);
  expect(Object.keys(inputRequestsOf(first))).toEqual(["a", "b"]);
  const second = pose(first, { a: question("1") }, NOTHING_YET);
  const third = pose(second, { a: question("3"), b: question("2") }, NOTHING_YET);
  expect(inputRequestsOf(third)).toEqual({ "a~3": question("3"), "b~2": question("2") });
});

test("only what is asked is answered, by an object, and by the first answer", () => {
  const asked = pose(taskState(NOTHING_YET), { a: question("1"), b: question("2") }, NOTHING_YET);
  const some = takeResponses(asked, { a: { n: 1 }, b: "text", c: {}, "b~2": {} });
  expect(some.responses).toEqual({ a: { n: 1 } });
  expect(Object.keys(some.questions)).toEqual(["b"]);
  const all = takeResponses(some, { a: { n: 2 }, b: { n: 3 } });
  expect(all).toMatchObject({ responses: { a: { n: 1 }, b: { n: 3 } }, questions: {} });
  // A question that is asked once more is answered by its new name alone.
  const again = pose(all, { b: question("2") }, NOTHING_YET);
  expect(again.responses).toEqual({});
  expect(takeResponses(again, { b: {} }).responses).toEqual({});
  expect(takeResponses(again, { "b~2": { n: 4 } }).responses).toEqual({ b: { n: 4 } });
});

test("a key may be any name of an object's own, and a state is read as it was written", () => {
  const replay = JSON.parse(
    '{"answers":{"__proto__":"{}"},"asked":{"constructor":"x"},"steps":{"toString":""}}',
  );
  const requests = JSON.parse('{"__proto__":{"method":"elicitation/create","params":{}}}');
  const state = pose(taskState(NOTHING_YET), requests, replay);
  const read = readTaskState(JSON.stringify(state));
  expect(JSON.stringify(read)).toBe(JSON.stringify(state));
  expect(Object.keys(inputRequestsOf(read))).toEqual(["__proto__"]);
  const answered = takeResponses(read, JSON.parse('{"__proto__":{"n":1}}'));
  expect(JSON.stringify(answered.responses)).toBe('{"__proto__":{"n":1}}');
  expect(answered.questions).toEqual({});
});

test("what is no state is not taken for an empty one", () => {
  for (const text of ["null", "[]", "{}", '{"replay":{},"times":{},"questions":{}}'])
    expect(() => readTaskState(text)).toThrow("cannot be read");
});
