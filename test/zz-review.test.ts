import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mcpMessage } from "./support/mcp-request.ts";
import { startTestServer, type TestServer } from "./support/running-server.ts";
import { createHardenedServer } from "./pipeline/bad-input/hardened-server.ts";
import { RawConnection, rawRequest, chunk } from "./pipeline/bad-input/raw-connection.ts";
const hardened = createHardenedServer();
let server: TestServer;
beforeAll(async () => { server = await startTestServer({ server: hardened.definition }); });
afterAll(() => server?.close());
const call = (name: string, more = {}) => {
  const { headers, body } = mcpMessage(server.acme.token, "tools/call", { name, arguments: {} , ...more});
  return rawRequest(server.acme.mcp, { headers, body });
};
const listen = () => {
  const { headers, body } = mcpMessage(server.acme.token, "subscriptions/listen", { notifications: { toolsListChanged: true } });
  return rawRequest(server.acme.mcp, { headers, body });
};
test("pipelined call", async () => {
  const c = await RawConnection.open(server.url);
  c.write(call("hold")); await expect.poll(() => hardened.holding()).toBe(1);
  c.write(Buffer.concat([call("hold"), listen()])); await expect.poll(() => hardened.holding()).toBe(2);
  await delay(200);
  c.destroy();
  await delay(500);
  console.log("still holding", hardened.holding());
  const { acme } = server;
  void acme;
  const t = performance.now();
  await server.instances[0].bulkhead.close();
  console.log("close took", performance.now() - t);
}, 60000);
test.skip("tiny chunks", async () => {}, 60000);
