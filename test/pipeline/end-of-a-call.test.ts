import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { CallerError, defineServer, defineTool } from "../../src/catalog/define.ts";
import { currentTenant, type TenantContext } from "../../src/tenancy/tenant-context.ts";
import { heldMemory } from "../support/held-memory.ts";
import { callTool, mcpMessage, send } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

/** What handlers left behind, for the tests to look at. */
const kept: { context?: TenantContext; ran: string[]; aborted: string[] } = { ran: [], aborted: [] };

const hoard: TenantContext[] = [];

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const server = defineServer({
  name: "ends",
  version: "1.0.0",
  tools: [
    defineTool({
      name: "keep_context",
      description: "Keeps its context.",
      run: (_input, ctx) => {
        kept.context = ctx;
        return "kept";
      },
    }),
    defineTool({
      name: "keep_used_context",
      description: "Uses its context, and keeps it.",
      run: async (_input, ctx) => {
        kept.context = ctx;
        await ctx.store.put("now", 1);
        return "kept";
      },
    }),
    defineTool({
      name: "hoard",
      description: "Keeps all of its contexts.",
      input: z.object({ signals: z.boolean() }),
      run: ({ signals }, ctx) => {
        hoard.push(ctx);
        if (signals) ctx.signal.addEventListener("abort", () => {});
        return "kept";
      },
    }),
    defineTool({
      name: "slow",
      description: "Takes a second and ignores its signal.",
      run: async (_input, ctx) => {
        kept.ran.push(ctx.operationId);
        ctx.signal.addEventListener("abort", () => kept.aborted.push(ctx.operationId));
        await wait(1_000);
        return "late";
      },
    }),
    defineTool({
      name: "fail",
      description: "Throws.",
      run: () => {
        throw new Error("secret of the implementation");
      },
    }),
    defineTool({
      name: "say_no",
      description: "Says no.",
      run: () => {
        throw new CallerError("There is no such thing.");
      },
    }),
    defineTool({
      name: "who",
      description: "Says for whom it runs, from far below.",
      annotations: { readOnlyHint: true },
      run: async () => {
        await wait(5);
        return await Promise.resolve().then(() => currentTenant().tenant.slug);
      },
    }),
    defineTool({
      name: "write_although_read_only",
      description: "Tries to write.",
      annotations: { readOnlyHint: true },
      run: async (_input, ctx) => {
        await ctx.store.put("k", 1);
        return "written";
      },
    }),
  ],
});

let running: TestServer;
beforeAll(async () => {
  running = await startTestServer({ server });
});
afterAll(() => running.close());

const outcomes = (
  operation: string,
): Promise<{ kind: string; outcome: string | null; code: string | null }[]> =>
  running.database.admin(
    "SELECT kind, outcome, code FROM bulkhead.audit_entries WHERE operation_id = $1 ORDER BY seq",
    [operation],
  );

test.each(["keep_context", "keep_used_context"])(
  "a context that was kept beyond its call is of no use: %s",
  async (name) => {
    const { json } = await callTool(running.acme.mcp, running.acme.token, name);
    expect(json.result.content).toEqual([{ type: "text", text: "kept" }]);
    const { context } = kept;
    expect(context?.signal.aborted).toBe(true);
    await expect(Promise.resolve(context?.sql.unsafe("SELECT 1"))).rejects.toMatchObject({
      code: "context_missing",
    });
    await expect(context?.store.put("later", 1)).rejects.toMatchObject({ code: "context_missing" });
  },
);

test.each([false, true])(
  "a context that was kept beyond its call keeps nothing of the request, signal used: %s",
  async (signals) => {
    const text = "x".repeat(800_000);
    const call = () => callTool(running.acme.mcp, running.acme.token, "hoard", { signals, text });
    await call();
    const before = heldMemory();
    for (let n = 0; n < 20; n++) expect((await call()).status).toBe(200);
    await expect.poll(() => heldMemory() - before).toBeLessThan(6_000_000);
    expect(hoard.length).toBeGreaterThan(20);
    // V8 keeps the functions on an error's stack, and what they know.
    expect(hoard.at(-1)?.signal.reason.stack).not.toContain("\n    at ");
  },
);

test("calls of two tenants at once each run for their own", async () => {
  const answers = await Promise.all(
    Array.from({ length: 14 }, (_unused, i) => {
      const tenant = i % 2 === 0 ? running.acme : running.globex;
      return callTool(tenant.mcp, tenant.token, "who").then((answer) => [
        tenant.slug,
        answer.json.result.content[0].text,
      ]);
    }),
  );
  for (const [asked, answered] of answers) expect(answered).toBe(asked);
});

describe("a handler that fails", () => {
  test("says no more than that it failed; its text is in the log under the operation's id", async () => {
    const answer = await callTool(running.acme.mcp, running.acme.token, "fail");
    expect(answer.status).toBe(200);
    expect(answer.json.error).toMatchObject({
      code: -32603,
      data: { code: "handler_failed", operationId: expect.stringMatching(/^op_/) },
    });
    expect(answer.text).not.toContain("secret");
    const operation = answer.json.error.data.operationId;
    expect(await outcomes(operation)).toEqual([
      { kind: "intent", outcome: null, code: null },
      { kind: "outcome", outcome: "failed", code: "handler_failed" },
    ]);
    await expect
      .poll(() => running.instances[0].log().find((line) => line.operation === operation)?.cause)
      .toContain("secret of the implementation");
  });

  test("by saying no gives the caller its words", async () => {
    const answer = await callTool(running.acme.mcp, running.acme.token, "say_no");
    expect(answer.json.result).toMatchObject({
      isError: true,
      content: [{ type: "text", text: "There is no such thing." }],
    });
  });

  test("by writing although it said that it only reads changes nothing", async () => {
    const answer = await callTool(running.acme.mcp, running.acme.token, "write_although_read_only");
    expect(answer.json.error.data.code).toBe("handler_failed");
    expect(await running.database.admin("SELECT 1 FROM bulkhead.store_entries WHERE key = 'k'")).toEqual([]);
  });
});

describe("a handler that does not end", () => {
  test("is answered for at the tenant's time limit, and is told by its signal", async () => {
    await running.admin("PATCH", "/tenants/acme", { limits: { callTimeoutMs: 200 } });
    const started = performance.now();
    const answer = await callTool(running.acme.mcp, running.acme.token, "slow");
    expect(performance.now() - started).toBeLessThan(1_500);
    expect(answer.json.error.data).toMatchObject({ code: "call_timed_out", limitMs: 200 });
    const operation = answer.json.error.data.operationId;
    expect(kept.aborted).toContain(operation);
    expect((await outcomes(operation)).at(-1)).toEqual({
      kind: "outcome",
      outcome: "cancelled",
      code: "call_timed_out",
    });
    await running.admin("PATCH", "/tenants/acme", { limits: {} });
  });

  test("keeps its place among the operations in flight until it has really ended", async () => {
    // The one of the test before.
    await wait(1_000);
    await running.admin("PATCH", "/tenants/acme", { limits: { callTimeoutMs: 100, maxConcurrency: 1 } });
    expect((await callTool(running.acme.mcp, running.acme.token, "slow")).json.error.data.code).toBe(
      "call_timed_out",
    );
    expect((await callTool(running.acme.mcp, running.acme.token, "who")).json.error.data).toMatchObject({
      limit: "maxConcurrency",
    });
    await expect
      .poll(async () => (await callTool(running.acme.mcp, running.acme.token, "who")).status, {
        timeout: 5_000,
      })
      .toBe(200);
    await running.admin("PATCH", "/tenants/acme", { limits: {} });
  });

  test("is told when its caller goes away, and that is on record", async () => {
    const ran = kept.ran.length;
    const abort = new AbortController();
    const gone = send(running.acme.mcp, {
      ...mcpMessage(running.acme.token, "tools/call", { name: "slow" }),
      signal: abort.signal,
    });
    await expect.poll(() => kept.ran.length).toBe(ran + 1);
    abort.abort();
    await expect(gone).rejects.toThrow();
    const operation = kept.ran.at(-1) ?? "";
    await expect.poll(() => kept.aborted.includes(operation)).toBe(true);
    await expect
      .poll(async () => (await outcomes(operation)).at(-1))
      .toEqual({ kind: "outcome", outcome: "cancelled", code: "cancelled" });
  });

  test("does not begin for a caller who has gone before", async () => {
    const ran = kept.ran.length;
    // The intent waits for the lock; meanwhile the caller goes.
    const lock = running.database.admin(
      "LOCK TABLE bulkhead.audit_entries IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.6)",
    );
    await wait(100);
    const { port } = new URL(running.url);
    const { headers, body } = mcpMessage(running.acme.token, "tools/call", { name: "slow" });
    const socket = connect(Number(port), "127.0.0.1");
    socket.write(
      `POST /t/acme/mcp HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${Object.entries(headers)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join("")}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
    await wait(150);
    socket.destroy();
    await lock;
    await wait(400);
    expect(kept.ran.length).toBe(ran);
  });
});

test("bodies that arrive slowly take their tenant's places, not everybody's memory", async () => {
  await running.admin("PATCH", "/tenants/globex", { limits: { maxConcurrency: 2 } });
  const { port } = new URL(running.url);
  const { headers } = mcpMessage(running.globex.token, "tools/list");
  const head = `POST /t/globex/mcp HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}Content-Length: 100000\r\n\r\n{`;
  const statuses = await Promise.all(
    Array.from(
      { length: 6 },
      () =>
        new Promise<string>((resolve) => {
          const socket = connect(Number(port), "127.0.0.1", () => socket.write(head));
          const timer = setTimeout(() => {
            socket.destroy();
            resolve("reading");
          }, 700);
          socket.once("data", (chunk) => {
            clearTimeout(timer);
            socket.destroy();
            resolve(chunk.toString().slice(9, 12));
          });
          socket.on("error", () => {});
        }),
    ),
  );
  expect(statuses.filter((status) => status === "reading")).toHaveLength(2);
  expect(statuses.filter((status) => status === "429")).toHaveLength(4);
  await running.admin("PATCH", "/tenants/globex", { limits: {} });
});
