import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { untilRead } from "../../src/protocol/until-read.ts";

const server = createServer();
const STALLED_MS = 600;
/** More than the system's sockets take. */
const LENGTH = 24_000_000;

beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

async function request(): Promise<{ readonly reader: Socket; readonly res: ServerResponse }> {
  const reader = connect((server.address() as AddressInfo).port, "127.0.0.1");
  reader.on("error", () => {}).pause();
  reader.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const [, res] = (await once(server, "request")) as [unknown, ServerResponse];
  return { reader, res };
}

test("an answer that its reader takes slowly is waited for, however long that is in all", async () => {
  const { reader, res } = await request();
  res.end(Buffer.alloc(LENGTH));
  const begun = performance.now();
  const read = untilRead(res, STALLED_MS);
  let bytes = 0;
  let burst = 0;
  reader.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    burst += chunk.length;
    if (burst < LENGTH / 6) return;
    burst = 0;
    reader.pause();
    setTimeout(() => reader.resume(), STALLED_MS / 2);
  });
  reader.resume();
  await read;
  await expect.poll(() => bytes, { timeout: 5_000 }).toBeGreaterThan(LENGTH);
  expect(performance.now() - begun).toBeGreaterThan(2 * STALLED_MS);
  reader.destroy();
});

test("who takes nothing of an answer is cut off", async () => {
  const { reader, res } = await request();
  res.end(Buffer.alloc(LENGTH));
  await untilRead(res, STALLED_MS);
  let bytes = 0;
  reader.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  reader.resume();
  await once(reader, "close");
  expect(bytes).toBeLessThan(LENGTH);
});

test("small answers, streams that go on and answers to nobody are not waited for", async () => {
  const small = await request();
  small.res.end("{}");
  expect(untilRead(small.res)).toBe(null);
  const stream = await request();
  stream.res.write(Buffer.alloc(LENGTH));
  expect(untilRead(stream.res)).toBe(null);
  const gone = await request();
  gone.res.destroy();
  expect(untilRead(gone.res)).toBe(null);
  for (const { reader } of [small, stream, gone]) reader.destroy();
});
