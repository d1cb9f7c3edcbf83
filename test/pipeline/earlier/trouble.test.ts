import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { compileCatalog } from "../../../src/catalog/catalog.ts";
import { defineServer } from "../../../src/catalog/define.ts";
import { systemClock } from "../../../src/core/clock.ts";
import type { BulkheadEvent } from "../../../src/core/event.ts";
import { Fault } from "../../../src/core/fault.ts";
import { createIdSource } from "../../../src/core/ids.ts";
import { type Refusal, refuse } from "../../../src/core/refusal.ts";
import type { Caller } from "../../../src/identity/caller.ts";
import { createConcurrencyLimiter } from "../../../src/limits/concurrency.ts";
import type { Operate } from "../../../src/operate.ts";
import { createPreviousGeneration } from "../../../src/previous-generation.ts";
import { answerRefusal } from "../../../src/protocol/answers.ts";
import { createClientAnswers } from "../../../src/protocol/earlier/client-answers.ts";
import { createResumableStreams } from "../../../src/protocol/earlier/resumable-streams.ts";
import { createRunningRequests } from "../../../src/protocol/earlier/running-requests.ts";
import { type ClientBody, parseBody } from "../../../src/protocol/json-rpc.ts";
import { createOpenWork } from "../../../src/protocol/open-work.ts";
import { createOutbox } from "../../../src/protocol/outbox.ts";
import type { Revision } from "../../../src/protocol/revisions.ts";
import { earlierSession } from "../../support/earlier-session-of.ts";
import { readStream, type TestStream } from "../../support/open-stream.ts";
import { tenantSnapshot } from "../../support/tenant-snapshot.ts";

const snapshot = tenantSnapshot("acme");
const caller: Caller = {
  snapshot,
  principal: {
    tenantId: snapshot.id,
    kind: "user",
    issuer: "https://issuer.example",
    subject: "ada",
    clientId: null,
    permissions: new Set(),
    roles: [],
    expiresAt: Number.POSITIVE_INFINITY,
  },
  credential: { kind: "local", expiresAt: Number.POSITIVE_INFINITY },
  scopes: new Set(),
};

/** What a POST is answered whose operations go as `operate` does. */
async function posted(
  body: string,
  operate: Operate,
  of: {
    readonly revision?: Exclude<Revision, "2026-07-28">;
    /** Why other instances are not told. */
    readonly untold?: Refusal;
  } = {},
): Promise<{
  status: number;
  headers: TestStream["headers"];
  text: string;
  events: BulkheadEvent[];
  running: boolean;
}> {
  const { revision = "2025-11-25", untold = null } = of;
  const session = earlierSession({ tenantId: snapshot.id, revision });
  const events: BulkheadEvent[] = [];
  const signals = { publish: () => untold, subscribe: () => () => {} };
  const running = createRunningRequests();
  const previous = createPreviousGeneration({
    clock: systemClock,
    ids: createIdSource(systemClock.now),
    emit: (event) => events.push(event),
    audit: { record: () => {} },
    catalog: compileCatalog(defineServer({ name: "shop", version: "1" })),
    rates: { consume: () => null },
    concurrency: createConcurrencyLimiter(),
    operate,
    sessions: {
      get: () => session,
      create: () => Promise.reject(new TypeError("No session is opened.")),
      end: () => Promise.reject(new TypeError("No session ends.")),
    },
    signals,
    running,
    outbox: createOutbox(() => {}),
    answers: createClientAnswers((bytes) => new Uint8Array(bytes)),
    streams: createResumableStreams({
      clock: systemClock,
      random: (bytes) => new Uint8Array(bytes),
      onFault: () => {},
      signals,
      log: {
        open: () => true,
        append: () => true,
        read: async () => null,
        flush: async () => {},
        close: async () => {},
      },
    }),
    sessionStreams: {
      open: () => Promise.reject(new TypeError("No stream is opened.")),
      endSession: () => {},
    },
  });
  const server = createServer((_req, res) => {
    const place = createConcurrencyLimiter().enter(snapshot.id, null);
    if (place.kind !== "place") throw new TypeError("There is no place.");
    const answered = previous.post(res, {
      caller,
      place,
      crowded: null,
      work: createOpenWork<Caller>().begin(caller),
      message: parseBody(Buffer.from(body)) as ClientBody,
      headers: { "mcp-session-id": session.id },
      bytesIn: body.length,
      challengeOf: () => undefined,
    });
    void answered.then((refusal) => {
      if (refusal !== null) answerRefusal(res, refusal);
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const answer = await readStream(httpRequest({ port, host: "127.0.0.1", agent: false }));
    await answer.closed;
    const { status, headers } = answer;
    return { status, headers, text: answer.text(), events, running: running.cancel(session, 1) };
  } finally {
    server.close();
  }
}

const call = (id: number) => `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"sell"}}`;

test("a request that fails outside its operation is answered, tells why in the log alone, and is over", async () => {
  const { status, text, events, running } = await posted(call(1), () =>
    Promise.reject(new TypeError("secret")),
  );
  expect(status).toBe(500);
  expect(JSON.parse(text)).toMatchObject({ id: 1, error: { code: -32603, data: { code: "internal" } } });
  expect(text).not.toContain("secret");
  expect(events).toMatchObject([{ type: "fault", tenantId: snapshot.id, cause: new TypeError("secret") }]);
  expect(running).toBe(false);
});

test("where the database does not answer it may be sent again", async () => {
  const { status, text } = await posted(call(1), () => Promise.reject(new Fault("database_unavailable")));
  expect(status).toBe(503);
  expect(JSON.parse(text)).toMatchObject({
    error: { data: { code: "database_unavailable", retryAfterMs: 1_000 } },
  });
});

test("one that fails in a batch takes no other with it, nor the stream that they share", async () => {
  const operate: Operate = async ({ request, reply }) => {
    if (request.id === 1) throw new TypeError("broken");
    reply.notify("notifications/message", '{"level":"info","data":1}');
    reply.answer(`{"jsonrpc":"2.0","id":${request.id},"result":{}}`, null);
  };
  const { text } = await posted(`[${call(1)},${call(2)}]`, operate, { revision: "2025-03-26" });
  expect(text).toContain('data: {"jsonrpc":"2.0","id":2,"result":{}}\n\n');
  expect(text).toMatch(/data: \{"jsonrpc":"2.0","id":1,"error":\{"code":-32603,/);
});

test("an answer for another instance that is not told there is refused by what keeps it, and when to send it again", async () => {
  const response = '{"jsonrpc":"2.0","id":"ask_0000000000000000","result":{}}';
  const unused: Operate = () => Promise.reject(new TypeError("Nothing is called."));
  const data = { limit: "signalBytes", value: 1 };
  const often = await posted(response, unused, {
    untold: refuse("rate_limited", { retryAfterMs: 7_000, data }),
  });
  expect([often.status, often.headers["retry-after"]]).toEqual([429, "7"]);
  expect(JSON.parse(often.text).error.data).toMatchObject({ code: "rate_limited", ...data });
  const large = await posted(response, unused, { untold: refuse("body_too_large", { data: { limit: 9 } }) });
  expect([large.status, large.headers["retry-after"]]).toEqual([413, undefined]);
  expect((await posted(response, unused)).status).toBe(202);
});

test("what is said after the answer, or to nobody, is not sent", async () => {
  const { text, events } = await posted(call(1), async ({ reply }) => {
    reply.answer('{"jsonrpc":"2.0","id":1,"result":{}}', null);
    reply.notify("notifications/message", '{"level":"info","data":1}');
    reply.answer('{"jsonrpc":"2.0","id":1,"result":{"twice":true}}', null);
    reply.detach(undefined);
  });
  expect(text).toBe('{"jsonrpc":"2.0","id":1,"result":{}}');
  expect(events).toEqual([]);
});
