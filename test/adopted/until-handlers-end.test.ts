import { McpServer as McpServerV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { UrlElicitationRequiredError } from "@modelcontextprotocol/sdk/types.js";
import {
  McpServer as McpServerV2,
  UrlElicitationRequiredError as UrlElicitationRequiredErrorV2,
} from "@modelcontextprotocol/server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { tenants } from "../../examples/adopted/demonstration.ts";
import { adoptSdkServer } from "../../src/catalog/adopt-sdk-server.ts";
import type { SdkServer } from "../../src/catalog/sdk-server.ts";
import { openSession } from "../support/earlier-session.ts";
import type { HttpAnswer } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";
import { accept, askingCall, questionOf } from "./asking-call.ts";

/** Handlers that are deaf, and at work. */
let working = 0;
/** How many of them were told to stop. */
let told = 0;
let finish = (): void => {};
let finished: Promise<void>;

const nothing = { content: [] };

async function ignore(signal: AbortSignal): Promise<typeof nothing> {
  working++;
  signal.addEventListener("abort", () => {
    told++;
  });
  await finished;
  working--;
  return nothing;
}

const ELICITATION = {
  mode: "url" as const,
  elicitationId: "connect-1",
  url: "https://files.example.com/connect",
  message: "Connect your files first.",
};

function buildV1(): McpServerV1 {
  const server = new McpServerV1({ name: "deaf", version: "1" });
  server.registerTool("deaf", {}, ({ signal }) => ignore(signal));
  server.registerTool("ask-then-deaf", {}, async ({ signal }) => {
    await server.server.elicitInput({
      message: "Go on?",
      requestedSchema: { type: "object", properties: {} },
    });
    return ignore(signal);
  });
  server.registerTool("plain", {}, () => nothing);
  server.registerTool("connect", {}, () => {
    throw new UrlElicitationRequiredError([ELICITATION], "Connect first.");
  });
  server.registerTool("connect-nowhere", {}, () => {
    throw new UrlElicitationRequiredError([{ ...ELICITATION, elicitationId: 7 as unknown as string }]);
  });
  return server;
}

function buildV2(): McpServerV2 {
  const server = new McpServerV2({ name: "deaf", version: "2" });
  server.registerTool("deaf", {}, ({ mcpReq }) => ignore(mcpReq.signal));
  server.registerTool("plain", {}, () => nothing);
  server.registerTool("connect", {}, () => {
    throw new UrlElicitationRequiredErrorV2([ELICITATION], "Connect first.");
  });
  return server;
}

const start = async (build: () => SdkServer): Promise<TestServer> => {
  const plans = { standard: { limits: { requestsPerMinute: null, maxConcurrency: 1 } } };
  return startTestServer({ server: await adoptSdkServer(build, { development: { plans, tenants } }) });
};
let first: TestServer;
let second: TestServer;
const GENERATIONS = [
  ["of the SDK's first generation", () => first],
  ["of its second generation", () => second],
] as const;
beforeAll(async () => {
  [first, second] = await Promise.all([start(buildV1), start(buildV2)]);
});
afterAll(() => Promise.all([first.close(), second.close()]));
beforeEach(() => {
  told = 0;
  finished = new Promise((resolve) => {
    finish = resolve;
  });
});
afterEach(async () => {
  finish();
  await until(() => working === 0);
});

/** However slow the machine is. */
const until = (holds: () => boolean | Promise<boolean>): Promise<boolean> =>
  vi.waitUntil(holds, { timeout: 10_000 });

const call = (
  { acme }: TestServer,
  name: string,
  more: { params?: object; signal?: AbortSignal } = {},
): Promise<HttpAnswer> => {
  const { signal } = more;
  return askingCall(
    acme.mcp,
    acme.token,
    { name, arguments: {}, ...more.params },
    signal === undefined ? {} : { signal },
  );
};

/** That a handler's place is taken until it ends, although nobody waits for it any more. */
async function keepsItsPlace(server: TestServer): Promise<void> {
  await until(() => told === 1);
  // What could free the place has had its time when another request was answered.
  for (let i = 0; i < 2; i++) {
    const { status, json } = await call(server, "plain");
    expect([status, json.error?.data]).toMatchObject([429, { limit: "maxConcurrency" }]);
  }
  expect(working).toBe(1);
  finish();
  await until(async () => (await call(server, "plain")).status === 200);
}

describe("a handler of an adopted server that does not look at its signal has its place until it ends", () => {
  test.each(GENERATIONS)("%s", async (_generation, server) => {
    const leaving = new AbortController();
    const left = call(server(), "deaf", leaving);
    left.catch(() => {});
    await until(() => working === 1);
    leaving.abort();
    await keepsItsPlace(server());
  });

  test("whose client has answered a question", async () => {
    const asked = questionOf(await call(first, "ask-then-deaf"));
    const { key, requestState } = asked;
    const leaving = new AbortController();
    const params = { requestState, inputResponses: { [key]: accept({}) } };
    const left = call(first, "ask-then-deaf", { params, signal: leaving.signal });
    left.catch(() => {});
    await until(() => working === 1);
    leaving.abort();
    await keepsItsPlace(first);
  });

  test("in a session", async () => {
    const session = await openSession(first.acme.mcp, first.acme.token);
    const cancelled = session.call("deaf", {}, 7);
    await until(() => working === 1);
    await session.notify("notifications/cancelled", { requestId: 7 });
    await cancelled;
    await keepsItsPlace(first);
  });
});

describe("an adopted server that needs its user to visit an address first", () => {
  test.each(GENERATIONS)(
    "and is %s says so to clients of 2025-11-25 as it is said there",
    async (_name, at) => {
      const session = await openSession(at().acme.mcp, at().acme.token);
      const { status, json } = await session.call("connect");
      expect(status).toBe(200);
      expect(json.error).toMatchObject({
        code: -32_042,
        data: { elicitations: [ELICITATION], code: "url_elicitation_required" },
      });
      expect(json.error.message).toContain("Connect first.");
    },
  );

  test("fails for clients of other revisions, and where no address can be found in it", async () => {
    const earlier = await openSession(first.acme.mcp, first.acme.token, { version: "2025-06-18" });
    const session = await openSession(first.acme.mcp, first.acme.token);
    const answers = [
      await call(first, "connect"),
      await earlier.call("connect"),
      await session.call("connect-nowhere"),
    ];
    for (const { json } of answers) {
      expect(json.error).toMatchObject({ code: -32_603, data: { code: "handler_failed" } });
      expect(json.error.data).not.toHaveProperty("elicitations");
    }
    expect(answers[0]?.json.error.message).toContain("Connect first.");
  });
});
