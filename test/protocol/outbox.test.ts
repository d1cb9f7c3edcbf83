import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createOutbox } from "../../src/protocol/outbox.ts";

let origin = "";
/** What the outbox reports. */
let faults: unknown[] = [];
const onFault = (cause: unknown): void => void faults.push(cause);
/** Told of each response as its request arrives. */
let arrived: (res: ServerResponse) => void;
const server = createServer((_req, res) => arrived(res));

beforeEach(async () => {
  faults = [];
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** So many requests that wait for their answers, and what they are answered, in the order in which they came. */
async function waiting(count: number): Promise<{ responses: ServerResponse[]; answers: Promise<string>[] }> {
  const responses: ServerResponse[] = [];
  const all = new Promise<void>((resolve) => {
    arrived = (res) => {
      responses.push(res);
      if (responses.length === count) resolve();
    };
  });
  const answers: Promise<string>[] = [];
  for (let i = 0; i < count; i++) {
    const answer = fetch(origin).then(async (response) => `${response.status} ${await response.text()}`);
    answer.catch(() => {});
    answers.push(answer);
  }
  await all;
  return { responses, answers };
}

test("answers of one turn of the event loop are written at its end", async () => {
  const outbox = createOutbox(onFault);
  const { responses, answers } = await waiting(3);
  for (const [i, res] of responses.entries()) outbox.answer(res, `{"n":${i}}`);
  expect(responses.map((res) => res.headersSent)).toEqual([false, false, false]);
  await turn();
  expect(responses.map((res) => res.writableEnded)).toEqual([true, true, true]);
  expect((await Promise.all(answers)).sort()).toEqual(['200 {"n":0}', '200 {"n":1}', '200 {"n":2}']);
  // The next turn is one again.
  const later = await waiting(1);
  for (const res of later.responses) outbox.answer(res, "{}");
  expect(await Promise.all(later.answers)).toEqual(["200 {}"]);
});

test("many are written without waiting for the end of the turn, and each once", async () => {
  const outbox = createOutbox(onFault);
  const { responses, answers } = await waiting(20);
  for (const res of responses) outbox.answer(res, "{}");
  expect(responses.filter((res) => res.writableEnded)).toHaveLength(16);
  await turn();
  expect(await Promise.all(answers)).toEqual(answers.map(() => "200 {}"));
});

test("a long answer is written at once: whether its reader keeps up is asked as soon as it is given", async () => {
  const outbox = createOutbox(onFault);
  const { responses, answers } = await waiting(1);
  const long = JSON.stringify("x".repeat(20_000));
  for (const res of responses) outbox.answer(res, long);
  expect(responses.map((res) => res.writableEnded)).toEqual([true]);
  expect(await Promise.all(answers)).toEqual([`200 ${long}`]);
});

test("who has gone meanwhile keeps nobody else from an answer", async () => {
  const outbox = createOutbox(onFault);
  const { responses, answers } = await waiting(3);
  for (const res of responses) outbox.answer(res, "{}");
  responses[1]?.destroy();
  const settled = await Promise.allSettled(answers);
  expect(settled.filter(({ status }) => status === "rejected")).toHaveLength(1);
  expect(settled.filter((each) => each.status === "fulfilled" && each.value === "200 {}")).toHaveLength(2);
});

test("who has an answer by somebody else's hand gets no second one", async () => {
  const outbox = createOutbox(onFault);
  const { responses, answers } = await waiting(2);
  for (const res of responses) outbox.answer(res, "{}");
  responses[0]?.writeHead(503).end("late");
  expect((await Promise.all(answers)).sort()).toEqual(["200 {}", "503 late"]);
  expect(faults).toEqual([]);
});

/** What a framework's middleware may do to a response that waits. */
const BREAKAGES: readonly (readonly [string, (res: ServerResponse) => void])[] = [
  ["that somebody else began", (res) => void res.writeHead(200, { "content-length": 9 }).write("x")],
  [
    "that somebody listens to who throws",
    (res) => {
      res.writeHead = () => {
        throw new TypeError("of a middleware");
      };
    },
  ],
  [
    "whose end throws",
    (res) => {
      res.end = () => {
        throw new TypeError("of a middleware");
      };
    },
  ],
];

test.each(BREAKAGES)(
  "a response %s keeps nobody else from an answer, and is on record",
  async (_what, damage) => {
    const outbox = createOutbox(onFault);
    const { responses, answers } = await waiting(3);
    for (const res of responses) outbox.answer(res, "{}");
    const [first] = responses;
    if (first !== undefined) damage(first);
    const settled = await Promise.allSettled(answers);
    expect(settled.filter(({ status }) => status === "rejected")).toHaveLength(1);
    expect(settled.filter((each) => each.status === "fulfilled" && each.value === "200 {}")).toHaveLength(2);
    expect(faults).toHaveLength(1);
    expect(responses[0]?.destroyed).toBe(true);
  },
);

test.each(BREAKAGES)(
  "nor is a response %s the trouble of whoever gives the last answer of many",
  async (_what, damage) => {
    const outbox = createOutbox(onFault);
    const { responses, answers } = await waiting(16);
    const [first, ...others] = responses;
    if (first !== undefined) {
      outbox.answer(first, "{}");
      damage(first);
    }
    expect(() => {
      for (const res of others) outbox.answer(res, "{}");
    }).not.toThrow();
    expect(others.every((res) => res.writableEnded)).toBe(true);
    expect((await Promise.allSettled(answers)).filter(({ status }) => status === "rejected")).toHaveLength(1);
    expect(faults).toHaveLength(1);
  },
);

test.each(BREAKAGES)(
  "a response %s is dropped where its answer is long, and whoever gives it goes on",
  async (_what, damage) => {
    const outbox = createOutbox(onFault);
    const { responses, answers } = await waiting(1);
    for (const res of responses) {
      damage(res);
      expect(() => outbox.answer(res, "x".repeat(20_000))).not.toThrow();
    }
    expect((await Promise.allSettled(answers)).map(({ status }) => status)).toEqual(["rejected"]);
    expect(faults).toHaveLength(1);
  },
);
