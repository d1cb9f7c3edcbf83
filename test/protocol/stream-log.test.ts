import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createIdSource, type SessionId, type TenantId } from "../../src/core/ids.ts";
import type { Signal } from "../../src/core/signal.ts";
import { connectionSettings } from "../../src/data/connection-settings.ts";
import { createSessionRepository } from "../../src/data/session-repository.ts";
import { createStreamRepository } from "../../src/data/stream-repository.ts";
import { createStreamLog, type StreamLog } from "../../src/protocol/stream-log.ts";
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
  await createSessionRepository(database.system).insert({ ...session, logLevel: null }, 100);
  return id;
}

async function start(): Promise<Instance> {
  const signals = await startSignals(database.system);
  const faults: string[] = [];
  const log = createStreamLog({
    store: createStreamRepository(database.system),
    signals,
    onFault: (message) => faults.push(message),
  });
  return { signals, log, faults };
}

const stream = (streamId = "s") => ({ tenantId: acme, sessionId, streamId });
const say = (seq: number, message: string | null = `{"n":${seq}}`, streamId = "s"): void =>
  one.log.append({ ...stream(streamId), seq, message });

describe("what was said on a stream", () => {
  it("is read on any instance after any event, in order, up to its end", async () => {
    for (const seq of [1, 2]) say(seq);
    say(3, null);
    say(1, '"\\u0000\\ud800"', "t");
    await one.log.flush();
    for (const { log } of [one, other]) {
      expect(await log.read(stream(), 0)).toEqual([
        { seq: 1, message: '{"n":1}' },
        { seq: 2, message: '{"n":2}' },
        { seq: 3, message: null },
      ]);
      expect(await log.read(stream(), 2)).toEqual([{ seq: 3, message: null }]);
      expect(await log.read(stream(), 3)).toEqual([]);
      expect(await log.read(stream("t"), 0)).toEqual([{ seq: 1, message: '"\\u0000\\ud800"' }]);
    }
  });

  it("is read where it was said without waiting for it to be written", async () => {
    say(1);
    expect(await one.log.read(stream(), 0)).toEqual([{ seq: 1, message: '{"n":1}' }]);
  });

  it("is nothing on a stream that was opened, and null on one that was not", async () => {
    one.log.open(stream());
    await one.log.flush();
    expect(await other.log.read(stream(), 0)).toEqual([]);
    expect(await other.log.read(stream("t"), 0)).toBeNull();
  });

  it("is another session's and another tenant's alone, also where all ids are alike", async () => {
    await addSession(globex, sessionId);
    const neighbour = await addSession(acme);
    say(1);
    await one.log.flush();
    expect(await one.log.read({ ...stream(), tenantId: globex }, 0)).toBeNull();
    expect(await one.log.read({ ...stream(), sessionId: neighbour }, 0)).toBeNull();
  });

  it("is told to other instances when it can be read, once for all that was written together", async () => {
    const heard: { signal: Signal; read: Promise<unknown> }[] = [];
    other.signals.subscribe("stream_written", (signal) =>
      heard.push({ signal, read: other.log.read(stream(signal.payload.streamId), 0) }),
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
    const kept = await other.log.read(stream(), 0);
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
    expect((await other.log.read(stream(), 0))?.map(({ seq }) => seq)).toEqual([3, 4, 5, 6, 8]);
    expect(await other.log.read(stream("t"), 0)).toHaveLength(1);
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
    expect(await one.log.read(stream(), 0)).toHaveLength(1);
    expect(await one.log.read({ ...stream(), sessionId: ended }, 0)).toBeNull();
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
      expect(await one.log.read(stream(), 0)).toHaveLength(1);
      expect(one.faults).toEqual([]);
    } finally {
      await ending.end();
    }
  });
});
