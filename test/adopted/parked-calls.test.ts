import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { tenants } from "../../examples/adopted/demonstration.ts";
import { adoptSdkServer } from "../../src/catalog/adopt-sdk-server.ts";
import { currentTenant } from "../../src/tenancy/tenant-context.ts";
import type { HttpAnswer } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";
import { accept, askingCall, questionOf } from "./asking-call.ts";

const form = {
  type: "object" as const,
  properties: { name: { type: "string" as const } },
  required: ["name"],
};
/** Server objects that were made, and those that were closed. */
let made = 0;
let closed = 0;
/** Handlers that were told to stop. */
let aborted = 0;
/** Those that were answered, and go on until they are told to stop. */
let slowly = 0;

function buildServer(): McpServer {
  made++;
  const server = new McpServer({ name: "asking", version: "1" });
  server.server.onclose = () => {
    closed++;
  };
  const ask = async (message: string, requestedSchema = form) => {
    const { action, content } = await server.server.elicitInput({ message, requestedSchema });
    return action === "accept" ? String(content?.name) : action;
  };
  server.registerTool("twice", { inputSchema: { greeting: z.string() } }, async ({ greeting }) => {
    const first = await ask("First?");
    const { tenant, principal } = currentTenant();
    const second = await ask(`Second, ${first}?`);
    const text = `${greeting} ${first} ${second} of ${tenant.slug}, for ${principal.subject}`;
    return { content: [{ type: "text", text }] };
  });
  server.registerTool("together", {}, async () => {
    const names = await Promise.all([ask("One?"), ask("Two?")]);
    return { content: [{ type: "text", text: names.join(" ") }] };
  });
  server.registerTool("then-slow", {}, async ({ signal }) => {
    signal.addEventListener("abort", () => {
      aborted++;
    });
    await ask("Slow?");
    slowly++;
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return { content: [] };
  });
  return server;
}

let server: TestServer;
beforeAll(async () => {
  const adopted = await adoptSdkServer(buildServer, {
    development: { plans: { standard: { limits: { requestsPerMinute: null } } }, tenants },
  });
  server = await startTestServer({ server: adopted, instances: 2 });
});
afterAll(() => server.close());
beforeEach(() => {
  made = 0;
  closed = 0;
  aborted = 0;
  slowly = 0;
});

const call = (
  params: Record<string, unknown>,
  at: { url?: string; token?: string; signal?: AbortSignal } = {},
): Promise<HttpAnswer> => askingCall(at.url ?? server.acme.mcp, at.token ?? server.acme.token, params, at);
const second = (slug = "acme"): string => `${server.instances[1]?.url}/t/${slug}/mcp`;
const answering = (answer: HttpAnswer, name: string) => {
  const { key, requestState } = questionOf(answer);
  return { requestState, inputResponses: { [key]: accept({ name }) } };
};
const greet = { name: "twice", arguments: { greeting: "Hello" } };

describe("a parked call", () => {
  test("goes on from question to question, in one handler", async () => {
    const first = await call(greet);
    const again = await call({ ...greet, ...answering(first, "Ann") });
    expect(questionOf(again).request.params.message).toBe("Second, Ann?");
    const last = await call({ ...greet, ...answering(again, "Bo") });
    expect(last.json.result.content[0].text).toBe("Hello Ann Bo of acme, for ada");
    expect([made, closed]).toEqual([1, 1]);
  });

  test("asks together what its handler asks together, and again what was not answered", async () => {
    const together = { name: "together", arguments: {} };
    const first = await call(together);
    const [one, two] = Object.keys(first.json.result.inputRequests);
    const { requestState } = first.json.result;
    const half = await call({
      ...together,
      requestState,
      inputResponses: { [one ?? ""]: accept({ name: "Ann" }), [two ?? ""]: accept({ name: 7 }) },
    });
    expect(Object.keys(half.json.result.inputRequests)).toEqual([two]);
    const whole = await call({ ...together, ...answering(half, "Bo") });
    expect(whole.json.result.content[0].text).toBe("Ann Bo");
  });

  test("goes on through another instance, from question to question", async () => {
    const first = await call(greet);
    const again = await call({ ...greet, ...answering(first, "Ann") }, { url: second() });
    expect(questionOf(again).request.params.message).toBe("Second, Ann?");
    const last = await call({ ...greet, ...answering(again, "Bo") }, { url: second() });
    expect(last.json.result.content[0].text).toBe("Hello Ann Bo of acme, for ada");
    expect([made, closed]).toEqual([1, 1]);
    const over = await call({ ...greet, ...answering(again, "Bo") }, { url: second() });
    expect(over.json.error.data.code).toBe("request_state_invalid");
  });

  test.each(["the same instance", "another instance"])(
    "is for its caller, its tenant and its request alone, through %s",
    async (where) => {
      const at = (slug: "acme" | "globex") =>
        where === "another instance" ? second(slug) : server[slug].mcp;
      const answers = answering(await call(greet), "Ann");
      const refused = [
        await call({ ...greet, ...answers }, { url: at("acme"), token: server.token("acme", "bob") }),
        await call({ ...greet, ...answers }, { url: at("globex"), token: server.globex.token }),
        await call({ ...greet, arguments: { greeting: "Bye" }, ...answers }, { url: at("acme") }),
      ];
      for (const { status, json } of refused) {
        expect(status).toBe(400);
        expect(json.error.data.code).toBe("request_state_invalid");
      }
      // Nobody has taken it.
      const answer = await call({ ...greet, ...answers }, { url: at("acme") });
      expect(questionOf(answer).request.params.message).toBe("Second, Ann?");
    },
  );

  test.each([
    ["the same instance", () => server.acme.mcp],
    ["another instance", second],
  ])("ends with the request that its caller leaves, through %s", async (_where, url) => {
    const slow = { name: "then-slow", arguments: {} };
    const answers = answering(await call(slow), "Ann");
    const leaving = new AbortController();
    const left = call({ ...slow, ...answers }, { url: url(), signal: leaving.signal });
    left.catch(() => {});
    await vi.waitUntil(() => slowly === 1);
    // It is served by one request at a time.
    const other = await call({ ...slow, ...answers });
    expect(other.json.error.data.code).toBe("request_state_invalid");
    leaving.abort();
    await vi.waitUntil(() => aborted === 1 && closed === 1);
  });
});

test("calls that asked leave no server object open", async () => {
  const asked = await Promise.all(Array.from({ length: 15 }, () => call(greet)));
  const again = await Promise.all(asked.map((answer) => call({ ...greet, ...answering(answer, "Ann") })));
  expect(closed).toBe(0);
  await Promise.all(again.map((answer) => call({ ...greet, ...answering(answer, "Bo") })));
  expect([made, closed]).toEqual([15, 15]);
});
