import { expect, test, vi } from "vitest";
import { eventsOf, lastEventId, messagesOf, openSession } from "../../support/earlier-session.ts";
import { startTestServer } from "../../support/running-server.ts";
import { createShop } from "./shop.ts";

test("an instance that stops finishes what has no connection any more, and its clients find the answer elsewhere", async () => {
  const shop = createShop();
  const server = await startTestServer({ server: shop.definition, instances: 2 });
  try {
    const here = await openSession(server.acme.mcp, server.token("acme", "ada"));
    const stopping = server.instances[1];
    if (stopping === undefined) throw new TypeError("There is no second instance.");
    const there = here.through(`${stopping.url}/t/acme/mcp`);

    const opening = there.streamCall("drive", {}, { id: 11 });
    const detached = await shop.nextCall();
    detached.ctx.detach();
    const stream = await opening;
    await stream.closed;
    // A client that came back to the instance that stops, for what runs on another.
    const runningHere = here.streamCall("drive", {}, { id: 12 });
    const other = await shop.nextCall();
    other.ctx.message("info", "begun");
    const otherStream = await runningHere;
    otherStream.destroy();
    const readingThere = await there.get({ "last-event-id": lastEventId(otherStream) });
    const own = await there.get();

    const closing = stopping.bulkhead.close();
    expect(await readingThere.closed).toBe("end");
    expect(await own.closed).toBe("end");
    expect(detached.stopped()).toBe(false);
    detached.finish("finished while stopping");
    await closing;

    const resumed = await here.get({ "last-event-id": lastEventId(stream) });
    await resumed.closed;
    expect(messagesOf(resumed)).toEqual([
      {
        jsonrpc: "2.0",
        id: 11,
        result: { content: [{ type: "text", text: "finished while stopping" }] },
      },
    ]);
    const reading = await here.get({ "last-event-id": lastEventId(otherStream) });
    other.finish("done");
    await reading.closed;
    await vi.waitFor(() => expect(eventsOf(reading)).toHaveLength(1));
  } finally {
    await server.close();
  }
});
