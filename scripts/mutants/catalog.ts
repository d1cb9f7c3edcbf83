import type { Mutant } from "./mutant.ts";

/** What a tenant sees. */
export const catalog: readonly Mutant[] = [
  {
    name: "a tool for one tenant is there for all",
    file: "src/catalog/tenant-view.ts",
    from: "(tenants === undefined || tenants.includes(snapshot.slug))",
    to: "(tenants === undefined || tenants.length > 0)",
    tests: ["test/pipeline/official-client.test.ts"],
  },
  {
    name: "a tool set is there for every plan",
    file: "src/catalog/tenant-view.ts",
    from: "(toolSet === undefined || snapshot.toolSets.has(toolSet))",
    to: "(toolSet === undefined || toolSet !== '')",
    tests: ["test/pipeline/official-client.test.ts"],
  },
  {
    name: "lists are kept without regard to who asks",
    file: "src/catalog/tenant-view.ts",
    from: "catalog.permissions.filter((permission) => permits(granted, permission))",
    to: "catalog.permissions.filter(() => true)",
    tests: ["test/pipeline/status-codes.test.ts"],
  },
  {
    name: "a handler's _meta stands in its result a second time, unfiltered",
    file: "src/protocol/shape.ts",
    from: "if (revision === CURRENT && result._meta === undefined) return result;",
    to: "if (revision === CURRENT) return result;",
    tests: ["test/protocol/result-meta.test.ts"],
  },
  {
    name: "a handler speaks in the protocol's names",
    file: "src/protocol/performed.ts",
    from: ".filter(([name]) => !name.startsWith(RESERVED))",
    to: "",
    tests: ["test/protocol/result-meta.test.ts"],
  },
  {
    name: "a _meta of which JSON has nothing breaks the answer",
    file: "src/protocol/performed.ts",
    from: "membersOf(Object.fromEntries(own)) || null",
    to: "membersOf(Object.fromEntries(own))",
    tests: ["test/protocol/result-meta.test.ts"],
  },
  {
    name: "members that a handler invented become members of the result",
    file: "src/catalog/results.ts",
    from: "return isToolResult(value) ? wholeResult(value) : structuredResult(value);",
    to: "return isToolResult(value) ? value : structuredResult(value);",
    tests: ["test/protocol/result-meta.test.ts"],
  },
];
