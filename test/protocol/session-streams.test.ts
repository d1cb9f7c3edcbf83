import { randomBytes } from "node:crypto";
import { createServer, request as httpRequest, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { compileCatalog } from "../../src/catalog/catalog.ts";
import { defineResource, defineServer, defineTool } from "../../src/catalog/define.ts";
import { createTenantViews, type Permits } from "../../src/catalog/tenant-view.ts";
import { isRefusal, type Refusal } from "../../src/core/refusal.ts";
import { isOfTopic, type Signal, type SignalTopic } from "../../src/core/signal.ts";
import { type ChangeStreams, createChangeStreams } from "../../src/protocol/change-streams.ts";
import { createOpenWork } from "../../src/protocol/open-work.ts";
import type { Session } from "../../src/protocol/session.ts";
import {
  createSessionStreams,
  isEventOfSession,
  type SessionCaller,
  type SessionStreams,
} from "../../src/protocol/session-streams.ts";
import type { TenantSnapshot } from "../../src/tenancy/tenant-snapshot.ts";
import { createFakeClock, type FakeClock } from "../identity/fake-clock.ts";
import { earlierSession } from "../support/earlier-session-of.ts";
import { readStream, type TestStream } from "../support/open-stream.ts";
import { tenantSnapshot } from "../support/tenant-snapshot.ts";

const catalog = compileCatalog(
  defineServer({
    name: "shop",
    version: "1.0.0",
    tools: [defineTool({ name: "sell", description: "Sells.", run: () => "sold" })],
    resources: [defineResource({ name: "guide", uri: "shop://guide", read: () => "Read me." })],
  }),
);
const permits: Permits = () => true;
const views = createTenantViews({ catalog, permits, onCut: () => {} });
const acme = tenantSnapshot("acme");
const caller: SessionCaller = {
  snapshot: acme,
  principal: {
    tenantId: acme.id,
    kind: "user",
    issuer: "https://issuer.example",
    subject: "ada",
    clientId: null,
    permissions: new Set(),
    roles: [],
    expiresAt: Number.MAX_SAFE_INTEGER,
  },
};

let server: Server;
let onRequest: (res: ServerResponse) => Promise<void>;
beforeAll(async () => {
  server = createServer((_req, res) => void onRequest(res));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

let clock: FakeClock;
let streams: ChangeStreams;
let own: SessionStreams<SessionCaller>;
let said: Signal[];
let listeners: Set<(signal: Signal) => void>;
let now: TenantSnapshot | null;
/** The session as it is stored; null: it has ended. */
let stored: Session | null;
beforeEach(() => {
  clock = createFakeClock();
  said = [];
  listeners = new Set();
  now = acme;
  streams = createChangeStreams({ clock, views, permits, maxOfTenant: 2 });
  own = createSessionStreams<SessionCaller>({
    clock,
    random: randomBytes,
    catalog,
    streams,
    sessions: { get: async () => stored },
    signals: {
      publish(signal) {
        said.push(signal);
        return null;
      },
      subscribe<T extends SignalTopic>(topic: T, listener: (signal: Signal<T>) => void) {
        const heard = (signal: Signal): void => {
          if (isOfTopic(signal, topic)) listener(signal);
        };
        listeners.add(heard);
        return () => void listeners.delete(heard);
      },
    },
    current: async () => now,
    stillHolds: (snapshot) => snapshot.status === "active",
    grantsOf: () => () => new Set(),
  });
});
const hear = (signal: Signal): void => {
  for (const listener of listeners) listener(signal);
};

async function open(
  session: Session,
  returning = false,
): Promise<TestStream & { readonly refusal: Refusal | null }> {
  stored = session;
  let refusal: Refusal | null = null;
  onRequest = async (res) => {
    const work = createOpenWork<SessionCaller>().begin(caller);
    const opened = await own.open(res, { session, caller, work, returning });
    if (!isRefusal(opened)) return;
    refusal = opened;
    res.writeHead(400).end();
  };
  const { port } = server.address() as AddressInfo;
  const stream = await readStream(httpRequest({ port, host: "127.0.0.1", agent: false }));
  return { ...stream, refusal };
}
const sessionOf = (said: Partial<Session> = {}): Session => earlierSession({ tenantId: acme.id, ...said });
/** The id of the stream that was opened last. */
const lastId = (): string => {
  const signal = said.at(-1);
  if (signal?.topic !== "stream_opened") throw new TypeError("No stream was opened.");
  return signal.payload.streamId;
};

describe("on the wire, to the last character", () => {
  test("an id to come back with, notifications as such, and an end without a message", async () => {
    const session = sessionOf({ subscriptions: new Set(["shop://guide"]) });
    const stream = await open(session);
    const id = lastId();
    const begun = `id: ${id}.0\nretry: 1000\ndata: \n\n`;
    await expect.poll(stream.text).toBe(begun);
    await streams.announced(acme, ["prompts", "tools", { resource: "shop://guide" }]);
    const told = `id: ${id}.1\ndata: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\nid: ${id}.2\ndata: {"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"shop://guide"}}\n\n`;
    await expect.poll(stream.text).toBe(begun + told);
    own.endSession(session);
    expect(await stream.closed).toBe("end");
    expect(stream.text()).toBe(begun + told);
  });

  test.each(["2025-06-18", "2025-03-26"] as const)(
    "a comment, for clients of %s, which take no event without data",
    async (revision) => {
      const stream = await open(sessionOf({ revision }));
      await expect.poll(stream.text).toBe(":\n\n");
      await streams.announced(acme, ["resources"]);
      await expect
        .poll(stream.text)
        .toBe(
          `:\n\nid: ${lastId()}.1\ndata: {"jsonrpc":"2.0","method":"notifications/resources/list_changed"}\n\n`,
        );
      stream.destroy();
    },
  );

  test("ids that are known again, and no others", async () => {
    const stream = await open(sessionOf());
    expect(isEventOfSession(`${lastId()}.0`)).toBe(true);
    expect(isEventOfSession(`${lastId()}.17`)).toBe(true);
    for (const other of ["", "7", `${lastId()}`, `${lastId()}.01`, `post_${"a".repeat(16)}.0`, "get_.0"])
      expect(isEventOfSession(other)).toBe(false);
    stream.destroy();
  });
});

describe("of a session there is one stream", () => {
  test("also where the tenant has as many as it may", async () => {
    const session = sessionOf();
    const other = await open(sessionOf());
    const first = await open(session);
    const second = await open(session);
    expect(await first.closed).toBe("end");
    expect([second.refusal, second.isOpen(), other.isOpen()]).toEqual([null, true, true]);
    expect((await open(sessionOf())).refusal).toMatchObject({ code: "rate_limited" });
    for (const stream of [second, other]) stream.destroy();
  });

  const openedElsewhere = (session: Session, streamId: string): Signal => ({
    tenantId: session.tenantId,
    topic: "stream_opened",
    payload: { sessionId: session.id, streamId },
  });

  test("on all instances: of two at once the older ends, later the one that was there", async () => {
    const session = sessionOf();
    const stream = await open(session);
    expect(said).toEqual([openedElsewhere(session, lastId())]);
    const older = `get_${"0".repeat(21)}`;
    hear(openedElsewhere(sessionOf(), "get_zzzzzzzzzzzzzzzzzzzzz"));
    hear(openedElsewhere({ ...session, tenantId: tenantSnapshot("globex").id }, "get_zzzzzzzzzzzzzzzzzzzzz"));
    hear(openedElsewhere(session, older));
    await streams.announced(acme, ["tools"]);
    await expect.poll(stream.text).toContain("tools/list_changed");
    expect(stream.isOpen()).toBe(true);
    clock.advance(1_001);
    hear(openedElsewhere(session, older));
    expect(await stream.closed).toBe("end");
    const next = await open(session);
    hear(openedElsewhere(session, "get_zzzzzzzzzzzzzzzzzzzzz"));
    expect(await next.closed).toBe("end");
  });
});

describe("a session's end ends its stream", () => {
  test("told by another instance, and no other tenant's or session's", async () => {
    const session = sessionOf();
    const stream = await open(session);
    const end = (tenantId: Session["tenantId"], sessionId: Session["id"]): void =>
      hear({ tenantId, topic: "session_ended", payload: { sessionId } });
    end(tenantSnapshot("globex").id, session.id);
    end(session.tenantId, sessionOf().id);
    await streams.announced(acme, ["tools"]);
    await expect.poll(stream.text).toContain("tools/list_changed");
    expect(stream.isOpen()).toBe(true);
    end(session.tenantId, session.id);
    expect(await stream.closed).toBe("end");
  });

  test("before it was opened", async () => {
    const session = sessionOf();
    const opening = open(session);
    stored = null;
    expect(await (await opening).closed).toBe("end");
  });
});

test("a client that comes back is told of every list and of every subscription anew", async () => {
  const stream = await open(sessionOf({ subscriptions: new Set(["shop://guide"]) }), true);
  await expect
    .poll(() => [...stream.text().matchAll(/"method":"notifications\/([^"]*)"/g)].map(([, method]) => method))
    .toEqual(["tools/list_changed", "resources/list_changed", "resources/updated"]);
  stream.destroy();
});

test.each([
  ["is suspended", { ...acme, version: 2, status: "suspended" as const }],
  ["is gone", null],
])("a stream is not opened where the tenant %s meanwhile", async (_what, snapshot) => {
  now = snapshot;
  expect((await open(sessionOf())).refusal?.code).toBe("credentials_ended");
});

test("after closing nothing is heard", () => {
  own.close();
  expect(listeners.size).toBe(0);
});
