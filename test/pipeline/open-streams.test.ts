import { request } from "node:http";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defineResource, defineServer, defineTool } from "../../src/catalog/define.ts";
import { callTool, mcp, mcpMessage, send } from "../support/mcp-request.ts";
import { listen, type TestStream } from "../support/open-stream.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

const TOOLS = { toolsListChanged: true };
/** Longest time from a change to its effect on every instance, in milliseconds. */
const SECOND = 1_000;

/** Calls of `hold` that have begun, and those that were told to stop. */
const held = { begun: 0, stopped: 0 };
const definition = defineServer({
  name: "shop",
  version: "1.0.0",
  tools: [
    defineTool({
      name: "sell",
      description: "Sells.",
      annotations: { readOnlyHint: true },
      run: () => "sold",
    }),
    defineTool({ name: "report", description: "Reports.", toolSet: "reports", run: () => "report" }),
    defineTool({
      name: "hold",
      description: "Goes on until it is told to stop.",
      run: async (_input, ctx) => {
        held.begun++;
        await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
        held.stopped++;
        return "stopped";
      },
    }),
  ],
  resources: [
    defineResource({ name: "guide", uri: "shop://guide", description: "A guide.", read: () => "Read me." }),
  ],
});

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ server: definition, instances: 2 });
});
afterAll(() => server.close());

const onSecond = (slug: "acme" | "globex"): string => `${server.instances[1]?.url}/t/${slug}/mcp`;
const methods = (stream: TestStream): string[] =>
  stream.messages().map((message) => message.method ?? "result");
const acknowledged = (stream: TestStream) =>
  expect.poll(() => methods(stream)[0], { timeout: 10_000 }).toBe("notifications/subscriptions/acknowledged");

/** Until both instances serve it again: the other one hears of it a moment later, and the next test opens a stream there. */
async function resumeAcme(): Promise<void> {
  expect((await server.admin("POST", "/tenants/acme/resume")).status).toBe(200);
  const there = async () => (await mcp(onSecond("acme"), server.acme.token, "tools/list")).status;
  await expect.poll(there, { timeout: 10_000 }).toBe(200);
}

/** Opens streams, all acknowledged; closes them after `work`. */
async function withStreams<R>(
  opening: readonly Promise<TestStream>[],
  work: (...streams: TestStream[]) => Promise<R>,
): Promise<R> {
  const streams = await Promise.all(opening);
  try {
    for (const stream of streams) await acknowledged(stream);
    return await work(...streams);
  } finally {
    for (const stream of streams) stream.destroy();
  }
}

async function change(slug: "acme" | "globex", body: unknown): Promise<number> {
  expect((await server.admin("PATCH", `/tenants/${slug}`, body)).status).toBe(200);
  return performance.now();
}

describe("a stream that is opened", () => {
  test("says first what is honoured: of the lists, those that the server has and discovery promises", async () => {
    const discovered = await mcp(server.acme.mcp, server.acme.token, "server/discover");
    expect(discovered.json.result.capabilities).toEqual({
      tools: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
      logging: {},
    });
    const everything = {
      toolsListChanged: true,
      promptsListChanged: true,
      resourcesListChanged: true,
      resourceSubscriptions: ["shop://guide"],
    };
    for (const [url, token] of [
      [server.acme.mcp, server.acme.token],
      [server.shared, server.acme.sharedToken],
    ] as const) {
      await withStreams([listen(url, token, everything, { id: "listen:7" })], async (stream) => {
        expect(stream.headers["content-type"]).toBe("text/event-stream");
        expect(stream.messages()).toEqual([
          {
            jsonrpc: "2.0",
            method: "notifications/subscriptions/acknowledged",
            params: {
              _meta: { "io.modelcontextprotocol/subscriptionId": "listen:7" },
              notifications: {
                toolsListChanged: true,
                resourcesListChanged: true,
                resourceSubscriptions: ["shop://guide"],
              },
            },
          },
        ]);
      });
    }
  });

  test("is one operation, with its one event and its audit row", async () => {
    const count = async () => [
      server.instances[0].log().filter((line) => line.method === "subscriptions/listen").length,
      (
        await server.database.admin(
          "SELECT 1 FROM bulkhead.audit_entries WHERE action = 'subscriptions/listen' AND kind = 'outcome' AND outcome = 'ok' AND tenant_id = $1",
          [server.globex.id],
        )
      ).length,
    ];
    await withStreams([listen(server.globex.mcp, server.globex.token, TOOLS)], async (stream) => {
      await expect.poll(async () => (await count())[1]).toBe(1);
      const line = () =>
        server.instances[0]
          .log()
          .find((each) => each.method === "subscriptions/listen" && each.tenant === server.globex.id);
      await expect.poll(line).toMatchObject({ outcome: "ok", code: null });
      const before = await count();
      stream.destroy();
      await stream.closed;
      await callTool(server.globex.mcp, server.globex.token, "sell");
      expect(await count()).toEqual(before);
    });
  });

  test("holds no place among the operations in flight", async () => {
    await change("acme", { limits: { maxConcurrency: 1 } });
    const opening: Promise<TestStream>[] = [];
    for (let i = 0; i < 3; i++) {
      opening.push(listen(server.acme.mcp, server.acme.token, TOOLS));
      await opening[i];
    }
    await withStreams(opening, async () => {
      expect((await callTool(server.acme.mcp, server.acme.token, "sell")).status).toBe(200);
    });
    await change("acme", { limits: {} });
  });
});

describe("a stream is refused", () => {
  test.each([
    ["a filter that is none", { notifications: [] }, {}, 200, "params_invalid"],
    ["no filter", {}, {}, 200, "params_invalid"],
    [
      "an Accept without server-sent events",
      { notifications: TOOLS },
      { accept: "application/json" },
      406,
      "not_acceptable",
    ],
    [
      "headers that name another method",
      { notifications: TOOLS },
      { "mcp-method": "tools/list" },
      400,
      "header_mismatch",
    ],
  ])("for %s", async (_what, params, more, status, code) => {
    const { headers, body } = mcpMessage(server.acme.token, "subscriptions/listen", params);
    const answer = await send(server.acme.mcp, { headers: { ...headers, ...more }, body });
    expect([
      answer.status,
      answer.headers["content-type"],
      answer.json.id,
      answer.json.error.data.code,
    ]).toEqual([status, "application/json", 1, code]);
  });

  test("for another tenant's token", async () => {
    const stream = await listen(server.acme.mcp, server.globex.token, TOOLS);
    expect(stream.status).toBe(401);
  });
});

describe("a change of a tenant's configuration", () => {
  test("is told to that tenant's streams on both instances within a second, and to no other's", async () => {
    await withStreams(
      [
        listen(server.acme.mcp, server.acme.token, TOOLS, { id: 11 }),
        listen(onSecond("acme"), server.acme.token, TOOLS, { id: 12 }),
        listen(server.shared, server.acme.sharedToken, TOOLS, { id: 13 }),
        listen(onSecond("acme"), server.acme.token, { resourcesListChanged: true }, { id: 14 }),
        listen(server.globex.mcp, server.globex.token, TOOLS, { id: 15 }),
        listen(onSecond("globex"), server.globex.token, TOOLS, { id: 16 }),
      ],
      async (...streams) => {
        const told = () => streams.map((stream) => methods(stream).length - 1);
        const changed = await change("acme", { toolSets: ["reports"] });
        await expect.poll(() => told().slice(0, 3), { interval: 10 }).toEqual([1, 1, 1]);
        expect(performance.now() - changed).toBeLessThan(SECOND);
        expect(streams[1]?.messages()[1]).toEqual({
          jsonrpc: "2.0",
          method: "notifications/tools/list_changed",
          params: { _meta: { "io.modelcontextprotocol/subscriptionId": 12 } },
        });
        const listed = await mcp(onSecond("acme"), server.acme.token, "tools/list");
        expect(listed.text).toContain('"report"');
        // Of another kind, then back again: once more, and never for globex.
        await change("acme", { name: "Acme Incorporated", settings: { theme: "dark" } });
        await change("acme", { toolSets: null });
        await expect.poll(() => told().slice(0, 3), { interval: 10 }).toEqual([2, 2, 2]);
        // What globex hears of its own change marks the end of what it could have heard before.
        await change("globex", { toolSets: ["reports"] });
        await expect.poll(() => told().slice(4), { interval: 10 }).toEqual([1, 1]);
        expect(told()).toEqual([2, 2, 2, 0, 1, 1]);
        await change("globex", { toolSets: null });
        await expect.poll(() => told().slice(4), { interval: 10 }).toEqual([2, 2]);
      },
    );
  });

  test("is told as well when the plan changed, to the tenants whose list did", async () => {
    await change("globex", { plan: "team" });
    const [plan] = await server.database.admin<{ limits: unknown; tool_sets: string[] }>(
      "SELECT limits, tool_sets FROM bulkhead.plans WHERE name = 'team'",
    );
    await withStreams(
      [
        listen(onSecond("globex"), server.globex.token, TOOLS),
        listen(onSecond("acme"), server.acme.token, TOOLS),
      ],
      async (ofGlobex, ofAcme) => {
        const { status } = await server.admin("PUT", "/plans/team", {
          limits: plan?.limits,
          toolSets: plan?.tool_sets.includes("reports") ? [] : ["reports"],
        });
        expect(status).toBe(200);
        const changed = performance.now();
        await expect.poll(() => methods(ofGlobex), { interval: 10 }).toHaveLength(2);
        expect(performance.now() - changed).toBeLessThan(SECOND);
        await change("acme", { toolSets: ["reports"] });
        await expect.poll(() => methods(ofAcme)).toHaveLength(2);
        await change("acme", { toolSets: null });
        await expect.poll(() => methods(ofAcme)).toHaveLength(3);
        expect(methods(ofGlobex)).toHaveLength(2);
      },
    );
  });
});

test("the official client hears of a change, and of the end", async () => {
  const { json } = await server.admin("POST", "/development/tokens", { tenant: "acme", expiresIn: 3 });
  const client = new Client(
    { name: "bulkhead-test", version: "1.0.0" },
    { versionNegotiation: { mode: { pin: "2026-07-28" } } },
  );
  await client.connect(
    new StreamableHTTPClientTransport(new URL(onSecond("acme")), {
      requestInit: { headers: { authorization: `Bearer ${json.token}` } },
    }),
  );
  let told = 0;
  client.setNotificationHandler("notifications/tools/list_changed", () => {
    told++;
  });
  const subscription = await client.listen({ toolsListChanged: true, promptsListChanged: true });
  expect(subscription.honoredFilter).toEqual({ toolsListChanged: true });
  await change("acme", { toolSets: ["reports"] });
  await expect.poll(() => told).toBe(1);
  await change("acme", { toolSets: null });
  await expect.poll(() => told).toBe(2);
  expect(await subscription.closed).toBe("graceful");
  await client.close();
});

describe("a stream ends", () => {
  const RESULT = {
    jsonrpc: "2.0",
    id: 5,
    result: {
      resultType: "complete",
      _meta: {
        "io.modelcontextprotocol/subscriptionId": 5,
        "io.modelcontextprotocol/serverInfo": { name: "shop", version: "1.0.0" },
      },
    },
  };
  const endsWithin = async (stream: TestStream, since: number): Promise<void> => {
    expect(await stream.closed).toBe("end");
    expect(performance.now() - since).toBeLessThan(SECOND);
    expect(stream.messages().at(-1)).toEqual(RESULT);
  };

  test("within a second after its token, and not before; others go on", async () => {
    const { json } = await server.admin("POST", "/development/tokens", { tenant: "acme", expiresIn: 2 });
    await withStreams(
      [
        listen(server.acme.mcp, String(json.token), TOOLS, { id: 5 }),
        listen(onSecond("acme"), String(json.token), TOOLS, { id: 5 }),
        listen(server.acme.mcp, server.acme.token, TOOLS),
      ],
      async (first, second, other) => {
        const expiry = performance.now() + Date.parse(String(json.expiresAt)) - Date.now();
        await Promise.all([
          endsWithin(first as TestStream, expiry),
          endsWithin(second as TestStream, expiry),
        ]);
        expect(performance.now()).toBeGreaterThanOrEqual(expiry - 5);
        expect(other?.isOpen()).toBe(true);
      },
    );
  });

  test("when its tenant is suspended, on both instances, and no other tenant's does", async () => {
    await withStreams(
      [
        listen(server.acme.mcp, server.acme.token, TOOLS, { id: 5 }),
        listen(onSecond("acme"), server.acme.token, TOOLS, { id: 5 }),
        listen(onSecond("globex"), server.globex.token, TOOLS),
      ],
      async (first, second, other) => {
        expect((await server.admin("POST", "/tenants/acme/suspend")).status).toBe(200);
        const suspended = performance.now();
        await Promise.all([first, second].map((each) => endsWithin(each as TestStream, suspended)));
        expect(other?.isOpen()).toBe(true);
      },
    );
    await resumeAcme();
  });

  test("when the caller hangs up, and makes room", async () => {
    await withStreams([listen(server.acme.mcp, server.acme.token, TOOLS)], async (stream) => {
      stream.destroy();
      await stream.closed;
    });
    expect((await callTool(server.acme.mcp, server.acme.token, "sell")).status).toBe(200);
    expect(server.instances[0].log().filter((line) => line.event === "fault")).toEqual([]);
  });
});

describe("a request whose credential ends while it is served", () => {
  test("is stopped where it runs: told by its signal, answered 401, on record as cancelled", async () => {
    await change("acme", { limits: { callTimeoutMs: null } });
    const { begun, stopped } = held;
    const call = callTool(onSecond("acme"), server.acme.token, "hold");
    await expect.poll(() => held.begun).toBe(begun + 1);
    await server.admin("POST", "/tenants/acme/suspend");
    const suspended = performance.now();
    const answer = await call;
    expect(performance.now() - suspended).toBeLessThan(SECOND);
    expect(answer.status).toBe(401);
    expect(answer.headers["www-authenticate"]).toMatch(
      /^Bearer error="invalid_token", .*resource_metadata="/,
    );
    expect(answer.json.error.data.code).toBe("credentials_ended");
    await expect.poll(() => held.stopped).toBe(stopped + 1);
    const rows = await server.database.admin(
      "SELECT kind, outcome, code FROM bulkhead.audit_entries WHERE operation_id = $1 ORDER BY seq",
      [answer.json.error.data.operationId],
    );
    expect(rows).toEqual([
      { kind: "intent", outcome: null, code: null },
      { kind: "outcome", outcome: "cancelled", code: "credentials_ended" },
    ]);
    await resumeAcme();
  });

  test("does not begin to run when that happened while its body arrived", async () => {
    const { begun } = held;
    const { headers, body } = mcpMessage(server.acme.token, "tools/call", { name: "hold" });
    const answered = new Promise<{ status: number; text: string }>((resolve, reject) => {
      const req = request(onSecond("acme"), { method: "POST", agent: false, headers }, (res) => {
        let text = "";
        res.on("data", (part: Buffer) => {
          text += part.toString();
        });
        res.on("end", () => resolve({ status: res.statusCode ?? 0, text }));
      });
      req.on("error", reject);
      req.write(body.slice(0, 10));
      // A stream that was opened after this request began is ended by the same check.
      listen(onSecond("acme"), server.acme.token, TOOLS)
        .then(async (stream) => {
          await acknowledged(stream);
          await server.admin("POST", "/tenants/acme/suspend");
          await stream.closed;
          req.end(body.slice(10));
        })
        .catch(reject);
    });
    const { status, text } = await answered;
    // The id is null: nothing of the body was looked at.
    const { id, error } = JSON.parse(text);
    expect([status, id, error.data.code]).toEqual([401, null, "credentials_ended"]);
    expect(held.begun).toBe(begun);
    await resumeAcme();
  });
});

test("when its tenant is deleted a stream ends, on both instances", async () => {
  await withStreams(
    [
      listen(server.globex.mcp, server.globex.token, TOOLS),
      listen(onSecond("globex"), server.globex.token, TOOLS),
      listen(onSecond("acme"), server.acme.token, TOOLS),
    ],
    async (first, second, other) => {
      expect((await server.admin("DELETE", `/tenants/${server.globex.id}`)).status).toBe(200);
      const deleted = performance.now();
      expect(await Promise.all([first?.closed, second?.closed])).toEqual(["end", "end"]);
      expect(performance.now() - deleted).toBeLessThan(SECOND);
      expect(other?.isOpen()).toBe(true);
    },
  );
});

test("a server that stops ends its streams at once and does not wait for them", async () => {
  const stopping = await startTestServer({ server: definition, settings: { drainMs: 20_000 } });
  const streams = await Promise.all(
    [stopping.acme, stopping.globex].map((tenant) => listen(tenant.mcp, tenant.token, TOOLS)),
  );
  for (const stream of streams) await acknowledged(stream);
  const closing = performance.now();
  await stopping.close();
  expect(performance.now() - closing).toBeLessThan(5_000);
  for (const stream of streams) {
    expect(await stream.closed).toBe("end");
    expect(methods(stream)).toEqual(["notifications/subscriptions/acknowledged", "result"]);
  }
});
