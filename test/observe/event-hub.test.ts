import { expect, test } from "vitest";
import type { BulkheadEvent } from "../../src/core/event.ts";
import type { InstanceId } from "../../src/core/ids.ts";
import { createEventHub } from "../../src/observe/event-hub.ts";

const started = (detail: string): BulkheadEvent => ({
  type: "lifecycle",
  at: 1,
  instanceId: "ins_1" as InstanceId,
  phase: "started",
  detail,
});

test("events are handed over in order, in batches, to every consumer", async () => {
  const seen: string[] = [];
  const hub = createEventHub([
    (event) => seen.push(`a ${event.type}`),
    (event) => seen.push(`b ${event.type}`),
  ]);
  hub.emit(started("1"));
  expect(seen).toEqual([]);
  await expect.poll(() => seen).toEqual(["a lifecycle", "b lifecycle"]);
  hub.emit(started("2"));
  hub.close();
  expect(seen).toHaveLength(4);
  hub.emit(started("after the end"));
  expect(seen).toHaveLength(6);
});

test("a consumer that throws costs nobody else anything, and that is on record, once", () => {
  const seen: BulkheadEvent[] = [];
  const hub = createEventHub([
    () => {
      throw new Error("full disk");
    },
    (event) => seen.push(event),
  ]);
  hub.emit(started("1"));
  hub.emit(started("2"));
  hub.flush();
  hub.flush();
  hub.flush();
  expect(seen.map((event) => event.type)).toEqual(["lifecycle", "lifecycle", "fault", "fault"]);
});
