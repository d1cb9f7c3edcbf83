import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type DoorFixture, openDoorFixture } from "../support/tenant-doors.ts";

let fixture: DoorFixture;
beforeAll(async () => {
  fixture = await openDoorFixture(4);
});
afterAll(() => fixture.close());

test("a connection keeps nothing of the call that opened it: the next tenant's data do not arrive in its context", async () => {
  const { connections, acme } = fixture;
  const context = new AsyncLocalStorage<string>();
  const mode = { readOnly: false, statementTimeoutMs: 0 };
  const opened = await context.run("of acme's call", async () => {
    // The one that is there already, and one that has to be opened.
    const lent = [
      await connections.acquire({ ...mode, tenantId: acme }),
      await connections.acquire({ ...mode, tenantId: acme }),
    ];
    expect(context.getStore()).toBe("of acme's call");
    return lent;
  });
  for (const { client, socket } of opened) {
    const seen: unknown[] = [];
    socket.once("data", () => seen.push(context.getStore()));
    const arrived = once(socket, "data");
    await context.run("of globex's call", () => client.query("SELECT 1"));
    await arrived;
    expect(seen).toEqual([undefined]);
  }
  for (const { release } of opened) release(false);
});
