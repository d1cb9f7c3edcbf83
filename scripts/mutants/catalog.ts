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
];
