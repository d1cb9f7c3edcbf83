import { AsyncLocalStorage, createHook } from "node:async_hooks";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectionSettings, doorSettings } from "../../src/data/connection-settings.ts";
import { createSystemDoor } from "../../src/data/system-door.ts";
import { type DoorFixture, openDoorFixture } from "../support/tenant-doors.ts";

let fixture: DoorFixture;
beforeAll(async () => {
  fixture = await openDoorFixture(4);
});
afterAll(() => fixture.close());

const context = new AsyncLocalStorage<string>();

test("a tenant's connection keeps nothing of the call that opened it: another's data do not arrive in its context", async () => {
  const { connections, acme } = fixture;
  const mode = { tenantId: acme, readOnly: false, statementTimeoutMs: 0 };
  const opened = await context.run("of the first call", async () => {
    // The one that is there already, and one that has to be opened.
    const lent = [await connections.acquire(mode), await connections.acquire(mode)];
    expect(context.getStore()).toBe("of the first call");
    return lent;
  });
  for (const { client, socket } of opened) {
    const seen: unknown[] = [];
    socket.once("data", () => seen.push(context.getStore()));
    const arrived = once(socket, "data");
    await context.run("of the next call", () => client.query("SELECT 1"));
    await arrived;
    expect(seen).toEqual([undefined]);
  }
  for (const { release } of opened) release(false);
});

test("a connection of the system door keeps nothing of the request that opened it, and neither does its timer", async () => {
  const settings = doorSettings(connectionSettings(fixture.database.adminUrl), "bulkhead_system");
  const door = createSystemDoor(settings, { connections: 2 });
  const made: [type: string, context: string | undefined][] = [];
  const hook = createHook({
    init(_id, type) {
      if (type === "PIPEWRAP" || type === "TCPWRAP" || type === "Timeout")
        made.push([type, context.getStore()]);
    },
  }).enable();
  try {
    const seen = await context.run("of a request", () =>
      door.run("change configuration", async (db) => {
        await db.query("SELECT 1");
        return context.getStore();
      }),
    );
    expect(seen).toBe("of a request");
  } finally {
    hook.disable();
    await door.close();
  }
  expect(made.map(([type]) => type)).toEqual(expect.arrayContaining(["Timeout"]));
  expect(made.some(([type]) => type !== "Timeout")).toBe(true);
  expect(made.filter(([, store]) => store !== undefined)).toEqual([]);
});
