import { expect, test } from "vitest";
import { createIdSource } from "../../src/core/ids.ts";
import { isRefusal, type Refusal } from "../../src/core/refusal.ts";
import { createParkedCalls } from "../../src/protocol/parked-calls.ts";
import { ParkingConversation } from "../../src/protocol/parking-conversation.ts";
import type { Performed } from "../../src/protocol/performed.ts";
import { AskedInVain } from "../../src/protocol/request-link.ts";
import type { ContinuableContext } from "../../src/tenancy/living-call.ts";

const ids = createIdSource(Date.now);
/** Of which these parts look at nothing but its signal. */
const ctx = { signal: new AbortController().signal } as unknown as ContinuableContext;
const again = (): never => {
  throw new TypeError("Nobody comes back.");
};

test("a call that may not be parked is refused at once, and over when its handler has ended", async () => {
  const nothing = { calls: 0, weight: 0 };
  const parked = createParkedCalls({
    instanceId: ids.instance(),
    random: (bytes) => new Uint8Array(bytes),
    bounds: { ofTenant: nothing, inAll: nothing },
  });
  const elsewhere = { resume: again, close: () => {} };
  let refused = (_end: Performed | Refusal): void => {};
  const suspended = new Promise<Performed | Refusal>((resolve) => {
    refused = resolve;
  });
  const conversation = new ParkingConversation(
    { suspend: (end) => refused(end), waiting: (answer) => answer },
    {
      owner: { tenantId: ids.tenant(), principal: "ada" },
      callId: null,
      responses: {},
      weigh: () => 0,
      seal: (callId) => callId,
    },
    { parked, elsewhere },
  );
  const events: string[] = [];
  let finish = (): void => {};
  const live = conversation.live({ ctx, again }, async (call) => {
    const asked = conversation.ask("q", { method: "roots/list", params: {} }, () => true);
    await expect(asked).rejects.toThrow(AskedInVain);
    expect(call.signal.aborted).toBe(true);
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    events.push("ended");
  });
  const over = live.catch((cause: unknown) => {
    events.push("over");
    return cause;
  });
  const end = await suspended;
  expect(isRefusal(end) && end.code).toBe("rate_limited");
  await new Promise((resolve) => setImmediate(resolve));
  expect(events).toEqual([]);
  finish();
  expect(await over).toBeInstanceOf(AskedInVain);
  expect(events).toEqual(["ended", "over"]);
});
