import { expect, test, vi } from "vitest";
import { createRunningRequests } from "../../../src/protocol/earlier/running-requests.ts";
import { earlierSession } from "../../support/earlier-session-of.ts";

const asked = (isThere: (id: string) => boolean | Promise<boolean>) => {
  const looked: string[] = [];
  return {
    looked,
    isThere: ({ id }: { readonly id: string }) => {
      looked.push(id);
      return isThere(id);
    },
  };
};

test("what runs in a session that is gone is cancelled, all of it, and nothing else", async () => {
  const running = createRunningRequests();
  const [gone, here] = [earlierSession(), earlierSession()];
  const cancels = [vi.fn(), vi.fn(), vi.fn()];
  const [first, second, third] = cancels.map((cancel) => ({ cancel }));
  if (first === undefined || second === undefined || third === undefined) throw new TypeError("Too few.");
  running.add(gone, 1, first);
  running.add(gone, "1", second);
  running.add(here, 1, third);
  const { isThere, looked } = asked(async (id) => id === here.id);
  await running.sweep(isThere);
  expect(looked).toEqual([]);
  await running.sweep(isThere);
  expect(looked).toEqual([gone.id, here.id]);
  expect(cancels.map(({ mock }) => mock.calls.length)).toEqual([1, 1, 0]);
});

test("a session in which nothing runs any more is not looked at", async () => {
  const running = createRunningRequests();
  const session = earlierSession();
  const { isThere, looked } = asked(() => false);
  const remove = running.add(session, 1, { cancel: () => {} });
  await running.sweep(isThere);
  remove();
  running.add(session, 1, { cancel: () => {} });
  await running.sweep(isThere);
  expect(looked).toEqual([]);
});

test("a session that cannot be looked at keeps no other from it, and is looked at again", async () => {
  const running = createRunningRequests();
  const [unread, gone] = [earlierSession(), earlierSession()];
  const cancels = [vi.fn(), vi.fn()];
  running.add(unread, 1, { cancel: () => cancels[0]?.() });
  running.add(gone, 1, { cancel: () => cancels[1]?.() });
  let isUp = false;
  const isThere = async ({ id }: { readonly id: string }) => {
    if (id === unread.id && !isUp) throw new TypeError("down");
    return false;
  };
  await running.sweep(isThere);
  await expect(running.sweep(isThere)).rejects.toThrow("down");
  expect(cancels.map(({ mock }) => mock.calls.length)).toEqual([0, 1]);
  isUp = true;
  await running.sweep(isThere);
  expect(cancels[0]).toHaveBeenCalledOnce();
});
