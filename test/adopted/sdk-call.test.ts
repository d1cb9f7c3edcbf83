import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { completable } from "@modelcontextprotocol/sdk/server/completable.js";
import { McpServer, type ToolCallback } from "@modelcontextprotocol/sdk/server/mcp.js";
import { ErrorCode, McpError } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { adoptSdkServer } from "../../src/catalog/adopt-sdk-server.ts";
import { compileCatalog } from "../../src/catalog/catalog.ts";
import type { ServerDefinition, ToolDefinition } from "../../src/catalog/define.ts";
import { RefusedByServer } from "../../src/catalog/refused-by-server.ts";
import type { SdkServer } from "../../src/catalog/sdk-server.ts";
import { createIdSource } from "../../src/core/ids.ts";
import type { Change } from "../../src/tenancy/client.ts";
import type { LivingLink } from "../../src/tenancy/living-call.ts";
import type { Principal } from "../../src/tenancy/principal.ts";
import { RequestContext } from "../../src/tenancy/request-context.ts";
import { silentLink } from "../support/silent-link.ts";
import { tenantSnapshot } from "../support/tenant-snapshot.ts";

const ids = createIdSource(Date.now);
const snapshot = tenantSnapshot("acme");
const principal: Principal = {
  tenantId: snapshot.id,
  kind: "user",
  issuer: "https://issuer.example",
  subject: "ada",
  clientId: "editor",
  permissions: new Set(["notes:write"]),
  roles: ["author"],
  expiresAt: 4_000_000_000_000,
};

/** A link that runs handlers where they are, as those of sessions do. */
const link: LivingLink = {
  ...silentLink,
  live: (ctx, begin) => begin({ current: () => ctx, signal: ctx.signal }),
};

function context(
  signal = new AbortController().signal,
  over: LivingLink = link,
  changes: Change[] = [],
): RequestContext {
  const never = (): never => {
    throw new TypeError("Nothing is stored here.");
  };
  return new RequestContext({
    snapshot,
    principal,
    operationId: ids.operation(),
    signal: () => signal,
    link: over,
    ports: {
      openSql: never,
      openStore: never,
      emit: () => {},
      now: Date.now,
      announce: (change) => void changes.push(change),
    },
  });
}

function toolOf(server: ServerDefinition, name: string): ToolDefinition {
  const tool = server.tools?.find((each) => each.name === name);
  if (tool === undefined) throw new TypeError(`There is no tool ${name}.`);
  return tool;
}

type Run = ToolCallback<Record<string, never>>;

/** A server with these tools, which have no arguments. */
function serverWith(tools: Record<string, Run>): () => McpServer {
  return () => {
    const server = new McpServer({ name: "test", version: "1" });
    for (const [name, run] of Object.entries(tools)) server.registerTool(name, { inputSchema: {} }, run);
    return server;
  };
}

const nothing = { content: [] };

test("a thousand calls leave no server object alive", async () => {
  const build = serverWith({ plain: () => nothing });
  const alive: WeakRef<SdkServer>[] = [];
  const server = await adoptSdkServer(() => {
    const made = build();
    alive.push(new WeakRef(made));
    return made;
  });
  const tool = toolOf(server, "plain");
  for (let i = 0; i < 1_000; i++) await tool.run({}, context());
  expect(alive).toHaveLength(1_002);
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect !== "function") throw new TypeError("There is no gc.");
  // What is referred to weakly lives until the end of the turn that looked at it.
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  expect(alive.filter((each) => each.deref() !== undefined).length).toBeLessThan(10);
});

describe("a server object is closed", () => {
  test.each([
    ["that answers", () => nothing],
    [
      "whose handler fails",
      () => {
        throw new Error("no");
      },
    ],
  ])("%s", async (_name, run) => {
    let closed = 0;
    const build = serverWith({ each: run });
    const server = await adoptSdkServer(() => {
      const made = build();
      made.server.onclose = () => {
        closed++;
      };
      return made;
    });
    closed = 0;
    await toolOf(server, "each").run({}, context());
    expect(closed).toBe(1);
  });

  test("that cannot be greeted", async () => {
    let closed = 0;
    const broken: SdkServer = {
      connect: () => Promise.reject(new Error("not today")),
      close: async () => {
        closed++;
      },
    };
    await expect(adoptSdkServer(() => broken)).rejects.toMatchObject({ code: "module_failed" });
    expect(closed).toBe(1);
  });

  test("whose call is aborted, and its handler is told", async () => {
    let stopped: unknown;
    let began = (): void => {};
    const running = new Promise<void>((resolve) => {
      began = resolve;
    });
    const server = await adoptSdkServer(
      serverWith({
        slow: async (_args, { signal }) => {
          began();
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
          stopped = signal.aborted;
          return nothing;
        },
      }),
    );
    const aborting = new AbortController();
    const call = Promise.resolve(toolOf(server, "slow").run({}, context(aborting.signal)));
    await running;
    aborting.abort(new Error("enough"));
    await expect(call).rejects.toThrow("enough");
    expect(stopped).toBe(true);
  });
});

test("a factory that gives one server object for all is refused", async () => {
  const one = serverWith({ plain: () => nothing })();
  await expect(adoptSdkServer(() => one)).rejects.toMatchObject({ code: "server_invalid" });
  // It may begin to do so later.
  let made = 0;
  const others = [serverWith({ plain: () => nothing })(), serverWith({ plain: () => nothing })(), one];
  const later = await adoptSdkServer(() => others[Math.min(made++, 2)] ?? one);
  const call = async () => toolOf(later, "plain").run({}, context());
  expect(await call()).toEqual(nothing);
  await expect(call()).rejects.toMatchObject({ code: "server_invalid" });
});

test("notifications of changes are the tenant's, and arguments are completed", async () => {
  const server = await adoptSdkServer(() => {
    const made = new McpServer({ name: "test", version: "1" }, { capabilities: { resources: {} } });
    made.registerTool("change", { inputSchema: {} }, async (_args, { sendNotification }) => {
      await sendNotification({ method: "notifications/tools/list_changed" });
      await sendNotification({ method: "notifications/resources/updated", params: { uri: "a://b" } });
      return nothing;
    });
    made.registerPrompt(
      "greet",
      { argsSchema: { name: completable(z.string(), (typed) => [`${typed}da`, `${typed}nn`]) } },
      () => ({ messages: [] }),
    );
    return made;
  });
  const changes: Change[] = [];
  await toolOf(server, "change").run({}, context(undefined, link, changes));
  expect(changes).toEqual(["tools", { resource: "a://b" }]);
  const complete = server.prompts?.[0]?.arguments?.[0]?.complete;
  expect(await complete?.("a", context(), {})).toEqual(["ada", "ann"]);
});

test("a handler is told who calls, and no token", async () => {
  let told: unknown;
  const server = await adoptSdkServer(
    serverWith({
      who: (_args, { authInfo }) => {
        told = authInfo;
        return nothing;
      },
    }),
  );
  await toolOf(server, "who").run({}, context());
  expect(told).toEqual({
    token: "",
    clientId: "editor",
    scopes: ["notes:write"],
    expiresAt: 4_000_000_000,
    extra: { tenant: snapshot.slug, subject: "ada", issuer: "https://issuer.example", roles: ["author"] },
  });
});

test.each([
  [ErrorCode.InvalidParams, "params_invalid"],
  [ErrorCode.MethodNotFound, "method_unknown"],
  [-32_002, "resource_unknown"],
  [ErrorCode.InternalError, "handler_failed"],
  [-31_999, "handler_failed"],
])("an error with the code %d ends the call as %s, with its message", async (code, expected) => {
  const server = await adoptSdkServer(() => {
    const made = new McpServer({ name: "test", version: "1" });
    made.registerPrompt("wrong", { argsSchema: { a: z.string().optional() } }, () => {
      throw new McpError(code, "It is like this.");
    });
    return made;
  });
  const prompt = server.prompts?.[0];
  if (prompt === undefined) throw new TypeError("There is no prompt.");
  const failed = Promise.resolve(prompt.get({}, context()));
  await expect(failed).rejects.toThrow(RefusedByServer);
  await expect(failed).rejects.toMatchObject({ refusal: { code: expected, detail: "It is like this." } });
});

test("a resource that the server does not have is refused as any other, with its URI", async () => {
  const server = await adoptSdkServer(() => {
    const made = new McpServer({ name: "test", version: "1" });
    made.registerResource("gone", "a://gone", {}, () => {
      throw new McpError(-32_002, "It is gone.");
    });
    return made;
  });
  const reading = Promise.resolve(server.resources?.[0]?.read({}, context(), "a://gone"));
  await expect(reading).rejects.toMatchObject({
    refusal: { code: "resource_unknown", detail: "It is gone.", data: { uri: "a://gone" } },
  });
});

describe("options", () => {
  const build = serverWith({ one: () => nothing, two: () => nothing });

  test("say by name, or by a function, what the server cannot", async () => {
    const server = await adoptSdkServer(build, {
      name: "renamed",
      version: "7",
      requires: { one: "a:write" },
      toolSet: ({ kind, name }) => (kind === "tool" && name === "two" ? "more" : undefined),
      tenants: { two: ["acme"] },
      readOnly: { one: true },
    });
    expect(server).toMatchObject({ name: "renamed", version: "7" });
    const { tools } = compileCatalog(server);
    expect(
      tools.map(({ definition, readOnly }) => [definition.requires, definition.toolSet, readOnly]),
    ).toEqual([
      ["a:write", undefined, true],
      [undefined, "more", false],
    ]);
    expect(tools[1]?.definition.tenants).toEqual(["acme"]);
  });

  test.each([
    ["requires", "x"],
    ["toolSet", "x"],
    ["tenants", ["acme"]],
    ["readOnly", true],
  ])("that name in %s what the server does not have are refused", async (option, value) => {
    const adopting = adoptSdkServer(build, { [option]: { one: value, onee: value } });
    await expect(adopting).rejects.toMatchObject({
      code: "server_invalid",
      detail: `${option} names "onee", which the adopted server does not have.`,
    });
  });
});
