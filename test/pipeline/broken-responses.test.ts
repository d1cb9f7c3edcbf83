import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openSession } from "../support/earlier-session.ts";
import { callTool, mcpMessage } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";
import { createHardenedServer } from "./bad-input/hardened-server.ts";
import { RawConnection, rawRequest } from "./bad-input/raw-connection.ts";

/** What middleware of a framework, in which the handler is mounted, may do to a response before the handler has it. */
const DAMAGES: Readonly<Record<string, (res: ServerResponse) => void>> = {
  begun: (res) => void res.writeHead(200, { "content-length": 9 }).write("x"),
  guarded: (res) => {
    res.writeHead = () => {
      throw new TypeError("of a middleware");
    };
  },
};
let server: TestServer;
/** Where the handler is mounted behind such middleware. */
let mounted = "";
const framework = createServer((req, res) => {
  DAMAGES[String(req.headers["x-damage"])]?.(res);
  server.instances[0].bulkhead.handler(req, res);
});

beforeAll(async () => {
  server = await startTestServer({ server: createHardenedServer().definition });
  framework.listen(0, "127.0.0.1");
  await once(framework, "listening");
  mounted = `http://127.0.0.1:${(framework.address() as AddressInfo).port}`;
});
afterAll(async () => {
  framework.closeAllConnections();
  framework.close();
  await server.close();
});

const ways = Object.keys(DAMAGES).flatMap(
  (damage) =>
    [
      [damage, "an answer", (): string | null => server.acme.token],
      [damage, "a refusal", (): string | null => null],
    ] as const,
);

// An exception that nobody caught fails the run of this file.
test.each(ways)(
  "a response that was %s before ends with its connection where it is to get %s, on record",
  async (damage, _what, token) => {
    const { mcp, token: own } = server.acme;
    const faults = () => server.instances[0].log().filter(({ level }) => level === "error");
    const before = faults().length;
    const { headers, body } = mcpMessage(token(), "tools/call", { name: "strict", arguments: {} });
    const connection = await RawConnection.open(mounted);
    connection.write(rawRequest(mcp, { headers: { ...headers, "x-damage": damage }, body }));
    await connection.closed;
    await expect.poll(() => faults().length).toBe(before + 1);
    expect((await callTool(mcp, own, "strict")).status).toBe(200);
  },
);

test("so does one of a session that is to get a refusal", async () => {
  const { mcp, token } = server.acme;
  const session = await openSession(mcp, token);
  const connection = await RawConnection.open(mounted);
  const params = { name: "nobody's", arguments: {} };
  connection.write(
    rawRequest(mcp, {
      headers: { ...session.headers, "content-type": "application/json", "x-damage": "guarded" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }),
    }),
  );
  await connection.closed;
  expect((await session.request("tools/list")).status).toBe(200);
});

test("nothing of them is waited for when the server stops", async () => {
  const begun = performance.now();
  await server.instances[0].bulkhead.close();
  // A drain that waits for something takes 3 s.
  expect(performance.now() - begun).toBeLessThan(2_500);
});
