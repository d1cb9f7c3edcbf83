import { expect, test } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import { createIdSource } from "../../../src/core/ids.ts";
import { type Refusal, refuse } from "../../../src/core/refusal.ts";
import { createPlaceLines, type RunPlace } from "../../../src/protocol/tasks/place-lines.ts";

const ids = createIdSource(systemClock.now);
const [acme, globex] = [ids.tenant(), ids.tenant()];
const wanted = (): boolean => false;

/** Answers of `enter`, one after the other; then places. */
function linesWith(...answers: (Refusal | null | Error)[]) {
  const asked: string[] = [];
  const left: string[] = [];
  const lines = createPlaceLines(async (tenantId): Promise<RunPlace | Refusal | null> => {
    asked.push(tenantId);
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    if (answer !== undefined) return answer;
    return { leave: () => void left.push(tenantId), keepUntil: () => {} };
  });
  return { lines, asked, left };
}

test("of all runs that wait one asks at a time, and places go to them in their order", async () => {
  const { lines, asked } = linesWith(refuse("rate_limited"), refuse("rate_limited"));
  const order: number[] = [];
  const all = Array.from({ length: 50 }, (_, n) =>
    lines.placeFor(acme, wanted).then(() => {
      order.push(n);
    }),
  );
  await Promise.all(all);
  expect(asked.length).toBe(52);
  expect(order).toEqual([...order.keys()]);
});

test("a tenant without places holds up no other", async () => {
  const { lines, asked } = linesWith(refuse("rate_limited"));
  const waits = lines.placeFor(acme, wanted);
  expect(await lines.placeFor(globex, wanted)).not.toBeNull();
  expect(asked).toEqual([acme, globex]);
  await waits;
});

test("who is not wanted any more leaves the line, wherever it stands, and takes no place", async () => {
  const { lines, asked, left } = linesWith(refuse("rate_limited"), refuse("rate_limited"));
  let gone = false;
  const first = lines.placeFor(acme, wanted);
  const second = lines.placeFor(acme, () => gone);
  const third = lines.placeFor(acme, wanted);
  gone = true;
  expect(await second).toBeNull();
  // The first still waits: it is the second time that there was none.
  expect(asked.length).toBeLessThan(3);
  expect(await first).not.toBeNull();
  expect(await third).not.toBeNull();
  expect(left).toEqual([]);
});

test("a place that came for one that went meanwhile is left", async () => {
  const { lines, left } = linesWith();
  let gone = false;
  const place = lines.placeFor(acme, () => gone);
  gone = true;
  expect(await place).toBeNull();
  await expect.poll(() => left).toEqual([acme]);
});

test("what fails fails for one, and a tenant that is gone has no places", async () => {
  const { lines } = linesWith(new TypeError("It broke."), null);
  const [broken, none, place] = [1, 2, 3].map(() => lines.placeFor(acme, wanted));
  await expect(broken).rejects.toThrow("It broke.");
  expect(await none).toBeNull();
  expect(await place).not.toBeNull();
});
