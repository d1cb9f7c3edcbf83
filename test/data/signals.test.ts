import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Fault } from "../../src/core/fault.ts";
import { createIdSource, type TenantId } from "../../src/core/ids.ts";
import type { Signal } from "../../src/core/signal.ts";
import { connectionSettings, doorSettings } from "../../src/data/connection-settings.ts";
import { listenForNotifications } from "../../src/data/notifications.ts";
import { createSignalRepository } from "../../src/data/signal-repository.ts";
import { createSystemDoor } from "../../src/data/system-door.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { openDeafDatabase } from "../support/deaf-database.ts";
import { addTwoTenants, startSignals, type TestSignals } from "../support/instance-signals.ts";

const ids = createIdSource(Date.now);
let database: TestDatabase;
let acme: TenantId;
let globex: TenantId;
let one: TestSignals;
let other: TestSignals;
beforeAll(async () => {
  database = await createTestDatabase();
  [acme, globex] = await addTwoTenants(database);
});
beforeEach(async () => {
  [one, other] = await Promise.all([startSignals(database.system), startSignals(database.system)]);
});
afterEach(() => Promise.all([one.close(), other.close()]));
afterAll(() => database.drop());

const updated = (uri: string, tenantId = acme): Signal => ({
  tenantId,
  topic: "resource_updated",
  payload: { uri },
});

/** URIs of the changed resources that an instance hears of from now on. */
function urisHeard(instance: TestSignals): string[] {
  const uris: string[] = [];
  instance.subscribe("resource_updated", ({ payload }) => uris.push(payload.uri));
  return uris;
}

describe("signals between instances", () => {
  it("are heard by the others with tenant and payload, in order, each once, and not by whoever told", async () => {
    const own = urisHeard(one);
    const heard: Signal[] = [];
    other.subscribe("resource_updated", (signal) => heard.push(signal));
    other.subscribe("list_changed", (signal) => heard.push(signal));
    const told: Signal[] = [
      updated("notes://1", globex),
      { tenantId: acme, topic: "list_changed", payload: { list: "tools" } },
      updated("notes://\u0000\ud800"),
    ];
    for (const signal of told) expect(one.publish(signal)).toBeNull();
    await one.flush();
    await Promise.all([one.catchUp(), other.catchUp(), other.catchUp()]);
    await other.catchUp();
    expect(heard).toEqual(told);
    expect(own).toEqual([]);
  });

  it("keep the order of each instance, over many pages, while several write at once", async () => {
    const third = await startSignals(database.system);
    const heard = urisHeard(third);
    const numbers = Array.from({ length: 1_300 }, (_, n) => n);
    for (const n of numbers) {
      one.publish(updated(`one:${n}`));
      other.publish(updated(`other:${n}`, globex));
      if (n % 100 === 0) await Promise.all([one.flush(), third.catchUp()]);
    }
    await Promise.all([one.flush(), other.flush()]);
    await third.catchUp();
    for (const who of ["one", "other"]) {
      expect(heard.filter((uri) => uri.startsWith(`${who}:`))).toEqual(numbers.map((n) => `${who}:${n}`));
    }
    await third.close();
  });

  it("become visible in the order of their ids: none appears before one that was read already", async () => {
    const blocked = new pg.Client(doorSettings(connectionSettings(database.adminUrl), "bulkhead_system"));
    await blocked.connect();
    try {
      // A writer that has its ids and has not committed.
      await blocked.query("BEGIN");
      await blocked.query("SELECT bulkhead.write_signals('ins_slow', '{1}', $1, '{resource_updated}', $2)", [
        [acme],
        [JSON.stringify({ uri: "first" })],
      ]);
      const heard = urisHeard(other);
      one.publish(updated("second"));
      const written = one.flush();
      await expect
        .poll(() => database.admin("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
        .toHaveLength(1);
      await other.catchUp();
      expect(heard).toEqual([]);
      await blocked.query("COMMIT");
      await written;
      await other.catchUp();
      expect(heard).toEqual(["first", "second"]);
    } finally {
      await blocked.end();
    }
  });

  it("concern only those who were there when they were told", async () => {
    one.publish(updated("before"));
    await one.flush();
    const late = await startSignals(database.system);
    const heard = urisHeard(late);
    one.publish(updated("after"));
    await one.flush();
    await late.catchUp();
    expect(heard).toEqual(["after"]);
    await late.close();
  });

  it("are there once although they were written twice, as after an answer that was lost", async () => {
    const repository = createSignalRepository(database.system, one.instanceId);
    const heard = urisHeard(other);
    const signal = { number: 1, tenantId: acme, topic: "resource_updated", payload: '{"uri":"once"}' };
    await repository.write([signal]);
    await repository.write([signal, { ...signal, number: 2, payload: '{"uri":"next"}' }]);
    await other.catchUp();
    expect(heard).toEqual(["once", "next"]);
  });

  it("are not written for a tenant that is gone or going, and nobody else's wait for that", async () => {
    const going = new pg.Client(connectionSettings(database.adminUrl));
    await going.connect();
    try {
      await going.query("BEGIN");
      await going.query("SELECT 1 FROM bulkhead.tenants WHERE id = $1 FOR UPDATE", [globex]);
      const heard = urisHeard(other);
      one.publish(updated("going", globex));
      one.publish(updated("gone", ids.tenant()));
      one.publish(updated("here"));
      await one.flush();
      await other.catchUp();
      expect(heard).toEqual(["here"]);
      expect(one.faults).toEqual([]);
    } finally {
      await going.end();
    }
  });

  it("may be large, are refused when too large, and many large ones are read a few at a time", async () => {
    const sizes: number[] = [];
    other.subscribe("call_answered", ({ payload }) => sizes.push(payload.text.length));
    const answer = (length: number): Signal => ({
      tenantId: acme,
      topic: "call_answered",
      payload: { callId: "c", round: 1, text: "x".repeat(length) },
    });
    const limit = 4 * 1_048_576;
    expect(one.publish(answer(limit))).toMatchObject({ code: "body_too_large", data: { limit } });
    const megabytes = Array.from({ length: 10 }, () => 1_048_576);
    for (const length of megabytes) expect(one.publish(answer(length))).toBeNull();
    await one.flush();
    const repository = createSignalRepository(database.system, other.instanceId);
    const [first] = await database.admin<{ id: string }>(
      "SELECT min(id) - 1 AS id FROM bulkhead.signals WHERE topic = 'call_answered'",
    );
    const page = await repository.readAfter(first?.id ?? "");
    expect(page.signals).toHaveLength(7);
    expect(page.last).toBe(false);
    await other.catchUp();
    expect(sizes).toEqual(megabytes);
  });

  it("may be 32 MB a minute of a tenant's large ones, and any number of small ones", async () => {
    let now = 0;
    const telling = await startSignals(database.system, () => now);
    const answer = (tenantId: TenantId, length: number): Signal => ({
      tenantId,
      topic: "call_answered",
      payload: { callId: "c", round: 1, text: "x".repeat(length) },
    });
    const four = 4 * 1_048_576 - 100;
    const tooMany = (retryAfterMs: number) => ({
      code: "rate_limited",
      retryAfterMs,
      data: { limit: "signalBytes", value: 32 * 1_048_576 },
    });
    for (let i = 0; i < 8; i++) expect(telling.publish(answer(acme, four))).toBeNull();
    expect(telling.publish(answer(acme, 20_000))).toMatchObject(tooMany(60_000));
    now += 59_999;
    expect(telling.publish(answer(acme, 20_000))).toMatchObject(tooMany(1));
    expect(telling.publish(answer(acme, 5 * 1_048_576))).toMatchObject({ code: "body_too_large" });
    expect(telling.publish(answer(globex, four))).toBeNull();
    expect(telling.publish(answer(acme, 1_000))).toBeNull();
    now += 1;
    expect(telling.publish(answer(acme, 20_000))).toBeNull();
    await telling.close();
  });

  it("of a tenant that tells more than can be held are lost, and no other tenant's", async () => {
    let isDown = false;
    const telling = await startSignals({
      ...database.system,
      run: (reason, work) =>
        isDown ? Promise.reject(new Fault("database_unavailable")) : database.system.run(reason, work),
    });
    isDown = true;
    const uris = urisHeard(other);
    telling.publish(updated("notes://globex", globex));
    for (let n = 0; n < 10_002; n++) telling.publish(updated(`notes://${n}`));
    await expect(telling.flush()).rejects.toThrow(Fault);
    isDown = false;
    await telling.flush();
    await other.catchUp();
    expect(uris).toHaveLength(10_000);
    expect(uris.slice(0, 2)).toEqual(["notes://globex", "notes://3"]);
    await telling.close();
  });

  it("reach the other listeners where one fails, and an ended one no more", async () => {
    other.subscribe("resource_updated", () => {
      throw new TypeError("broken");
    });
    const heard: string[] = [];
    const end = other.subscribe("resource_updated", ({ payload }) => heard.push(payload.uri));
    one.publish(updated("1"));
    await one.flush();
    await other.catchUp();
    end();
    one.publish(updated("2"));
    await one.flush();
    await other.catchUp();
    expect(heard).toEqual(["1"]);
    expect(other.faults).toEqual(Array(2).fill("A listener to resource_updated failed."));
  });

  it("of a topic that this version does not know are passed over", async () => {
    const heard = urisHeard(other);
    await createSignalRepository(database.system, one.instanceId).write([
      { number: 1, tenantId: acme, topic: "moon_risen", payload: "{}" },
      { number: 2, tenantId: acme, topic: "resource_updated", payload: '{"uri":"x"}' },
    ]);
    await other.catchUp();
    expect(heard).toEqual(["x"]);
  });

  it("go on where signals were removed that an instance had not read", async () => {
    const heard = urisHeard(other);
    one.publish(updated("missed"));
    await one.flush();
    await database.admin("DELETE FROM bulkhead.signals");
    one.publish(updated("seen"));
    await one.flush();
    await other.catchUp();
    expect(heard).toEqual(["seen"]);
  });
});

describe("notifications", () => {
  const listenFor = (signals: TestSignals, url = database.adminUrl) => {
    const heard: string[] = [];
    const notifications = listenForNotifications(doorSettings(connectionSettings(url), "bulkhead_system"), {
      bulkhead_configuration: (payload) => heard.push(`configuration ${payload}`),
      bulkhead_signals: (payload) => {
        heard.push(`signals ${payload}`);
        signals.heard(payload);
      },
    });
    return { heard, notifications };
  };
  const listeners = () =>
    database.admin<{ pid: number }>(
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'bulkhead_listen' AND datname = current_database()",
    );

  it("of both channels come over one connection, and make an instance read at once, once for many signals", async () => {
    const { heard, notifications } = listenFor(other);
    try {
      await expect.poll(() => heard).toEqual(["configuration ", "signals "]);
      expect(await listeners()).toHaveLength(1);
      const uris = urisHeard(other);
      for (let n = 0; n < 100; n++) one.publish(updated(String(n)));
      await one.flush();
      await database.admin("SELECT pg_notify('bulkhead_configuration', 'x')");
      await expect.poll(() => uris).toHaveLength(100);
      await expect.poll(() => heard.slice(2)).toEqual([`signals ${one.instanceId}`, "configuration x"]);
    } finally {
      await notifications.close();
    }
  });

  it("are listened for again after the connection was cut, and what was missed is read then", async () => {
    const { heard, notifications } = listenFor(other);
    try {
      await expect.poll(() => heard).toHaveLength(2);
      const uris = urisHeard(other);
      const [listener] = await listeners();
      await database.admin("SELECT pg_terminate_backend($1)", [listener?.pid]);
      await expect.poll(listeners).toEqual([]);
      one.publish(updated("meanwhile"));
      await one.flush();
      expect(uris).toEqual([]);
      await expect.poll(() => uris, { timeout: 5_000 }).toEqual(["meanwhile"]);
    } finally {
      await notifications.close();
    }
  });

  it("that are never heard cost no signal: the regular reading finds it", async () => {
    const deaf = await openDeafDatabase(database.adminUrl);
    const system = createSystemDoor(doorSettings(connectionSettings(deaf.url), "bulkhead_system"), {
      connections: 1,
    });
    const lonely = await startSignals(system);
    const { notifications } = listenFor(lonely, deaf.url);
    try {
      await expect.poll(() => deaf.cut()).toBeGreaterThan(0);
      const uris = urisHeard(lonely);
      one.publish(updated("unheard"));
      await one.flush();
      expect(uris).toEqual([]);
      await lonely.catchUp();
      expect(uris).toEqual(["unheard"]);
    } finally {
      await notifications.close();
      await lonely.close();
      await system.close();
      await deaf.close();
    }
  });
});
