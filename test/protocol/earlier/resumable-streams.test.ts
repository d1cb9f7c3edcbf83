import { randomBytes } from "node:crypto";
import { createServer, request as httpRequest, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Refusal } from "../../../src/core/refusal.ts";
import type { Signal, SignalTopic } from "../../../src/core/signal.ts";
import {
  createResumableStreams,
  type ResumableStreams,
} from "../../../src/protocol/earlier/resumable-streams.ts";
import { createOpenWork, type OpenWork } from "../../../src/protocol/open-work.ts";
import type { Session } from "../../../src/protocol/session.ts";
import type { StreamEvent, StreamLog, StreamName, StreamPage } from "../../../src/protocol/stream-log.ts";
import { createFakeClock, type FakeClock } from "../../identity/fake-clock.ts";
import { eventsOf } from "../../support/earlier-session.ts";
import { earlierSession } from "../../support/earlier-session-of.ts";
import { readStream, type TestStream } from "../../support/open-stream.ts";
import { tenantSnapshot } from "../../support/tenant-snapshot.ts";

/** What all instances have written; whether this one hears of it is the test's to say. */
class WrittenLog implements StreamLog {
  readonly streams = new Map<string, StreamEvent[]>();
  reads = 0;
  atOnce = Number.POSITIVE_INFINITY;
  failing = false;
  /** What is not kept is the log's to forget. */
  hasRoom = true;
  open(name: StreamName): boolean {
    if (this.hasRoom) this.#of(name);
    return this.hasRoom;
  }
  append({ seq, message, ...name }: StreamName & StreamEvent): boolean {
    if (this.hasRoom) this.#of(name).push({ seq, message });
    return this.hasRoom;
  }
  /** What a reader waits for before it is given what was read. */
  held: Promise<void> = Promise.resolve();
  async read(name: StreamName, after: number): Promise<StreamPage | null> {
    this.reads++;
    if (this.failing) throw new TypeError("The database is gone.");
    const left = this.streams.get(keyOf(name))?.filter(({ seq }) => seq > after);
    const events = left?.slice(0, this.atOnce);
    await this.held;
    return left === undefined || events === undefined ? null : { events, more: events.length < left.length };
  }
  async flush(): Promise<void> {}
  async close(): Promise<void> {}
  #of(name: StreamName): StreamEvent[] {
    const events = this.streams.get(keyOf(name)) ?? [];
    this.streams.set(keyOf(name), events);
    return events;
  }
}
const keyOf = ({ tenantId, sessionId, streamId }: StreamName): string =>
  `${tenantId}/${sessionId}/${streamId}`;

const caller = { snapshot: tenantSnapshot("acme") };
let onRequest: (res: ServerResponse) => void = () => {};
const server = createServer((_req, res) => onRequest(res));
beforeAll(() => new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve)));
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

let clock: FakeClock;
let log: WrittenLog;
let listeners: Map<SignalTopic, (signal: Signal) => void>;
let told: Signal[];
let faults: unknown[];
let streams: ResumableStreams;
let openWork: OpenWork<typeof caller>;
let session: Session;
let name: StreamName;
beforeEach(() => {
  clock = createFakeClock();
  log = new WrittenLog();
  listeners = new Map();
  told = [];
  faults = [];
  openWork = createOpenWork();
  session = earlierSession();
  name = { tenantId: session.tenantId, sessionId: session.id, streamId: "post_0000000000000000" };
  streams = createResumableStreams({
    log,
    clock,
    random: randomBytes,
    onFault: (message, cause) => faults.push(message, cause),
    signals: {
      publish(signal) {
        told.push(signal);
        return null;
      },
      subscribe(topic, listener) {
        listeners.set(topic, listener as (signal: Signal) => void);
        return () => {};
      },
    },
  });
});

/** Answers the next request with `work`. */
async function connect(work: (res: ServerResponse) => unknown): Promise<TestStream> {
  onRequest = (res) => void work(res);
  const { port } = server.address() as AddressInfo;
  return readStream(httpRequest({ port, host: "127.0.0.1", agent: false }));
}
const refusals: (Refusal | null)[] = [];
const resume = (seq = 0, expiresAt = Number.POSITIVE_INFINITY): Promise<TestStream> =>
  connect(async (res) => {
    const work = openWork.begin(caller);
    const refused = await streams.resume(res, {
      session,
      at: { streamId: name.streamId, seq },
      work,
      expiresAt,
    });
    refusals.push(refused);
    if (refused !== null) res.writeHead(400).end();
    work.finish();
  });
const say = (seq: number, message: string | null): boolean => log.append({ ...name, seq, message });
const data = (stream: TestStream): unknown[] => eventsOf(stream).map((event) => event.data);

/** Another instance writes something, and tells of it; this instance's reader gets it. */
const hears = async (stream: TestStream, seq: number): Promise<void> => {
  say(seq, String(seq));
  listeners.get("stream_written")?.({
    tenantId: name.tenantId,
    topic: "stream_written",
    payload: { sessionId: session.id, streamId: name.streamId, seq },
  });
  await vi.waitFor(() => expect(data(stream)).toContain(String(seq)));
};

describe("a stream that was come back for", () => {
  test("is told of what another instance writes", async () => {
    log.open(name);
    const stream = await resume();
    await hears(stream, 1);
    expect(data(stream)).toEqual(["1"]);
    stream.destroy();
  });

  test("finds what no signal told of, five seconds late", async () => {
    log.open(name);
    const stream = await resume();
    say(1, '"one"');
    clock.advance(4_999);
    const { reads } = log;
    streams.sweep();
    expect(log.reads).toBe(reads);
    clock.advance(1);
    streams.sweep();
    await vi.waitFor(() => expect(data(stream)).toEqual(['"one"']));
    stream.destroy();
  });

  test("may be come back for before the instance that was left has written", async () => {
    const resuming = resume();
    await vi.waitFor(() => expect(log.reads).toBe(1));
    say(1, '"one"');
    say(2, null);
    const stream = await resuming;
    await stream.closed;
    expect(data(stream)).toEqual(['"one"']);
  });

  test("ends with the log of its session, with the credential, with the session and with the instance", async () => {
    log.open(name);
    const forgotten = await resume();
    log.streams.clear();
    clock.advance(5_000);
    streams.sweep();
    expect(await forgotten.closed).toBe("end");

    log.open(name);
    const expiring = await resume(0, clock.now() + 1_000);
    clock.advance(999);
    streams.sweep();
    await hears(expiring, 1);
    clock.advance(1);
    streams.sweep();
    expect(await expiring.closed).toBe("end");

    const ofSession = await resume();
    streams.endSession({ tenantId: session.tenantId, id: "ses_of_another" });
    streams.endSession({ tenantId: earlierSession().tenantId, id: session.id });
    await hears(ofSession, 2);
    streams.endSession(session);
    expect(await ofSession.closed).toBe("end");

    const revoked = await resume();
    openWork.check(caller.snapshot.id, null, () => true);
    expect(await revoked.closed).toBe("end");

    const last = await resume();
    streams.endAll();
    expect(await last.closed).toBe("end");
    await resume();
    expect(refusals.at(-1)).toMatchObject({ code: "stopping" });
  });

  test("gets all of what is more than is read at once", async () => {
    log.atOnce = 2;
    for (const seq of [1, 2, 3, 4, 5]) say(seq, String(seq));
    say(6, null);
    const stream = await resume();
    await stream.closed;
    expect(data(stream)).toEqual(["1", "2", "3", "4", "5"]);
  });

  test("gives way to a reader on another instance, unless both came at once", async () => {
    log.open(name);
    const stream = await resume();
    const elsewhere = (streamId: string): void =>
      listeners.get("stream_resumed")?.({
        tenantId: name.tenantId,
        topic: "stream_resumed",
        payload: { sessionId: session.id, streamId },
      });
    expect(told.map(({ topic }) => topic)).toEqual(["stream_resumed"]);
    clock.advance(1_000);
    elsewhere(name.streamId);
    await hears(stream, 1);
    clock.advance(1);
    elsewhere("post_1111111111111111");
    await hears(stream, 2);
    elsewhere(name.streamId);
    expect(await stream.closed).toBe("cut");
  });

  test("does not outlive what ended while it was looked for", async () => {
    for (const end of [() => streams.endSession(session), () => streams.endAll()]) {
      log.open(name);
      let goOn = (): void => {};
      log.held = new Promise((resolve) => {
        goOn = resolve;
      });
      const { reads } = log;
      const resuming = resume();
      await vi.waitFor(() => expect(log.reads).toBe(reads + 1));
      end();
      goOn();
      expect(await (await resuming).closed).toBe("end");
    }
  });

  test("is kept alive while nothing is said", async () => {
    log.open(name);
    const stream = await resume();
    clock.advance(14_999);
    streams.sweep();
    clock.advance(1);
    streams.sweep();
    await vi.waitFor(() => expect(stream.text()).toBe(":\n\n"));
    stream.destroy();
  });

  test("is dropped where the log cannot be read", async () => {
    log.open(name);
    const stream = await resume();
    log.failing = true;
    clock.advance(5_000);
    streams.sweep();
    expect(await stream.closed).toBe("cut");
    expect(faults).toEqual(["Streams: not read.", new TypeError("The database is gone.")]);
  });

  test("is read no further than its reader is, and dropped where the reader has stopped", async () => {
    const large = `"${"x".repeat(1_000_000)}"`;
    for (let seq = 1; seq <= 30; seq++) say(seq, large);
    let written = 0;
    let response: ServerResponse | null = null;
    const opening = connect(async (res) => {
      response = res;
      const write = res.write.bind(res);
      res.write = (chunk: string) => {
        written += chunk.length;
        return write(chunk);
      };
      const at = { streamId: name.streamId, seq: 0 };
      await streams.resume(res, {
        session,
        at,
        work: openWork.begin(caller),
        expiresAt: Number.POSITIVE_INFINITY,
      });
    });
    const stream = await opening;
    stream.stopReading();
    // Until the sockets of both ends are full.
    let before = -1;
    await vi.waitFor(
      () => {
        const now = written;
        const still = now === before;
        before = now;
        if (!still) throw new TypeError("It goes on.");
      },
      { interval: 100, timeout: 5_000 },
    );
    expect(written).toBeLessThan(25_000_000);
    const waiting = (response as ServerResponse | null)?.writableLength ?? 0;
    expect(waiting).toBeGreaterThan(0);
    expect(waiting).toBeLessThan(1_200_000);
    clock.advance(30_000);
    streams.sweep();
    stream.readOn();
    expect(await stream.closed).toBe("cut");
  });

  test("leaves no more open than a tenant may have on an instance", async () => {
    log.read = () => new Promise(() => {});
    const work = openWork.begin(caller);
    const fake = { once: () => {}, destroyed: false };
    for (let i = 0; i < 1_000; i++) {
      const at = { streamId: `post_${String(i).padStart(16, "0")}`, seq: 0 };
      void streams.resume(fake as unknown as ServerResponse, { session, at, work, expiresAt: 0 });
    }
    await resume();
    expect(refusals.at(-1)).toMatchObject({
      code: "rate_limited",
      data: { limit: "openStreams", value: 1_000 },
    });
  });
});

describe("a stream that answers a POST", () => {
  test("is kept alive while nothing is said, and the log does not forget it", async () => {
    let ended = false;
    const stream = await connect((res) => {
      const post = streams.begin(res, session);
      clock.advance(15_000);
      streams.sweep();
      log.streams.clear();
      clock.advance(45_000);
      streams.sweep();
      expect(log.streams.size).toBe(1);
      post.say('"one"', clock.monotonic());
      post.end();
      log.streams.clear();
      clock.advance(60_000);
      streams.sweep();
      ended = true;
    });
    await stream.closed;
    expect(ended).toBe(true);
    // What is over is not tended any more.
    expect(log.streams.size).toBe(0);
    expect(stream.text()).toMatch(
      /^id: \S+\.0\nretry: 1000\ndata: \n\n(:\n\n){2}id: \S+\.1\ndata: "one"\n\n$/,
    );
  });

  test("goes on where the log has no room for it, and is noted no further when it has room again", async () => {
    const stream = await connect((res) => {
      const post = streams.begin(res, session);
      post.say('"one"', clock.monotonic());
      log.hasRoom = false;
      post.say('"two"', clock.monotonic());
      log.hasRoom = true;
      post.say('"three"', clock.monotonic());
      // Nor is it closed for a client that could not come back for the rest.
      void post.detach(1);
      clock.advance(60_000);
      streams.sweep();
      post.say('"four"', clock.monotonic());
      post.end();
    });
    await stream.closed;
    expect(data(stream)).toEqual(["", '"one"', '"two"', '"three"', '"four"']);
    expect([...log.streams.values()]).toEqual([[{ seq: 1, message: '"one"' }]]);
  });
});
