import { McpServer, ResourceTemplate } from "@modelcontextprotocol/sdk/server/mcp.js";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type AdoptOptions, adoptSdkServer } from "../../src/catalog/adopt-sdk-server.ts";
import type { SdkServer, SdkServerFactory } from "../../src/catalog/sdk-server.ts";
import { currentTenant } from "../../src/tenancy/tenant-context.ts";

afterEach(() => {
  vi.useRealTimers();
});

function build(): McpServer {
  const server = new McpServer({ name: "test", version: "1" });
  server.registerTool("one", { inputSchema: {} }, () => ({ content: [] }));
  return server;
}

const adopting = (factory: unknown, options: unknown = {}) =>
  adoptSdkServer(factory as SdkServerFactory, options as AdoptOptions);

describe("a factory is refused", () => {
  test.each([
    ["that is a server object", build(), "takes the function"],
    ["that is not there", undefined, "takes the function"],
    ["that gives nothing", () => undefined, "gave nothing with the methods connect and close"],
    ["that gives something else", () => ({ connect: "yes" }), "gave nothing with the methods"],
  ])("%s", async (_what, factory, detail) => {
    await expect(adopting(factory)).rejects.toMatchObject({
      code: "server_invalid",
      detail: expect.stringContaining(detail),
    });
  });

  test("that asks for a tenant, or whose lists do", async () => {
    const asks = adopting(() => {
      currentTenant();
      return build();
    });
    const remedy = expect.stringContaining("do without currentTenant()");
    await expect(asks).rejects.toMatchObject({ code: "module_failed", remedy });
    const lists = adopting(() => {
      const server = build();
      const list = () => ({ resources: [{ uri: "a://b", name: currentTenant().tenant.slug }] });
      server.registerResource("b", new ResourceTemplate("a://{b}", { list }), {}, () => ({ contents: [] }));
      return server;
    });
    await expect(lists).rejects.toMatchObject({ code: "module_failed", remedy });
  });

  test("that fails, with what it throws itself", async () => {
    const why = new TypeError("It has no key.");
    await expect(adopting(() => Promise.reject(why))).rejects.toBe(why);
  });

  const deaf: SdkServer = { connect: () => new Promise(() => {}), close: async () => {} };
  test.each([
    ["that never ends", () => new Promise(() => {})],
    ["whose server object is never connected", () => deaf],
  ])("%s, after half a minute", async (_what, factory) => {
    vi.useFakeTimers();
    const refused = expect(adopting(factory)).rejects.toMatchObject({
      code: "module_failed",
      detail: "The adopted server did not say what it has within 30 seconds.",
    });
    await vi.advanceTimersByTimeAsync(30_000);
    await refused;
  });
});

describe("an option that would close nothing is refused", () => {
  test.each([
    ["of no such name", { require: { one: "a:b" } }, 'adoptSdkServer has no option "require".'],
    ["that is a text", { requires: "a:b" }, "requires is neither a record by name nor a function."],
    ["that is a list", { tenants: ["acme"] }, "tenants is neither a record by name nor a function."],
    [
      "without its value",
      { requires: { one: undefined } },
      'requires has a value for "one" that it cannot have.',
    ],
    ["with an empty value", { toolSet: { one: "" } }, 'toolSet has a value for "one" that it cannot have.'],
    ["of another type", { readOnly: { one: "yes" } }, 'readOnly has a value for "one" that it cannot have.'],
    [
      "that promises one",
      { requires: async () => "a:b" },
      'requires has a value for "one" that it cannot have.',
    ],
  ])("%s", async (_what, options, detail) => {
    await expect(adopting(build, options)).rejects.toMatchObject({ code: "server_invalid", detail });
  });
});
