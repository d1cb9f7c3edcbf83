import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { tenants } from "../../examples/adopted/demonstration.ts";
import { adoptSdkServer } from "../../src/catalog/adopt-sdk-server.ts";
import { currentTenant } from "../../src/tenancy/tenant-context.ts";
import type { HttpAnswer } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";
import { accept, askingCall, questionOf } from "./asking-call.ts";

/** Handlers that were answered and wait for their signal, and those that it has told to stop. */
let waiting = 0;
let stopped = 0;
let closed = 0;

function buildServer(): McpServer {
  const server = new McpServer({ name: "rounds", version: "1" });
  server.server.onclose = () => {
    closed++;
  };
  const ask = () =>
    server.server.elicitInput({ message: "Go on?", requestedSchema: { type: "object", properties: {} } });
  server.registerTool("rights", {}, async () => {
    await ask();
    const { tenant, principal } = currentTenant();
    const seen = { permissions: [...principal.permissions], colour: tenant.settings.colour };
    return { content: [{ type: "text", text: JSON.stringify(seen) }] };
  });
  server.registerTool("wait", {}, async ({ signal }) => {
    await ask();
    waiting++;
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    stopped++;
    return { content: [] };
  });
  return server;
}

let server: TestServer;
beforeAll(async () => {
  const adopted = await adoptSdkServer(buildServer, {
    requires: { rights: "notes:read" },
    development: { plans: { standard: { limits: { requestsPerMinute: null } } }, tenants },
  });
  server = await startTestServer({ server: adopted, instances: 2 });
});
afterAll(() => server.close());
beforeEach(() => {
  waiting = 0;
  stopped = 0;
  closed = 0;
});

const PLACES = ["the same instance", "another instance"] as const;
const through = (place: (typeof PLACES)[number]): string =>
  `${server.instances[place === "the same instance" ? 0 : 1]?.url}/t/acme/mcp`;
const call = (name: string, more: object, at: { url?: string; token?: string } = {}): Promise<HttpAnswer> =>
  askingCall(at.url ?? server.acme.mcp, at.token ?? server.acme.token, { name, arguments: {}, ...more });
const answersTo = (answer: HttpAnswer) => {
  const { key, requestState } = questionOf(answer);
  return { requestState, inputResponses: { [key]: accept({}) } };
};
const tokenWith = async (...permissions: string[]): Promise<string> => {
  const asked = { tenant: "acme", user: "ada", scope: permissions.join(" ") };
  const { json } = await server.admin("POST", "/development/tokens", asked);
  return String(json.token);
};

describe.each(PLACES)("a round through %s", (place) => {
  test("has the rights of its own request, and the tenant's configuration of its time", async () => {
    const setColour = (colour: string) => server.admin("PATCH", "/tenants/acme", { settings: { colour } });
    await setColour("red");
    const first = await call("rights", {}, { token: await tokenWith("notes:read", "notes:write") });
    await setColour("blue");
    const last = await call("rights", answersTo(first), {
      url: through(place),
      token: await tokenWith("notes:read"),
    });
    expect(JSON.parse(last.json.result.content[0].text)).toEqual({
      permissions: ["notes:read"],
      colour: "blue",
    });
  });

  test("ends when its credentials do, and its handler is told", async () => {
    const token = await tokenWith("notes:read");
    const first = await call("wait", {}, { token });
    const last = call("wait", answersTo(first), { url: through(place), token });
    await vi.waitUntil(() => waiting === 1);
    const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
    await server.admin("POST", "/tenants/acme/revocations", { issuer: claims.iss, jti: claims.jti });
    expect((await last).json.error.data.code).toBe("credentials_ended");
    await vi.waitUntil(() => stopped === 1 && closed === 1);
  });

  test("ends at the time limit of calls, and its handler is told", async () => {
    await server.admin("PATCH", "/tenants/acme", { limits: { callTimeoutMs: 200 } });
    try {
      const first = await call("wait", {});
      const last = await call("wait", answersTo(first), { url: through(place) });
      expect(last.json.error.data.code).toBe("call_timed_out");
      await vi.waitUntil(() => stopped === 1 && closed === 1);
    } finally {
      await server.admin("PATCH", "/tenants/acme", { limits: {} });
    }
  });
});

test("a call is parked with its request, which counts for what it weighs", async () => {
  const heavy = { arguments: { numbers: new Array(300_000).fill(0) } };
  expect(questionOf(await call("wait", heavy)).key).toBe("q1");
  const tooMuch = await call("wait", heavy);
  expect(tooMuch.json.error.data).toMatchObject({ code: "rate_limited", limit: "parkedCalls" });
  await vi.waitUntil(() => closed === 1);
});

test("a call that is parked ends with its instance, and its handler is told", async () => {
  await call("wait", {}, { url: through("another instance") });
  expect(closed).toBe(0);
  await server.instances[1]?.bulkhead.close();
  await vi.waitUntil(() => closed === 1);
});
