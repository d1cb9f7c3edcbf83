import { expect, test } from "vitest";
import { compileCatalog } from "../../src/catalog/catalog.ts";
import { defineTool } from "../../src/catalog/define.ts";
import { createTenantViews } from "../../src/catalog/tenant-view.ts";
import { createAccessPolicy } from "../../src/identity/access-policy.ts";
import type { McpRequest } from "../../src/protocol/mcp-request.ts";
import { resolveOperation } from "../../src/protocol/operations.ts";
import { mcpRequestOf } from "../support/mcp-request-of.ts";
import { tenantSnapshot } from "../support/tenant-snapshot.ts";

const catalog = compileCatalog({
  name: "desk",
  version: "1",
  tools: [
    defineTool({ name: "close", description: "Closes.", requires: "tickets:write", run: () => "" }),
    defineTool({ name: "hours", description: "Tells.", run: () => "" }),
  ],
  resources: [
    { uri: "desk://guide", name: "guide", requires: "guide:read", read: () => "" },
    { uri: "desk://tickets/{id}", name: "ticket", requires: "items:read", read: () => "" },
  ],
  prompts: [{ name: "reply", requires: "replies:write", get: () => "" }],
});
const policy = createAccessPolicy(catalog.hierarchy, catalog.permissions);
const views = createTenantViews({
  catalog,
  permits: (granted, required) => policy.decide(granted, required).allowed,
  onCut: () => {},
});
const view = views.of(tenantSnapshot("acme"));

function resolve(
  granted: readonly string[],
  method: McpRequest["method"],
  params: { readonly name?: string; readonly uri?: string; readonly arguments?: object } = {},
) {
  return resolveOperation(mcpRequestOf({ method, params, name: params.name ?? params.uri ?? null }), {
    catalog,
    view,
    granted: new Set(granted),
    policy,
  });
}

const CASES = [
  ["tools/call", { name: "close", arguments: {} }, "tickets:write"],
  ["resources/read", { uri: "desk://guide" }, "guide:read"],
  ["resources/read", { uri: "desk://tickets/7" }, "items:read"],
  ["prompts/get", { name: "reply" }, "replies:write"],
] as const;

test.each(CASES)("%s of %j is refused without %s, by its name", async (method, params, needed) => {
  const others = CASES.map(([, , permission]) => permission).filter((permission) => permission !== needed);
  for (const granted of [[], others])
    expect(await resolve(granted, method, params)).toMatchObject({
      kind: "refusal",
      code: "scope_insufficient",
      scopes: [needed],
    });
});

test.each(CASES)("%s of %j carries why its caller may", async (method, params, needed) => {
  expect(await resolve([needed], method, params)).toMatchObject({
    access: { allowed: true, reason: "granted", permission: needed, by: needed },
  });
  expect(await resolve(["*:*"], method, params)).toMatchObject({
    access: { allowed: true, reason: "wildcard", permission: needed, by: "*:*" },
  });
});

test("what needs no permission says so, as do lists and what the arguments stopped", async () => {
  const notRequired = { access: { allowed: true, reason: "not_required" } };
  for (const method of ["tools/list", "resources/list", "prompts/list", "server/discover"] as const)
    expect(await resolve([], method)).toMatchObject(notRequired);
  expect(await resolve([], "tools/call", { name: "hours", arguments: {} })).toMatchObject(notRequired);
  expect(
    await resolve(["tickets:write"], "tools/call", { name: "close", arguments: { x: 1 } }),
  ).toMatchObject({
    answer: { outcome: "tool_error" },
    access: { reason: "granted", by: "tickets:write" },
  });
});
