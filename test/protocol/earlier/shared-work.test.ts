import { expect, test } from "vitest";
import { refuse } from "../../../src/core/refusal.ts";
import { createRunningRequests } from "../../../src/protocol/earlier/running-requests.ts";
import { SharedWork } from "../../../src/protocol/earlier/shared-work.ts";
import { createOpenWork } from "../../../src/protocol/open-work.ts";
import { earlierSession } from "../../support/earlier-session-of.ts";
import { tenantSnapshot } from "../../support/tenant-snapshot.ts";

const why = refuse("stopping");

test("the end of the whole is the end of every part that is not over", () => {
  const openWork = createOpenWork();
  const shared = new SharedWork(openWork.begin({ snapshot: tenantSnapshot("acme") }));
  const [one, other, over] = [shared.part(), shared.part(), shared.part()];
  const told: string[] = [];
  one.onEnd(() => told.push("replaced"));
  one.onEnd(({ code }) => told.push(`one ${code}`));
  other.onEnd(({ code }) => told.push(`other ${code}`));
  over.onEnd(() => told.push("over"));
  over.finish();
  expect(one.ended).toBeNull();
  openWork.endAll(why);
  expect(told).toEqual(["one stopping", "other stopping"]);
  expect(one.ended).toBe(why);
  other.onEnd(({ code }) => told.push(`late ${code}`));
  expect(told.at(-1)).toBe("late stopping");
});

test("requests under one id of one session are cancelled together, and no others", () => {
  const running = createRunningRequests();
  const session = earlierSession();
  const cancelled: string[] = [];
  const request = (name: string) => ({ cancel: () => cancelled.push(name) });
  const removeFirst = running.add(session, 1, request("first"));
  const removeSecond = running.add(session, 1, request("second"));
  running.add(session, "1", request("text"));
  running.add(earlierSession({ tenantId: session.tenantId }), 1, request("session"));
  running.add(earlierSession({ id: session.id }), 1, request("tenant"));
  expect(running.cancel(session, 1)).toBe(true);
  expect(cancelled).toEqual(["first", "second"]);
  removeFirst();
  removeFirst();
  expect(running.cancel(session, 1)).toBe(true);
  expect(cancelled).toEqual(["first", "second", "second"]);
  removeSecond();
  expect(running.cancel(session, 1)).toBe(false);
  running.cancelAll(session);
  expect(cancelled.at(-1)).toBe("text");
  expect(cancelled).toHaveLength(4);
});
