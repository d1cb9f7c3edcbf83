import { createServer, request as httpRequest, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { compileCatalog } from "../../src/catalog/catalog.ts";
import { defineResource, defineServer, defineTool } from "../../src/catalog/define.ts";
import { createTenantViews, type Permits } from "../../src/catalog/tenant-view.ts";
import { isRefusal, type Refusal } from "../../src/core/refusal.ts";
import type { Watcher } from "../../src/protocol/change-stream.ts";
import { type ChangeStreams, createChangeStreams } from "../../src/protocol/change-streams.ts";
import { EventOutlet } from "../../src/protocol/event-outlet.ts";
import type { RequestId } from "../../src/protocol/json-rpc.ts";
import { ListenWords } from "../../src/protocol/listen-words.ts";
import { createOpenWork } from "../../src/protocol/open-work.ts";
import type { TenantSnapshot } from "../../src/tenancy/tenant-snapshot.ts";
import { createFakeClock, type FakeClock } from "../identity/fake-clock.ts";
import { readStream, type TestStream } from "../support/open-stream.ts";
import { tenantSnapshot } from "../support/tenant-snapshot.ts";

const tool = (name: string, more: { toolSet?: string; requires?: string } = {}) =>
  defineTool({ name, description: name, run: () => name, ...more });
const resource = (uri: string, more: { toolSet?: string; requires?: string } = {}) =>
  defineResource({ name: uri, uri, description: uri, read: () => uri, ...more });
const catalog = compileCatalog(
  defineServer({
    name: "shop",
    version: "1.0.0",
    tools: [
      tool("sell"),
      tool("report", { toolSet: "reports" }),
      tool("refund", { toolSet: "refunds", requires: "money" }),
    ],
    resources: [
      ...Array.from({ length: 201 }, (_unused, i) => resource(`shop://shelves/${i}`)),
      resource("shop://the-last", { toolSet: "reports" }),
      resource("shop://refunds/{id}", { toolSet: "refunds" }),
      resource("shop://books/{year}", { requires: "money" }),
    ],
  }),
);
const permits: Permits = (granted, required) => required === undefined || granted.has(required);
const views = createTenantViews({ catalog, permits, onCut: () => {} });
const acme = tenantSnapshot("acme");
const globex = tenantSnapshot("globex");
const META = '"_meta":{"io.modelcontextprotocol/subscriptionId":"listen:0"}';
const ACKNOWLEDGED = `data: {"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{${META},"notifications":{"toolsListChanged":true}}}\n\n`;
const CHANGED = `data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{${META}}}\n\n`;
const SERVER_INFO = '{"name":"shop","version":"1.0.0"}';
const ENDED =
  'data: {"jsonrpc":"2.0","id":"listen:0","result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":"listen:0","io.modelcontextprotocol/serverInfo":{"name":"shop","version":"1.0.0"}}}}\n\n';

let server: Server;
let url: string;
let onRequest: (res: ServerResponse) => void = () => {};
beforeAll(async () => {
  server = createServer((_req, res) => onRequest(res));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

let clock: FakeClock;
let openWork: ReturnType<typeof createOpenWork<{ snapshot: TenantSnapshot }>>;
let streams: ChangeStreams;
beforeEach(() => {
  clock = createFakeClock();
  openWork = createOpenWork();
  streams = createChangeStreams({ clock, views, permits, maxOfTenant: 3 });
});

interface Opened extends TestStream {
  /** Why it was not opened. */
  readonly refusal: Refusal | null;
  /** The server's side of it. */
  readonly res: ServerResponse;
}

interface Opening extends Partial<Omit<Watcher, "connect">> {
  readonly id?: RequestId;
  readonly mayHaveMissed?: boolean;
}

/** Opens a `subscriptions/listen` stream over a real connection. */
async function open({ id = "listen:0", mayHaveMissed, ...change }: Opening = {}): Promise<Opened> {
  let refusal: Refusal | null = null;
  let response: ServerResponse | undefined;
  onRequest = (res) => {
    response = res;
    const lists = change.lists ?? ["tools"];
    const uris = change.subscriptions instanceof Set ? change.subscriptions : null;
    const words = new ListenWords({ id, honoured: { lists, uris }, serverInfo: SERVER_INFO });
    const watcher: Watcher = {
      connect: () => new EventOutlet(res, words),
      generation: "current",
      lists,
      subscriptions: new Set(),
      snapshot: acme,
      grantedUnder: () => new Set(),
      expiresAt: clock.now() + 3_600_000,
      ...change,
    };
    const work = openWork.begin({ snapshot: watcher.snapshot });
    const opened = streams.open(watcher, work, mayHaveMissed);
    if (isRefusal(opened)) {
      refusal = opened;
      res.writeHead(429).end();
    } else expect(opened.bytes).toBeGreaterThan(0);
    work.finish();
  };
  const stream = await readStream(httpRequest(url, { method: "POST", agent: false }));
  if (response === undefined) throw new TypeError("There was no request.");
  return { ...stream, refusal, res: response };
}
const withReports = (of: TenantSnapshot, version = 2): TenantSnapshot => ({
  ...of,
  version,
  toolSets: new Set(["reports"]),
});

describe("on the wire, to the last character", () => {
  test("the head and the acknowledgement, a change, a comment, and the end", async () => {
    const stream = await open();
    expect([stream.status, stream.headers]).toMatchObject([
      200,
      {
        "content-type": "text/event-stream",
        "cache-control": "no-store, no-transform",
        "x-accel-buffering": "no",
      },
    ]);
    await expect.poll(stream.text).toBe(ACKNOWLEDGED);
    await streams.changed(withReports(acme));
    await expect.poll(stream.text).toBe(ACKNOWLEDGED + CHANGED);
    clock.advance(15_000);
    streams.sweep();
    await expect.poll(stream.text).toBe(`${ACKNOWLEDGED}${CHANGED}:\n\n`);
    streams.endAll();
    expect(await stream.closed).toBe("end");
    expect(stream.text()).toBe(`${ACKNOWLEDGED}${CHANGED}:\n\n${ENDED}`);
  });

  test("an id that is a number, and no list honoured", async () => {
    const stream = await open({ id: 7, lists: [] });
    await expect
      .poll(stream.text)
      .toBe(
        'data: {"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":7},"notifications":{}}}\n\n',
      );
    stream.destroy();
  });

  test("an id with line breaks is one line", async () => {
    const stream = await open({ id: "a\n\ndata: x\r" });
    await expect.poll(() => stream.messages().length).toBe(1);
    expect(stream.messages()[0].params._meta["io.modelcontextprotocol/subscriptionId"]).toBe(
      "a\n\ndata: x\r",
    );
    stream.destroy();
  });
});

describe("a change of the tenant", () => {
  /** Streams of four callers; what each heard of the changes. */
  const listeners = async () => {
    streams = createChangeStreams({ clock, views, permits });
    const all = {
      acme: await open(),
      "acme with money": await open({ grantedUnder: () => new Set(["money"]) }),
      "acme, prompts only": await open({ lists: ["prompts"] }),
      globex: await open({ snapshot: globex }),
    };
    /** A last change that all hear of marks the end of what was sent before. */
    const heard = async () => {
      streams.endAll();
      await Promise.all(Object.values(all).map((stream) => stream.closed));
      return Object.fromEntries(
        Object.entries(all).map(([name, stream]) => [
          name,
          stream.messages().filter(({ method }) => method === "notifications/tools/list_changed").length,
        ]),
      );
    };
    return heard;
  };

  test("reaches those who listen for that list, of that tenant alone", async () => {
    const heard = await listeners();
    await streams.changed(withReports(acme));
    expect(await heard()).toEqual({ acme: 1, "acme with money": 1, "acme, prompts only": 0, globex: 0 });
  });

  test("reaches only those whose own list is another", async () => {
    const heard = await listeners();
    await streams.changed({ ...acme, version: 2, toolSets: new Set(["refunds"]) });
    expect(await heard()).toEqual({ acme: 0, "acme with money": 1, "acme, prompts only": 0, globex: 0 });
  });

  test("that changes nobody's list is not told", async () => {
    const heard = await listeners();
    await streams.changed({ ...acme, version: 2, name: "Acme Incorporated", dpop: "allow" });
    expect(await heard()).toEqual({ acme: 0, "acme with money": 0, "acme, prompts only": 0, globex: 0 });
  });

  test("is told once each time, and an older snapshot that comes late not at all", async () => {
    const heard = await listeners();
    await streams.changed(withReports(acme, 3));
    await streams.changed(withReports(acme, 3));
    await streams.changed({ ...acme, version: 2 });
    await streams.changed(withReports(acme, 4));
    expect(await heard()).toEqual({ acme: 1, "acme with money": 1, "acme, prompts only": 0, globex: 0 });
    const other = await listeners();
    await streams.changed(withReports(acme, 5));
    await streams.changed({ ...acme, version: 6 });
    expect((await other()).acme).toBe(2);
  });

  test.each([
    ["beyond the first page", "reports"],
    ["of a template", "refunds"],
  ])("of resources is told as well: %s", async (_what, toolSet) => {
    const stream = await open({ lists: ["resources"] });
    await streams.changed({ ...acme, version: 2, toolSets: new Set([toolSet]) });
    await expect.poll(() => stream.messages()[1]?.method).toBe("notifications/resources/list_changed");
    expect(stream.messages()).toHaveLength(2);
    stream.destroy();
  });

  test("of what the caller's roles grant is a change of the list", async () => {
    const withRefunds = { ...acme, toolSets: new Set(["refunds"]) };
    const stream = await open({
      snapshot: withRefunds,
      grantedUnder: (snapshot) => new Set(snapshot.roles.clerk ?? []),
    });
    await streams.changed({ ...withRefunds, version: 2, roles: { clerk: ["money"] } });
    await expect.poll(stream.text).toBe(ACKNOWLEDGED + CHANGED);
    stream.destroy();
  });
});

describe("an announced change", () => {
  const METHOD = "notifications/resources/updated";
  const heard = (stream: TestStream): string[] =>
    stream
      .messages()
      .slice(1)
      .map(({ method, params }) => (method === METHOD ? params.uri : method));
  const books = "shop://books/1999";
  const shelf = "shop://shelves/0";

  test("is told to those of that tenant who asked for the list, and before it is done", async () => {
    streams = createChangeStreams({ clock, views, permits });
    const all = [await open(), await open({ lists: ["prompts"] }), await open({ snapshot: globex })];
    await streams.announced(acme, ["tools", "resources"]);
    await streams.announced(globex, ["prompts"]);
    streams.endAll();
    await Promise.all(all.map((stream) => stream.closed));
    expect(
      all.map((stream) =>
        stream
          .messages()
          .slice(1, -1)
          .map(({ method }) => method),
      ),
    ).toEqual([["notifications/tools/list_changed"], [], []]);
  });

  test("of a resource is told to those who subscribed to it, as long as they may read it", async () => {
    streams = createChangeStreams({ clock, views, permits });
    const subscriptions = new Set([books, shelf, "shop://the-last"]);
    const grantedUnder = (snapshot: TenantSnapshot) => new Set(snapshot.roles.clerk ?? []);
    const clerk = await open({ lists: [], subscriptions, grantedUnder });
    const other = await open({ lists: [], subscriptions });
    const foreign = await open({ lists: [], subscriptions, snapshot: globex });
    const plain = await open({ lists: ["resources"] });
    const withClerk = { ...acme, version: 2, roles: { clerk: ["money"] } };
    const all = [shelf, books, "shop://shelves/1", "shop://the-last"].map((uri) => ({ resource: uri }));
    await streams.announced(withClerk, all);
    await expect.poll(() => heard(clerk)).toEqual([shelf, books]);
    // The role is taken away again, and the tool set of the last resource is turned on: neither stream was told of that.
    await streams.announced({ ...withReports(acme, 3), roles: {} }, all);
    await streams.announced(acme, ["resources"]);
    await expect.poll(() => heard(plain)).toEqual(["notifications/resources/list_changed"]);
    await expect.poll(() => heard(clerk)).toEqual([shelf, books, shelf, "shop://the-last"]);
    await expect.poll(() => heard(other)).toEqual([shelf, shelf, "shop://the-last"]);
    expect(heard(foreign)).toEqual([]);
    for (const stream of [clerk, other, foreign, plain]) stream.destroy();
  });

  test("asks for subscriptions anew each time, and ends a stream that belongs to nothing any more", async () => {
    let uris: ReadonlySet<string> | null = new Set();
    const stream = await open({ subscriptions: async () => uris });
    await streams.announced(acme, [{ resource: shelf }]);
    uris = new Set([shelf]);
    await streams.announced(acme, [{ resource: shelf }]);
    await expect.poll(() => heard(stream)).toEqual([shelf]);
    uris = null;
    await streams.announced(acme, [{ resource: shelf }]);
    expect(await stream.closed).toBe("end");
  });

  test("whose subscribers cannot be looked up fails, and is told to all others", async () => {
    const unreachable = new TypeError("unreachable");
    const fails = await open({ subscriptions: () => Promise.reject(unreachable) });
    const other = await open({ subscriptions: new Set([shelf]) });
    await expect(streams.announced(acme, [{ resource: shelf }])).rejects.toBe(unreachable);
    await expect.poll(() => heard(other)).toEqual([shelf]);
    for (const stream of [fails, other]) stream.destroy();
  });

  test("that was missed is told anew: every list, and all that is subscribed to and may be read", async () => {
    const uris = Array.from({ length: 201 }, (_unused, i) => `shop://shelves/${i}`);
    const stream = await open({
      lists: ["tools", "resources"],
      subscriptions: () => new Set([...uris, books, "shop://nowhere"]),
      mayHaveMissed: true,
    });
    const lists = ["tools", "resources"].map((list) => `notifications/${list}/list_changed`);
    await expect.poll(() => heard(stream)).toEqual([...lists, ...uris]);
    stream.destroy();
  });
});

describe("what a quiet stream belongs to", () => {
  test("is looked at with each comment: where it has ended, so does the stream", async () => {
    let ended = false;
    const stream = await open({ subscriptions: () => (ended ? null : new Set()) });
    clock.advance(15_000);
    streams.sweep();
    await expect.poll(stream.text).toBe(`${ACKNOWLEDGED}:\n\n`);
    ended = true;
    clock.advance(15_000);
    streams.sweep();
    expect(await stream.closed).toBe("end");
  });
});

describe("the end of a credential", () => {
  test("ends its stream at the next sweep, and no sooner", async () => {
    const stream = await open({ expiresAt: clock.now() + 5_000 });
    const longer = await open({ expiresAt: clock.now() + 5_001 });
    clock.advance(4_999);
    streams.sweep();
    await expect.poll(stream.text).toBe(ACKNOWLEDGED);
    expect(stream.isOpen()).toBe(true);
    clock.advance(1);
    streams.sweep();
    expect(await stream.closed).toBe("end");
    expect(stream.text()).toBe(ACKNOWLEDGED + ENDED);
    expect(longer.isOpen()).toBe(true);
    longer.destroy();
  });

  test("by revocation ends its stream at once, and what the tenant changes then is not told", async () => {
    const stream = await open();
    openWork.check(acme.id, acme, () => false);
    await streams.changed(withReports(acme));
    expect(await stream.closed).toBe("end");
    expect(stream.text()).toBe(ACKNOWLEDGED + ENDED);
    await expect.poll(() => openWork.has(acme.id)).toBe(false);
  });

  test("before the stream was opened leaves it closed", async () => {
    onRequest = (res) => {
      const work = openWork.begin({ snapshot: acme });
      openWork.check(acme.id, null, () => true);
      const watcher: Watcher = {
        connect: () => {
          throw new TypeError("It is not to be opened.");
        },
        generation: "current",
        lists: [],
        subscriptions: new Set(),
        snapshot: acme,
        grantedUnder: () => new Set(),
        expiresAt: Number.MAX_SAFE_INTEGER,
      };
      const opened = streams.open(watcher, work);
      res.writeHead(isRefusal(opened) && opened.code === "credentials_ended" ? 401 : 500).end();
    };
    expect((await readStream(httpRequest(url, { agent: false }))).status).toBe(401);
  });
});

describe("the number of a tenant's streams", () => {
  test("is bounded, apart from every other tenant's", async () => {
    const held = [await open(), await open(), await open()];
    expect((await open()).refusal).toEqual({
      kind: "refusal",
      code: "rate_limited",
      retryAfterMs: 10_000,
      data: { limit: "openStreams", value: 3 },
    });
    const other = await open({ snapshot: globex });
    expect(other.refusal).toBeNull();
    held[0]?.destroy();
    await expect
      .poll(async () => {
        const next = await open();
        next.destroy();
        return next.refusal;
      })
      .toBeNull();
    for (const stream of [...held, other]) stream.destroy();
    await expect.poll(() => [openWork.has(acme.id), openWork.has(globex.id)]).toEqual([false, false]);
  });
});

describe("the URIs that a tenant's streams hold", () => {
  test("are bounded together, and make room when a stream ends", async () => {
    streams = createChangeStreams({ clock, views, permits, maxCharacters: 20 });
    const ten = (prefix: string) => new Set([prefix.padEnd(10, "x")]);
    const first = await open({ subscriptions: ten("a"), lists: [] });
    const second = await open({ subscriptions: ten("b"), lists: [] });
    expect((await open({ subscriptions: new Set(["c"]) })).refusal).toMatchObject({
      code: "rate_limited",
      data: { limit: "subscribedCharacters", value: 20 },
    });
    const other = await open({ subscriptions: new Set(["c"]), snapshot: globex });
    expect(other.refusal).toBeNull();
    first.destroy();
    await expect
      .poll(async () => {
        const next = await open({ subscriptions: new Set(["c"]) });
        next.destroy();
        return next.refusal;
      })
      .toBeNull();
    for (const stream of [second, other]) stream.destroy();
  });
});

describe("a reader that has stopped reading", () => {
  /** Changes back and forth: the system's own buffers take some thousands of messages first. */
  const changeUntil = async (over: () => boolean): Promise<void> => {
    for (let version = 2; version < 60_000 && !over(); version++) {
      await streams.changed(version % 2 === 0 ? withReports(acme, version) : { ...acme, version });
      if (version % 100 === 0) await new Promise(setImmediate);
    }
  };

  test("loses its connection, and costs no more memory than its bound", async () => {
    const reading = await open({ id: "x".repeat(500) });
    const stopped = await open({ id: "x".repeat(500) });
    stopped.stopReading();
    let waiting = 0;
    await changeUntil(() => {
      waiting = Math.max(waiting, stopped.res.writableLength);
      return stopped.res.destroyed;
    });
    expect(stopped.res.destroyed).toBe(true);
    expect(waiting).toBeGreaterThan(200_000);
    expect(waiting).toBeLessThanOrEqual(262_144 + 1_024);
    expect(reading.isOpen()).toBe(true);
    reading.destroy();
    stopped.destroy();
  });

  test("does not hold up the end: it is dropped a second after", async () => {
    const stopped = await open({ id: "x".repeat(500) });
    stopped.stopReading();
    await changeUntil(() => stopped.res.writableLength > 100_000);
    streams.endAll();
    clock.advance(999);
    streams.sweep();
    expect(stopped.res.destroyed).toBe(false);
    clock.advance(1);
    streams.sweep();
    expect(stopped.res.destroyed).toBe(true);
    await expect.poll(() => openWork.has(acme.id)).toBe(false);
    stopped.destroy();
  });
});

describe("comments", () => {
  test("keep quiet streams alive, each 15 s after its last message", async () => {
    const stream = await open();
    clock.advance(10_000);
    await streams.changed(withReports(acme));
    clock.advance(14_999);
    streams.sweep();
    clock.advance(1);
    streams.sweep();
    streams.sweep();
    clock.advance(15_000);
    streams.sweep();
    await expect.poll(stream.text).toBe(`${ACKNOWLEDGED}${CHANGED}:\n\n:\n\n`);
    stream.destroy();
  });
});

test("after the last end no stream is opened any more", async () => {
  streams.endAll();
  expect((await open()).refusal?.code).toBe("stopping");
});
