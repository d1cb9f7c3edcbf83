import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Fault } from "../../src/core/fault.ts";
import { createIdSource, type SessionId, type TenantId } from "../../src/core/ids.ts";
import type { Signal } from "../../src/core/signal.ts";
import { connectionSettings } from "../../src/data/connection-settings.ts";
import { removePassed } from "../../src/data/housekeeping.ts";
import { createSessionRepository } from "../../src/data/session-repository.ts";
import { createStreamRepository } from "../../src/data/stream-repository.ts";
import {
  createStreamLog,
  type StreamEvent,
  type StreamLog,
  type StreamName,
} from "../../src/protocol/stream-log.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { addTwoTenants, startSignals, type TestSignals } from "../support/instance-signals.ts";

interface Instance {
  readonly signals: TestSignals;
  readonly log: StreamLog;
  readonly faults: string[];
}

const ids = createIdSource(Date.now);
let database: TestDatabase;
let acme: TenantId;
let globex: TenantId;
let sessionId: SessionId;
let one: Instance;
let other: Instance;
beforeAll(async () => {
  database = await createTestDatabase();
  [acme, globex] = await addTwoTenants(database);
});
beforeEach(async () => {
  sessionId = await addSession(acme);
  [one, other] = await Promise.all([start(), start()]);
});
afterEach(async () => {
  for (const { log, signals } of [one, other]) {
    await log.close();
    await signals.close();
  }
});
afterAll(() => database.drop());

async function addSession(tenantId: TenantId, id = ids.session()): Promise<SessionId> {
  const session = { tenantId, sessionId: id, principalKey: "p", revision: "2025-11-25", client: "{}" };
  await createSessionRepository(database.system).insert(
    { ...session, logLevel: null },
    { most: 100, makeRoom: false },
  );
  return id;
}

async function start(bounds: { keptOfTenant?: number; monotonic?: () => number } = {}): Promise<Instance> {
  const signals = await startSignals(database.system);
  const faults: string[] = [];
  const log = createStreamLog({
    store: createStreamRepository(database.system),
    signals,
    monotonic: () => 0,
    ...bounds,
    onFault: (message) => faults.push(message),
  });
  return { signals, log, faults };
}

const stream = (streamId = "s") => ({ tenantId: acme, sessionId, streamId });
const say = (seq: number, message: string | null = `{"n":${seq}}`, streamId = "s"): void => {
  one.log.append({ ...stream(streamId), seq, message });
};

/** Reads on as a client's connection does. */
async function allIn(log: StreamLog, name: StreamName, after: number): Promise<StreamEvent[] | null> {
  const all: StreamEvent[] = [];
  for (let seq = after; ; seq = all.at(-1)?.seq ?? seq) {
    const page = await log.read(name, seq);
    if (page === null) return null;
    all.push(...page.events);
    if (!page.more) return all;
  }
}

describe("what was said on a stream", () => {
  it("is read on any instance after any event, in order, up to its end", async () => {
    for (const seq of [1, 2]) say(seq);
    say(3, null);
    say(1, '"\\u0000\\ud800"', "t");
    await one.log.flush();
    for (const { log } of [one, other]) {
      expect(await allIn(log, stream(), 0)).toEqual([
        { seq: 1, message: '{"n":1}' },
        { seq: 2, message: '{"n":2}' },
        { seq: 3, message: null },
      ]);
      expect(await allIn(log, stream(), 2)).toEqual([{ seq: 3, message: null }]);
      expect(await allIn(log, stream(), 3)).toEqual([]);
      expect(await allIn(log, stream("t"), 0)).toEqual([{ seq: 1, message: '"\\u0000\\ud800"' }]);
    }
  });

  it("is read where it was said without waiting for it to be written", async () => {
    say(1);
    expect(await allIn(one.log, stream(), 0)).toEqual([{ seq: 1, message: '{"n":1}' }]);
  });

  it("is nothing on a stream that was opened, and null on one that was not", async () => {
    one.log.open(stream());
    await one.log.flush();
    expect(await allIn(other.log, stream(), 0)).toEqual([]);
    expect(await allIn(other.log, stream("t"), 0)).toBeNull();
  });

  it("is another session's and another tenant's alone, also where all ids are alike", async () => {
    await addSession(globex, sessionId);
    const neighbour = await addSession(acme);
    say(1);
    await one.log.flush();
    expect(await allIn(one.log, { ...stream(), tenantId: globex }, 0)).toBeNull();
    expect(await allIn(one.log, { ...stream(), sessionId: neighbour }, 0)).toBeNull();
  });

  it("is told to other instances when it can be read, once for all that was written together", async () => {
    const heard: { signal: Signal; read: Promise<unknown> }[] = [];
    other.signals.subscribe("stream_written", (signal) =>
      heard.push({ signal, read: allIn(other.log, stream(signal.payload.streamId), 0) }),
    );
    for (const seq of [1, 2, 3]) say(seq);
    say(1, null, "t");
    await one.log.flush();
    await one.signals.flush();
    await other.signals.catchUp();
    expect(heard.map(({ signal }) => signal)).toEqual([
      { tenantId: acme, topic: "stream_written", payload: { sessionId, streamId: "s", seq: 3 } },
      { tenantId: acme, topic: "stream_written", payload: { sessionId, streamId: "t", seq: 1 } },
    ]);
    expect(await heard[0]?.read).toHaveLength(3);
  });

  it("is kept up to 1,000 events, the newest", async () => {
    for (let seq = 1; seq <= 1_200; seq++) {
      say(seq);
      if (seq % 400 === 0) await one.log.flush();
    }
    const kept = await allIn(other.log, stream(), 0);
    expect(kept?.map(({ seq }) => seq)).toEqual(Array.from({ length: 1_000 }, (_, n) => n + 201));
    expect(one.faults).toEqual([]);
  });

  it("is kept up to 4 MB, the newest, and what is larger by itself not at all", async () => {
    const megabyte = JSON.stringify("x".repeat(1_048_570));
    for (let seq = 1; seq <= 6; seq++) say(seq, megabyte);
    say(7, `"${"x".repeat(4 * 1_048_576)}"`);
    say(8, null);
    say(1, "{}", "t");
    await one.log.flush();
    expect((await allIn(other.log, stream(), 0))?.map(({ seq }) => seq)).toEqual([3, 4, 5, 6, 8]);
    expect(await allIn(other.log, stream("t"), 0)).toHaveLength(1);
  });

  it("is read no more at once than a reader takes: a slow one does not have megabytes read again and again", async () => {
    const message = JSON.stringify("x".repeat(29_998));
    for (let seq = 1; seq <= 7; seq++) say(seq, message);
    await one.log.flush();
    const sizes: [number | undefined, number, boolean][] = [];
    for (let seq = 0, more = true; more; ) {
      const page = await other.log.read(stream(), seq);
      sizes.push([page?.events[0]?.seq, page?.events.length ?? 0, page?.more === true]);
      more = page?.more === true;
      seq += page?.events.length ?? 0;
    }
    expect(sizes).toEqual([
      [1, 3, true],
      [4, 3, true],
      [7, 1, false],
    ]);
  });

  it("is not forgotten while somebody says again that there is such a stream", async () => {
    const open = ["s", "s", "t"];
    for (const streamId of open) one.log.open(stream(streamId));
    say(1);
    await one.log.flush();
    expect(one.faults).toEqual([]);
    await database.admin("UPDATE bulkhead.stream_events SET at = now() - interval '6 minutes'");
    one.log.open(stream());
    await one.log.flush();
    await removePassed(database.system);
    expect(await allIn(other.log, stream(), 0)).toEqual([]);
    expect(await allIn(other.log, stream("t"), 0)).toBeNull();
  });

  it("is not lost because another tenant's streams say more than can be written", async () => {
    const written: string[] = [];
    let isDown = true;
    const log = createStreamLog({
      store: {
        ...createStreamRepository(database.system),
        write: async (rows) => {
          if (isDown) throw new Fault("database_unavailable");
          for (const row of rows) written.push(`${row.tenantId}/${row.seq}`);
        },
      },
      signals: one.signals,
      monotonic: () => 0,
      onFault: () => {},
    });
    log.append({ ...stream(), tenantId: globex, seq: 1, message: "{}" });
    const large = JSON.stringify("x".repeat(4 * 1_048_576 - 2));
    for (let seq = 1; seq <= 17; seq++) log.append({ ...stream(), seq, message: large });
    await expect(log.flush()).rejects.toThrow(Fault);
    isDown = false;
    await log.flush();
    expect(written).toHaveLength(16);
    expect(written.slice(0, 2)).toEqual([`${globex}/1`, `${acme}/3`]);
    await log.close();
  });

  describe("beyond what is kept of a tenant", () => {
    const kilobytes = JSON.stringify("x".repeat(9_998));
    const minute = 60_000;
    let passed = 0;
    let bounded: Instance;
    beforeEach(async () => {
      passed = 0;
      bounded = await start({ keptOfTenant: 50_000, monotonic: () => passed });
    });
    afterEach(async () => {
      await bounded.log.close();
      await bounded.signals.close();
    });
    const append = (streamId: string, seq: number, message: string | null = kilobytes): boolean =>
      bounded.log.append({ ...stream(streamId), seq, message });

    it("is not kept, and nothing of its stream any more, as of one that has passed away", async () => {
      expect([1, 2].map((seq) => append("early", seq))).toEqual([true, true]);
      expect([1, 2, 3].map((seq) => append("late", seq))).toEqual([true, true, false]);
      await bounded.log.flush();
      for (const { log } of [bounded, other]) {
        expect(await allIn(log, stream("early"), 0)).toHaveLength(2);
        expect(await allIn(log, stream("late"), 0)).toBeNull();
      }
      // What another tenant's streams say is kept.
      const theirs = { ...stream(), tenantId: globex, sessionId: await addSession(globex) };
      expect(bounded.log.append({ ...theirs, seq: 1, message: kilobytes })).toBe(true);
      expect(await allIn(bounded.log, theirs, 0)).toHaveLength(1);
      expect(bounded.faults).toEqual([
        `Streams: those of ${acme} say more than is kept of a tenant; clients cannot come back for the rest.`,
      ]);
    });

    it("is told to whoever reads on elsewhere", async () => {
      const heard: string[] = [];
      other.signals.subscribe("stream_written", ({ payload }) => heard.push(payload.streamId));
      append("s", 1, JSON.stringify("x".repeat(60_000)));
      await bounded.log.flush();
      await bounded.signals.flush();
      await other.signals.catchUp();
      expect(heard).toEqual(["s"]);
    });

    it("is all that is said before what was kept has been removed", async () => {
      const fits = (streamId: string): boolean => append(streamId, 1, JSON.stringify("x".repeat(30_000)));
      passed = 5 * minute;
      expect([fits("a"), fits("b")]).toEqual([true, false]);
      // A sweep removes the first one after five minutes and a half.
      passed = 10.5 * minute;
      expect(fits("c")).toBe(false);
      passed = 12 * minute;
      expect(fits("d")).toBe(true);
      passed = 24 * minute;
      expect(fits("e")).toBe(true);
      expect(bounded.faults).toHaveLength(2);
    });

    it("is also what has no words: each event weighs as a row", () => {
      const kept = Array.from({ length: 200 }, (_, n) => append(`s${n}`, 1, ""));
      expect(kept.filter(Boolean).length).toBe(125);
      expect(bounded.log.open(stream("opened"))).toBe(false);
    });
  });

  it("goes with its session, and is not written for one that has ended", async () => {
    const ended = sessionId;
    say(1);
    await one.log.flush();
    await createSessionRepository(database.system).remove(stream());
    say(2);
    sessionId = await addSession(acme);
    say(1);
    await one.log.flush();
    expect(await allIn(one.log, stream(), 0)).toHaveLength(1);
    expect(await allIn(one.log, { ...stream(), sessionId: ended }, 0)).toBeNull();
    expect(one.faults).toEqual([]);
  });

  it("is not written for a session that is ending, and no other waits for that", async () => {
    const ending = new pg.Client(connectionSettings(database.adminUrl));
    await ending.connect();
    try {
      await ending.query("BEGIN");
      await ending.query("DELETE FROM bulkhead.sessions WHERE id = $1", [sessionId]);
      say(1);
      sessionId = await addSession(acme);
      say(1);
      expect(await allIn(one.log, stream(), 0)).toHaveLength(1);
      expect(one.faults).toEqual([]);
    } finally {
      await ending.end();
    }
  });
});
