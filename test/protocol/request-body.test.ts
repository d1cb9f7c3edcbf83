import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isRefusal } from "../../src/core/refusal.ts";
import { createDeadlines } from "../../src/protocol/deadlines.ts";
import { checkMediaType, readBody } from "../../src/protocol/request-body.ts";
import { heldMemory } from "../support/held-memory.ts";

const LIMIT = 1_000;
/** Long, so that a busy machine does not take what is at once for what came too late. */
const LONG_MS = 5_000;
const SHORT_MS = 150;

let server: Server;
let socket: Socket;
/** What became of the one request's body. */
let outcome: Promise<{ words: string; afterMs: number; listeners: number }>;
let timeoutMs: number;
/** Lets a test act between the request's arrival and the reading of its body. */
const deadlines = createDeadlines(() => performance.now());
let arrived: (req: IncomingMessage) => Promise<void> | void;

beforeEach(async () => {
  arrived = () => {};
  timeoutMs = LONG_MS;
  server = createServer();
  outcome = new Promise((resolve) => {
    server.once("request", async (req, res) => {
      await arrived(req);
      const begun = performance.now();
      const body = await readBody(req, { limit: LIMIT, timeoutMs, deadlines });
      resolve({
        words: isRefusal(body)
          ? `${body.code} ${JSON.stringify(body.data ?? body.detail ?? "")}`
          : `${body.length} bytes`,
        afterMs: performance.now() - begun,
        listeners: ["data", "end", "error", "close"].reduce((sum, name) => sum + req.listenerCount(name), 0),
      });
      res.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.on("error", () => {});
});
afterEach(async () => {
  socket.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const head = (...lines: string[]) =>
  `POST / HTTP/1.1\r\nHost: x\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

describe("a body with its length", () => {
  test("of exactly the limit is read", async () => {
    socket.write(head(`Content-Length: ${LIMIT}`) + "x".repeat(LIMIT));
    expect((await outcome).words).toBe("1000 bytes");
  });

  test("that comes in pieces is put together", async () => {
    socket.write(`${head("Content-Length: 6")}ab`);
    setTimeout(() => socket.write("cd"), 20);
    setTimeout(() => socket.write("ef"), 40);
    const { words, listeners } = await outcome;
    expect(words).toBe("6 bytes");
    expect(listeners).toBe(0);
  });

  test("of one byte more is refused, and not waited for", async () => {
    socket.write(head(`Content-Length: ${LIMIT + 1}`));
    const { words, afterMs } = await outcome;
    expect(words).toBe('body_too_large {"limit":1000}');
    expect(afterMs).toBeLessThan(LONG_MS / 2);
  });

  test("of none is empty", async () => {
    socket.write(head("Content-Length: 0"));
    expect((await outcome).words).toBe("0 bytes");
  });
});

describe("a body without its length", () => {
  const chunked = head("Transfer-Encoding: chunked");

  test("of exactly the limit is read", async () => {
    socket.write(chunked + chunk("x".repeat(LIMIT - 1)));
    setTimeout(() => socket.write(`${chunk("y")}0\r\n\r\n`), 20);
    expect((await outcome).words).toBe("1000 bytes");
  });

  test("of one byte more is refused as soon as that byte is there, though it does not end", async () => {
    socket.write(chunked + chunk("x".repeat(LIMIT)));
    setTimeout(() => socket.write(chunk("y")), 20);
    const { words, afterMs, listeners } = await outcome;
    expect(words).toBe('body_too_large {"limit":1000}');
    expect(afterMs).toBeLessThan(LONG_MS / 2);
    expect(listeners).toBe(0);
  });

  test("in one chunk far over the limit is refused", async () => {
    socket.write(chunked + chunk("x".repeat(60_000)));
    expect((await outcome).words).toBe('body_too_large {"limit":1000}');
  });
});

describe("a body that does not come", () => {
  test("is given up after the time limit, however it trickles", async () => {
    timeoutMs = SHORT_MS;
    socket.write(head("Content-Length: 900"));
    const trickle = setInterval(() => socket.write("x"), 20);
    const { words, afterMs, listeners } = await outcome;
    clearInterval(trickle);
    expect(words).toBe('body_timeout ""');
    expect(afterMs).toBeGreaterThanOrEqual(SHORT_MS - 5);
    expect(afterMs).toBeLessThan(LONG_MS / 2);
    expect(listeners).toBe(0);
  });

  test("because the caller goes away ends at once", async () => {
    socket.write(`${head("Content-Length: 900")}{`);
    setTimeout(() => socket.destroy(), 20);
    const { words, afterMs, listeners } = await outcome;
    expect(words).toBe('parse_error "The body ended early."');
    expect(afterMs).toBeLessThan(LONG_MS / 2);
    expect(listeners).toBe(0);
  });

  test("because the caller had gone before it was asked for is not waited for", async () => {
    arrived = async (req) => {
      socket.destroy();
      await new Promise((resolve) => req.once("close", resolve));
    };
    socket.write(`${head("Content-Length: 900")}{`);
    const { words, afterMs } = await outcome;
    expect(words).toBe('parse_error "The body ended early."');
    expect(afterMs).toBeLessThan(LONG_MS / 2);
  });

  test("because somebody has read it before is told apart", async () => {
    arrived = async (req) => {
      req.resume();
      await new Promise((resolve) => req.once("end", resolve));
    };
    socket.write(`${head("Content-Length: 2")}{}`);
    expect((await outcome).words).toBe('body_consumed ""');
  });
});

test("a body that is over, however that came, has no time limit any more that would hold it", async () => {
  let open = 0;
  const counted = {
    begin: () => {
      open++;
      return { clear: () => void open--, pause: () => {}, resume: () => {} };
    },
  };
  const ends: readonly ((req: PassThrough) => unknown)[] = [
    (req) => req.end("{}"),
    (req) => req.destroy(),
    (req) => req.destroy(new TypeError("reset")),
    (req) => req.write(Buffer.alloc(LIMIT + 1)),
  ];
  for (const end of ends) {
    const req = Object.assign(new PassThrough(), { headers: {} });
    const of = { limit: LIMIT, timeoutMs: LONG_MS, deadlines: counted };
    const reading = readBody(req as unknown as IncomingMessage, of);
    expect(open).toBe(1);
    req.on("error", () => {});
    end(req);
    await reading;
    expect(open).toBe(0);
  }
});

test("a body of many small pieces holds little more than its bytes", async () => {
  const PIECES = 100_000;
  const req = new PassThrough();
  const reading = readBody(Object.assign(req, { headers: {} }) as unknown as IncomingMessage, {
    limit: PIECES,
    timeoutMs: LONG_MS,
    deadlines,
  });
  const before = heldMemory();
  for (let i = 0; i < PIECES; i++) req.emit("data", Buffer.from([i & 0x7f]));
  // As a list of pieces it was 100 times as much.
  expect(heldMemory() - before).toBeLessThan(8 * PIECES);
  req.emit("end");
  const body = await reading;
  if (isRefusal(body)) throw new TypeError(body.code);
  expect(body.equals(Buffer.from(Array.from({ length: PIECES }, (_, i) => i & 0x7f)))).toBe(true);
});

test.each<[type: string | undefined, accept: string | undefined, answer: string]>([
  ["application/json", undefined, "read"],
  ["application/json", "application/json, text/event-stream", "read"],
  ["application/json; charset=utf-8", "*/*", "read"],
  ["Application/JSON ;charset=utf-8", "application/*", "read"],
  [undefined, undefined, "media_type_refused"],
  ["", undefined, "media_type_refused"],
  ["text/plain", undefined, "media_type_refused"],
  ["text/plain; x=application/json", undefined, "media_type_refused"],
  ["application/jsonp", undefined, "media_type_refused"],
  ["application/json, text/plain", undefined, "media_type_refused"],
  ["application/x-www-form-urlencoded", undefined, "media_type_refused"],
  ["application/json", "text/html", "not_acceptable"],
  ["application/json", "", "not_acceptable"],
])("Content-Type %s, Accept %s: %s", (type, accept, answer) => {
  const headers = {
    ...(type === undefined ? {} : { "content-type": type }),
    ...(accept === undefined ? {} : { accept }),
  };
  expect(checkMediaType({ headers } as IncomingMessage)?.code ?? "read").toBe(answer);
});
