import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  eventsOf,
  lastEventId,
  messagesOf,
  openSession,
  type TestSession,
} from "../../support/earlier-session.ts";
import { send } from "../../support/mcp-request.ts";
import type { TestStream } from "../../support/open-stream.ts";
import { startTestServer, type TestServer } from "../../support/running-server.ts";
import { createShop } from "./shop.ts";

const shop = createShop();
let server: TestServer;
let ada: string;
let acme: string;
let session: TestSession;
let elsewhere: TestSession;
const onSecond = (slug: "acme" | "globex"): string => `${server.instances[1]?.url}/t/${slug}/mcp`;

beforeAll(async () => {
  server = await startTestServer({ server: shop.definition, instances: 2 });
  ada = server.token("acme", "ada");
  acme = server.acme.mcp;
  session = await openSession(acme, ada);
  elsewhere = session.through(onSecond("acme"));
});
afterAll(() => server.close());

const textOf = (message: { result: { content: { text: string }[] } }): string | undefined =>
  message.result.content[0]?.text;
const said = (stream: TestStream): unknown[] =>
  messagesOf(stream).map((message) => message.params?.data ?? textOf(message));
/** How one stream of one session's client goes on on an instance. */
const resume = (at: TestSession, from: TestStream): Promise<TestStream> =>
  at.get({ "last-event-id": lastEventId(from) });

describe("what is said before the answer", () => {
  test("makes the answer a stream, primed, numbered, and ended by the answer, to the byte", async () => {
    const stream = await session.streamCall("talk", {}, { id: 9, meta: { progressToken: "how-far" } });
    expect(await stream.closed).toBe("end");
    expect(stream.status).toBe(200);
    expect(stream.headers).toMatchObject({
      "content-type": "text/event-stream",
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
    });
    const name = lastEventId(stream).split(".")[0];
    expect(name).toMatch(/^post_[\w-]{16}$/);
    expect(stream.text()).toBe(
      [
        `id: ${name}.0\nretry: 1000\ndata: \n\n`,
        `id: ${name}.1\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","logger":"shop","data":{"said":"aloud"}}}\n\n`,
        `id: ${name}.2\ndata: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"how-far","progress":1,"total":2,"message":"half"}}\n\n`,
        `id: ${name}.3\ndata: {"jsonrpc":"2.0","id":9,"result":{"content":[{"type":"text","text":"talked"}]}}\n\n`,
      ].join(""),
    );
  });

  test.each(["2025-06-18", "2025-03-26"])(
    "comes without an empty event in %s, whose clients know none",
    async (version) => {
      const stream = await (await openSession(acme, ada, { version })).streamCall("talk");
      await stream.closed;
      const events = eventsOf(stream);
      expect(events.map(({ id }) => id?.split(".")[1])).toEqual(["1", "2"]);
      expect(events.every(({ data }) => data !== "")).toBe(true);
    },
  );

  test("is what the session's log level lets through", async () => {
    const quiet = await openSession(acme, ada);
    await quiet.request("logging/setLevel", { level: "warning" });
    expect((await quiet.call("talk")).headers["content-type"]).toBe("application/json");
    // On the other instance, once it has heard of it.
    await quiet.through(onSecond("acme")).request("logging/setLevel", { level: "debug" });
    await vi.waitFor(async () => {
      const stream = await quiet.streamCall("talk");
      await stream.closed;
      expect(said(stream)).toEqual(["quietly", { said: "aloud" }, "talked"]);
    });
  });

  test("is dropped for a client that takes no events, which gets its answer alone", async () => {
    const answer = await session.post(
      { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "talk" } },
      { accept: "application/json" },
    );
    expect([answer.status, answer.headers["content-type"]]).toEqual([200, "application/json"]);
    expect(answer.json.result.content[0].text).toBe("talked");
  });
});

describe("a connection that breaks", () => {
  test.each([
    ["the same instance", () => session],
    ["another instance", () => elsewhere],
  ])("cancels nothing: its client comes back for the rest, to %s", async (_where, there) => {
    const opening = session.streamCall("drive");
    const call = await shop.nextCall();
    call.ctx.message("info", 1);
    const stream = await opening;
    await vi.waitFor(() => expect(said(stream)).toEqual([1]));
    stream.destroy();
    call.ctx.message("info", 2);
    const resumed = await resume(there(), stream);
    expect(resumed.status).toBe(200);
    expect(resumed.headers["content-type"]).toBe("text/event-stream");
    await vi.waitFor(() => expect(said(resumed)).toEqual([2]));
    call.ctx.message("info", 3);
    await vi.waitFor(() => expect(said(resumed)).toEqual([2, 3]));
    expect(call.stopped()).toBe(false);
    call.finish("done");
    expect(await resumed.closed).toBe("end");
    expect(said(resumed)).toEqual([2, 3, "done"]);
    const name = lastEventId(stream).split(".")[0];
    expect(eventsOf(resumed).map(({ id }) => id)).toEqual([2, 3, 4].map((seq) => `${name}.${seq}`));
  });
});

describe("coming back", () => {
  /** A stream of a call that is over, and what was said on it. */
  const finished = async (): Promise<TestStream> => {
    const stream = await session.streamCall("talk");
    await stream.closed;
    return stream;
  };

  test("gives what follows the last event that was seen, and nothing twice", async () => {
    const stream = await finished();
    const [primed, first, last] = eventsOf(stream);
    for (const at of [session, elsewhere]) {
      const all = await at.get({ "last-event-id": primed?.id ?? "" });
      expect(await all.closed).toBe("end");
      expect(eventsOf(all)).toEqual([first, last]);
      const rest = await at.get({ "last-event-id": first?.id ?? "" });
      await rest.closed;
      expect(eventsOf(rest)).toEqual([last]);
    }
  });

  test("is told that there is nothing more, so that the client stops", async () => {
    const stream = await finished();
    for (const at of [session, elsewhere]) {
      const answer = await send(at === session ? acme : onSecond("acme"), {
        method: "GET",
        headers: { ...at.headers, "last-event-id": lastEventId(stream) },
      });
      expect([answer.status, answer.text]).toEqual([204, ""]);
    }
  });

  test("is refused for a stream of another session, as for one that never was", async () => {
    const stream = await finished();
    const foreign = await openSession(acme, ada);
    const globex = await openSession(server.globex.mcp, server.token("globex", "grace"));
    const ask = (url: string, of: TestSession, id: string) =>
      send(url, { method: "GET", headers: { ...of.headers, "last-event-id": id } });
    const never = await ask(acme, session, "post_0000000000000000.0");
    expect([never.status, never.json.error.code]).toEqual([400, -32600]);
    const id = lastEventId(stream).replace(/\d+$/, "0");
    for (const answer of await Promise.all([
      ask(acme, foreign, id),
      ask(onSecond("acme"), foreign, id),
      ask(server.globex.mcp, globex, id),
      ask(onSecond("globex"), globex, id),
    ])) {
      expect([answer.status, answer.text]).toEqual([never.status, never.text]);
    }
  });

  test("by another session leaves a stream to whoever reads it", async () => {
    const opening = session.streamCall("drive");
    const call = await shop.nextCall();
    call.ctx.message("info", 1);
    const stream = await opening;
    await vi.waitFor(() => expect(said(stream)).toEqual([1]));
    const foreign = await openSession(acme, ada);
    expect((await resume(foreign, stream)).status).toBe(400);
    call.finish("done");
    expect(await stream.closed).toBe("end");
    expect(said(stream)).toEqual([1, "done"]);
  });

  test("takes the stream over from the connection that had it", async () => {
    const opening = session.streamCall("drive");
    const call = await shop.nextCall();
    call.ctx.message("info", 1);
    const stream = await opening;
    await vi.waitFor(() => expect(said(stream)).toEqual([1]));
    const second = await resume(session, stream);
    await stream.closed;
    const third = await resume(session, stream);
    await second.closed;
    call.finish("done");
    await third.closed;
    expect([said(stream), said(second), said(third)]).toEqual([[1], [], ["done"]]);
  });

  test("takes it over from the connection that had it on another instance", async () => {
    const opening = session.streamCall("drive");
    const call = await shop.nextCall();
    call.ctx.message("info", 1);
    const stream = await opening;
    await vi.waitFor(() => expect(said(stream)).toEqual([1]));
    const second = await resume(session.through(`${server.instances[1]?.url}/t/acme/mcp`), stream);
    await stream.closed;
    call.finish("done");
    await second.closed;
    expect([said(stream), said(second)]).toEqual([[1], ["done"]]);
  });

  test("ends with the session, and cancels what runs", async () => {
    const own = await openSession(acme, ada);
    const opening = own.streamCall("drive");
    const call = await shop.nextCall();
    call.ctx.message("info", 1);
    const stream = await opening;
    const resumed = await resume(own.through(onSecond("acme")), stream);
    expect((await own.through(onSecond("acme")).end()).status).toBe(204);
    expect(await resumed.closed).toBe("end");
    await stream.closed;
    await vi.waitFor(() => expect(call.stopped()).toBe(true));
    expect(said(stream)).toEqual([1]);
  });

  test("is refused to a client that takes no events", async () => {
    expect((await session.get({ accept: "application/json" })).status).toBe(406);
  });
});

describe("a handler that detaches", () => {
  test("has its answer fetched, with the event that was sent for that, from any instance", async () => {
    for (const at of [session, elsewhere]) {
      const opening = session.streamCall("drive", {}, { id: 4 });
      const call = await shop.nextCall();
      call.ctx.detach({ retryMs: 20 });
      const stream = await opening;
      expect(await stream.closed).toBe("end");
      const name = lastEventId(stream).split(".")[0];
      expect(stream.text()).toBe(`id: ${name}.0\nretry: 20\ndata: \n\n`);
      const resumed = await resume(at, stream);
      call.finish("later");
      await resumed.closed;
      expect(messagesOf(resumed)).toEqual([
        { jsonrpc: "2.0", id: 4, result: { content: [{ type: "text", text: "later" }] } },
      ]);
    }
  });

  test("stays where its client could not come back: before 2025-11-25", async () => {
    const old = await openSession(acme, ada, { version: "2025-06-18" });
    const answering = old.call("drive");
    const call = await shop.nextCall();
    call.ctx.detach();
    call.finish("now");
    const answer = await answering;
    expect([answer.headers["content-type"], answer.json.result.content[0].text]).toEqual([
      "application/json",
      "now",
    ]);
  });
});

describe("a reader that stops reading", () => {
  test("is cut off, and finds the rest when it comes back", async () => {
    const opening = session.streamCall("drive");
    const call = await shop.nextCall();
    call.ctx.message("info", 0);
    const stream = await opening;
    await vi.waitFor(() => expect(said(stream)).toEqual([0]));
    stream.stopReading();
    const text = "x".repeat(60_000);
    // More than the sockets of both ends could hold.
    for (let part = 1; part <= 400; part++) {
      call.ctx.message("info", `${part} ${text}`);
      if (part % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    call.finish("done");
    stream.readOn();
    expect(await stream.closed).toBe("cut");
    expect(said(stream)).not.toContain("done");
    const resumed = await session.get({ "last-event-id": eventsOf(stream)[0]?.id ?? "" });
    expect(await resumed.closed).toBe("end");
    // As much as the log keeps: without a gap, up to the end.
    const parts = said(resumed).map((part) => String(part).split(" ")[0]);
    expect(parts.at(-1)).toBe("done");
    const last = parts.slice(0, -1).map(Number);
    expect(last.length).toBeGreaterThan(50);
    expect(last).toEqual(Array.from({ length: last.length }, (_, i) => 401 - last.length + i));
  });
});

test("a session's own stream and those of its calls do not get in each other's way", async () => {
  const own = await session.get();
  expect(own.status).toBe(200);
  const opening = session.streamCall("drive");
  const call = await shop.nextCall();
  call.ctx.message("info", 1);
  const stream = await opening;
  stream.destroy();
  const resumed = await resume(session, stream);
  call.finish("done");
  await resumed.closed;
  expect(own.isOpen()).toBe(true);
  expect(said(own)).toEqual([]);
  own.destroy();
});
