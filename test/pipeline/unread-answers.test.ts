import { afterAll, beforeAll, expect, test } from "vitest";
import { defineServer, defineTool } from "../../src/catalog/define.ts";
import { openSession } from "../support/earlier-session.ts";
import { callTool, mcpMessage } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";
import { RawConnection, rawRequest } from "./bad-input/raw-connection.ts";

/** More than the system's sockets take. */
const LENGTH = 24_000_000;

const definition = defineServer({
  name: "long",
  version: "1.0.0",
  tools: [
    defineTool({
      name: "long",
      description: "Answers at length.",
      annotations: { readOnlyHint: true },
      run: () => "x".repeat(LENGTH),
    }),
    defineTool({
      name: "short",
      description: "Answers.",
      annotations: { readOnlyHint: true },
      run: () => "x",
    }),
  ],
});
let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({ server: definition });
  expect((await server.admin("PATCH", "/tenants/acme", { limits: { maxConcurrency: 3 } })).status).toBe(200);
});
afterAll(() => server.close());

test("answers that nobody reads are held for no more callers than the tenant has places, of either generation", async () => {
  const { mcp: url, token } = server.acme;
  const params = { name: "long", arguments: {} };
  const { headers, body } = mcpMessage(token, "tools/call", params);
  const call = { jsonrpc: "2.0", id: 1, method: "tools/call", params };
  const earlier = async (message: unknown, version: string) => ({
    headers: {
      ...(await openSession(url, token, { version })).headers,
      "content-type": "application/json",
      accept: "application/json",
    },
    body: JSON.stringify(message),
  });
  const requests = [
    { headers, body },
    await earlier(call, "2025-11-25"),
    await earlier([call], "2025-03-26"),
  ];
  const deaf = await Promise.all(requests.map(() => RawConnection.open(server.url)));
  for (const [index, each] of deaf.entries()) {
    each.stopReading();
    each.write(rawRequest(url, requests[index] ?? { headers }));
  }
  const answered = (): number =>
    server.instances[0].log().filter(({ target, bytesOut }) => target === "long" && bytesOut > LENGTH).length;
  await expect.poll(answered, { timeout: 15_000 }).toBe(3);
  const over = await callTool(url, token, "short");
  expect([over.status, over.json.error?.data.limit]).toEqual([429, "maxConcurrency"]);
  expect((await callTool(server.globex.mcp, server.globex.token, "short")).status).toBe(200);
  for (const each of deaf) each.destroy();
  await expect.poll(async () => (await callTool(url, token, "short")).status, { timeout: 15_000 }).toBe(200);
});
