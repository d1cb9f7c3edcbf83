import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { compileCatalog } from "../../src/catalog/catalog.ts";
import {
  defineTool,
  type ServerDefinition,
  type ToolDefinition,
  type Visibility,
} from "../../src/catalog/define.ts";
import { createTenantViews, type ListKind, type TenantView } from "../../src/catalog/tenant-view.ts";
import { isRefusal } from "../../src/core/refusal.ts";
import { createAccessPolicy } from "../../src/identity/access-policy.ts";
import type { TenantSnapshot } from "../../src/tenancy/tenant-snapshot.ts";
import { tenantSnapshot } from "../support/tenant-snapshot.ts";

// A library's schema: a raw one would need a validator for each of the hundreds of catalogs here.
const input = z.object({});
const tool = (name: string, visibility: Visibility = {}): ToolDefinition =>
  defineTool({ name, description: `Does ${name}.`, input, run: () => name, ...visibility });

/** Views of a server, what was told of cut ones, and how often a permission was decided. */
function viewsOf(parts: Partial<ServerDefinition>) {
  const cuts: string[] = [];
  let decided = 0;
  const catalog = compileCatalog({ name: "shop", version: "1", ...parts });
  const policy = createAccessPolicy(catalog.hierarchy, catalog.permissions);
  const views = createTenantViews({
    catalog,
    permits(granted, required) {
      decided++;
      return policy.decide(granted, required).allowed;
    },
    onCut: (snapshot, what, defined, limit) => cuts.push(`${snapshot.slug}: ${limit} of ${defined} ${what}`),
  });
  return {
    views,
    cuts,
    decisionsOf(work: () => void): number {
      const before = decided;
      work();
      return decided - before;
    },
  };
}

/** Every name on every page, and how many pages there were. */
function walk(view: TenantView, kind: ListKind, granted: readonly string[]) {
  const names: string[] = [];
  const sizes: number[] = [];
  let cursor: string | undefined;
  do {
    const members = view.list(kind, { granted: new Set(granted), generation: "current" }, cursor);
    if (isRefusal(members)) throw new TypeError(members.code);
    const page = JSON.parse(`{${members}}`) as Record<string, unknown>;
    expect([page.ttlMs, page.cacheScope]).toEqual([5_000, "private"]);
    const entries = page[kind] as { name: string }[];
    names.push(...entries.map((entry) => entry.name));
    sizes.push(entries.length);
    cursor = page.nextCursor as string | undefined;
  } while (cursor !== undefined);
  return { names, sizes };
}

const unlimited = { limits: { maxTools: null, maxResources: null } };

describe("what a tenant has", () => {
  const { views } = viewsOf({
    tools: [
      tool("for_all"),
      tool("for_acme", { tenants: ["acme"] }),
      tool("for_both", { tenants: ["acme", "globex"] }),
      tool("for_nobody", { tenants: [] }),
      tool("in_set", { toolSet: "extra" }),
      tool("in_set_of_acme", { toolSet: "extra", tenants: ["acme"] }),
    ],
    resources: [
      { uri: "shop://all", name: "all", read: () => "" },
      { uri: "shop://acme", name: "acme", tenants: ["acme"], read: () => "" },
      { uri: "shop://all/{id}", name: "template", read: () => "" },
      { uri: "shop://extra/{id}", name: "extra", toolSet: "extra", read: () => "" },
    ],
    prompts: [
      { name: "all", get: () => "" },
      { name: "globex", tenants: ["globex"], get: () => "" },
    ],
  });
  const acme = views.of(tenantSnapshot("acme"));
  const globex = views.of(tenantSnapshot("globex", { toolSets: new Set(["extra"]) }));
  const other = views.of(tenantSnapshot("acm", { toolSets: new Set(["Extra"]) }));

  test("is decided by its slug and by the tool sets of its plan, for every kind of entry", () => {
    const all = (view: TenantView) =>
      (["tools", "resources", "resourceTemplates", "prompts"] as const).map(
        (kind) => walk(view, kind, []).names,
      );
    expect(all(acme)).toEqual([["for_all", "for_acme", "for_both"], ["all", "acme"], ["template"], ["all"]]);
    expect(all(globex)).toEqual([
      ["for_all", "for_both", "in_set"],
      ["all"],
      ["template", "extra"],
      ["all", "globex"],
    ]);
    expect(all(other)).toEqual([["for_all"], ["all"], ["template"], ["all"]]);
  });

  test("is all that can be found by name", () => {
    expect(acme.tool("for_acme")?.definition.name).toBe("for_acme");
    expect(globex.tool("for_acme")).toBeNull();
    expect(acme.tool("in_set_of_acme")).toBeNull();
    expect(acme.resource("shop://acme")?.resource.definition.name).toBe("acme");
    expect(globex.resource("shop://acme")).toBeNull();
    expect(acme.resource("shop://extra/1")).toBeNull();
    expect(globex.resource("shop://extra/1")?.variables).toEqual({ id: "1" });
    expect(acme.prompt("globex")).toBeNull();
    expect(globex.prompt("globex")?.definition.name).toBe("globex");
    for (const name of ["__proto__", "constructor", "toString", ""]) {
      expect([acme.tool(name), acme.prompt(name), acme.resource(name)]).toEqual([null, null, null]);
    }
  });
});

describe("why a tenant does not have an entry", () => {
  const { views } = viewsOf({
    tools: [
      tool("first", { requires: "a:read" }),
      tool("paid", { toolSet: "extra" }),
      tool("theirs", { tenants: ["globex"], toolSet: "extra" }),
      tool("second"),
      tool("third"),
    ],
    resources: [
      { uri: "shop://fixed", name: "fixed", requires: "b:read", read: () => "" },
      { uri: "shop://item/{id}", name: "item", requires: "c:read", read: () => "" },
      { uri: "shop://extra/{id}", name: "extra", toolSet: "extra", read: () => "" },
    ],
    prompts: [
      { name: "greet", requires: "d:read", get: () => "" },
      { name: "insult", tenants: ["globex"], get: () => "" },
    ],
  });
  const view = views.of(tenantSnapshot("acme", { limits: { maxTools: 2, maxResources: null } }));

  test.each([
    ["tool", "first", { has: true, requires: "a:read" }],
    ["tool", "second", { has: true, requires: undefined }],
    ["tool", "paid", { has: false, because: "tool_set_off" }],
    ["tool", "theirs", { has: false, because: "other_tenants" }],
    ["tool", "third", { has: false, because: "over_limit" }],
    ["tool", "greet", { has: false, because: "unknown" }],
    ["tool", "constructor", { has: false, because: "unknown" }],
    ["resource", "shop://fixed", { has: true, requires: "b:read" }],
    ["resource", "shop://item/7", { has: true, requires: "c:read" }],
    ["resource", "shop://item/{id}", { has: true, requires: "c:read" }],
    ["resource", "shop://extra/{id}", { has: false, because: "tool_set_off" }],
    ["resource", "shop://extra/7", { has: false, because: "tool_set_off" }],
    ["resource", "item", { has: false, because: "unknown" }],
    ["prompt", "greet", { has: true, requires: "d:read" }],
    ["prompt", "insult", { has: false, because: "other_tenants" }],
    ["prompt", "first", { has: false, because: "unknown" }],
  ] as const)("is told of the %s %s", (kind, name, expected) => {
    expect(view.presence({ kind, name })).toEqual(expected);
    // Whoever calls is told no more than that there is none.
    const found = { tool: view.tool(name), resource: view.resource(name), prompt: view.prompt(name) }[kind];
    if (name !== "shop://item/{id}") expect(found !== null).toBe(expected.has);
  });
});

describe("pages", () => {
  const many = Array.from({ length: 450 }, (_, i) => tool(`tool_${i}`));
  const { views, cuts } = viewsOf({
    tools: many,
    resources: Array.from({ length: 401 }, (_, i) => ({
      uri: `shop://${i}`,
      name: `r${i}`,
      read: () => "",
    })),
  });
  const view = views.of(tenantSnapshot("acme", unlimited));

  test("show each of 450 tools exactly once, in the order of the module", () => {
    const { names, sizes } = walk(view, "tools", []);
    expect(sizes).toEqual([200, 200, 50]);
    expect(names).toEqual(many.map((entry) => entry.name));
    expect(walk(view, "resources", []).sizes).toEqual([200, 200, 1]);
    expect(walk(view, "prompts", [])).toEqual({ names: [], sizes: [0] });
    expect(cuts).toEqual([]);
  });

  test("there are only as many as there are: any other cursor is refused", () => {
    const cursor = (text: string) => Buffer.from(text).toString("base64url");
    for (const bad of [
      "",
      "x",
      cursor("page 0"),
      cursor("page 3"),
      cursor("page 1.5"),
      cursor("page -1"),
      cursor("page 01"),
      cursor(" page 1"),
      cursor("page 1\n"),
      cursor("page 99999999999999999999"),
      "A".repeat(100_000),
    ]) {
      expect(view.list("tools", { granted: new Set(), generation: "current" }, bad)).toMatchObject({
        kind: "refusal",
        code: "cursor_invalid",
      });
    }
  });

  test("a limit cuts the same first ones and tells the operator of it once", () => {
    const snapshot = tenantSnapshot("globex", { limits: { maxTools: 201, maxResources: 0 } });
    const cut = views.of(snapshot);
    expect(walk(cut, "tools", [])).toEqual({
      names: many.slice(0, 201).map((entry) => entry.name),
      sizes: [200, 1],
    });
    expect(walk(cut, "resources", []).names).toEqual([]);
    expect([cut.tool("tool_200") === null, cut.tool("tool_201") === null]).toEqual([false, true]);
    expect(views.of(snapshot)).toBe(cut);
    expect(cuts).toEqual(["globex: 201 of 450 tools", "globex: 0 of 401 resources"]);
  });
});

describe("lists", () => {
  const SCOPES = ["a:read", "a:write", "b:read", "a", "read"];
  const SLUGS = ["acme", "globex"];
  const SETS = ["one", "two"];
  const optional = <T>(from: fc.Arbitrary<T>) => fc.option(from, { nil: undefined });
  const entry = fc.record({
    requires: optional(fc.constantFrom(...SCOPES)),
    toolSet: optional(fc.constantFrom(...SETS)),
    tenants: optional(fc.subarray(SLUGS)),
  });
  const caller = fc.record({
    tenant: fc.nat(2),
    granted: fc.subarray([...SCOPES, "admin", "c:unrelated"]),
  });

  test("hold what the rules say for this caller, whoever asked before", () => {
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 30 }),
        fc.array(caller, { minLength: 1, maxLength: 40 }),
        (entries, callers) => {
          const { views } = viewsOf({
            tools: entries.map((visibility, i) =>
              tool(
                `tool_${i}`,
                Object.fromEntries(Object.entries(visibility).filter(([, value]) => value !== undefined)),
              ),
            ),
          });
          const tenants: TenantSnapshot[] = [
            tenantSnapshot("acme", { toolSets: new Set(["one"]) }),
            tenantSnapshot("globex", { toolSets: new Set(["one", "two"]) }),
            tenantSnapshot("initech"),
          ];
          for (const { tenant, granted } of callers) {
            const snapshot = tenants[tenant];
            if (snapshot === undefined) continue;
            const expected = entries.flatMap(({ requires, toolSet, tenants }, i) =>
              (requires === undefined ||
                [requires, requires.replace(":read", ":write"), "admin"].some((one) =>
                  granted.includes(one),
                )) &&
              (toolSet === undefined || snapshot.toolSets.has(toolSet)) &&
              (tenants === undefined || tenants.includes(snapshot.slug))
                ? [`tool_${i}`]
                : [],
            );
            expect(walk(views.of(snapshot), "tools", granted).names).toEqual(expected);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  test("follow a new version of the configuration, which is a new snapshot", () => {
    const { views } = viewsOf({ tools: [tool("plain"), tool("paid", { toolSet: "paid" })] });
    const before = tenantSnapshot("acme");
    const after: TenantSnapshot = { ...before, toolSets: new Set(["paid"]), version: 2 };
    expect(walk(views.of(before), "tools", []).names).toEqual(["plain"]);
    expect(walk(views.of(after), "tools", []).names).toEqual(["plain", "paid"]);
    expect(walk(views.of(before), "tools", []).names).toEqual(["plain"]);
  });

  test("are kept for 64 sets of permissions, and the oldest goes", () => {
    const scopes = Array.from({ length: 7 }, (_, i) => `s${i}`);
    const { views, decisionsOf } = viewsOf({
      tools: scopes.map((scope) => tool(scope, { requires: scope })),
    });
    const view = views.of(tenantSnapshot("acme"));
    const ask = (bits: number, more: string[] = []) =>
      decisionsOf(() => {
        const granted = new Set([...scopes.filter((_, i) => (bits & (1 << i)) !== 0), ...more]);
        const members = view.list("tools", { granted, generation: "current" }, undefined);
        if (isRefusal(members)) throw new TypeError(members.code);
        const { tools } = JSON.parse(`{${members}}`) as { tools: { name: string }[] };
        expect(tools.map((found) => found.name)).toEqual(scopes.filter((scope) => granted.has(scope)));
      });
    // Seven decisions find a list that is kept; seven more build one.
    for (let bits = 0; bits < 64; bits++) expect(ask(bits)).toBe(14);
    for (let bits = 0; bits < 64; bits++) expect(ask(bits)).toBe(7);
    expect(ask(64)).toBe(14);
    expect([ask(63), ask(64), ask(1)]).toEqual([7, 7, 7]);
    expect(ask(0)).toBe(14);
    // Permissions that no entry asks for make no list of their own.
    for (let i = 0; i < 1_000; i++) expect(ask(2, [`unrelated:${i}`])).toBe(7);
  });
});
