import { afterAll, beforeAll, expect, test } from "vitest";
import { mcpMessage } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";
import { createHardenedServer } from "./bad-input/hardened-server.ts";
import { RawConnection, rawRequest } from "./bad-input/raw-connection.ts";

const hardened = createHardenedServer();
let server: TestServer;
/** Longer than a stop takes that waits for nothing. */
const DRAIN_MS = 20_000;

beforeAll(async () => {
  server = await startTestServer({ server: hardened.definition, settings: { drainMs: DRAIN_MS } });
});
afterAll(() => server.close());

const request = (method: string, params: Record<string, unknown>): Buffer => {
  const { headers, body } = mcpMessage(server.acme.token, method, params);
  return rawRequest(server.acme.mcp, { headers, body });
};
const hold = () => request("tools/call", { name: "hold", arguments: {} });
const listen = () => request("subscriptions/listen", { notifications: { toolsListChanged: true } });

test("requests that wait for their turn on a connection end with it, and leave nothing that a stop would wait for", async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on("warning", onWarning);
  const connection = await RawConnection.open(server.url);
  const waiting = Array.from({ length: 12 }, hold);
  connection.write(Buffer.concat([hold(), listen(), ...waiting]));
  await expect.poll(() => hardened.holding(), { timeout: 15_000 }).toBe(13);
  connection.destroy();
  await expect.poll(() => hardened.holding(), { timeout: 5_000 }).toBe(0);
  const begun = performance.now();
  await server.instances[0].bulkhead.close();
  expect(performance.now() - begun).toBeLessThan(DRAIN_MS / 2);
  process.off("warning", onWarning);
  expect(warnings).toEqual([]);
});
