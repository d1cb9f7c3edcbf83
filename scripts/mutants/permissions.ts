import type { Mutant } from "./mutant.ts";

/** Who may do what. */
export const permissions: readonly Mutant[] = [
  {
    name: "a wildcard covers admin",
    file: "src/identity/access-policy.ts",
    from: "if (required === ADMIN_PERMISSION || !isPermission(required)) return denied;",
    to: "if (!isPermission(required)) return denied;",
    tests: ["test/identity/access-policy.test.ts"],
  },
  {
    name: "a wildcard covers any number of segments",
    file: "src/identity/access-policy.ts",
    from: "a.length === b.length && a.every(",
    to: "a.every(",
    tests: ["test/identity/access-policy.test.ts"],
  },
  {
    name: "segments match by prefix",
    file: "src/identity/access-policy.ts",
    from: "(segment, i) => segment === b[i] ||",
    to: "(segment, i) => b[i]?.startsWith(segment) ||",
    tests: ["test/identity/access-policy.test.ts"],
  },
  {
    name: "the hierarchy is read backwards",
    file: "src/identity/access-policy.ts",
    from: "({ by: segmentsOf(key), implied: segmentsOf(value) })",
    to: "({ by: segmentsOf(value), implied: segmentsOf(key) })",
    tests: ["test/identity/access-policy.test.ts"],
  },
  {
    name: "the hierarchy may imply admin",
    file: "src/core/permission.ts",
    from: 'if (text === ADMIN_PERMISSION || text === "*")',
    to: 'if (text === "")',
    tests: ["test/catalog/compile-catalog.test.ts"],
  },
  {
    name: "a tool is called without its permission",
    file: "src/protocol/operations.ts",
    from: "const access = policy.decide(granted, tool.definition.requires);",
    to: 'const access = policy.decide(new Set(["admin"]), tool.definition.requires);',
    tests: ["test/protocol/permission-of-operations.test.ts"],
  },
  {
    name: "a resource is read without its permission",
    file: "src/protocol/operations.ts",
    from: "const access = policy.decide(granted, found.resource.definition.requires);",
    to: 'const access = policy.decide(new Set(["admin"]), found.resource.definition.requires);',
    tests: ["test/protocol/permission-of-operations.test.ts"],
  },
  {
    name: "a prompt is had without its permission",
    file: "src/protocol/operations.ts",
    from: "const access = policy.decide(granted, prompt.definition.requires);",
    to: 'const access = policy.decide(new Set(["admin"]), prompt.definition.requires);',
    tests: ["test/protocol/permission-of-operations.test.ts"],
  },
  {
    name: "the outcome does not say why the caller was let in",
    file: "src/observe/audit-facts.ts",
    from: "details: event.notes === null ? { access: event.access } : { access: event.access, notes: event.notes },",
    to: "details: { notes: event.notes },",
    tests: ["test/observe/what-operations-leave.test.ts"],
  },
  {
    name: "an administrator is told of other tenants' tools",
    file: "src/admin/explain-access.ts",
    from: 'asker === "tenant" ? asTenantsAreTold(found.because) : found.because',
    to: "found.because",
    tests: ["test/admin/explain-access.test.ts"],
  },
  {
    name: "roles of another issuer's subject count",
    file: "src/admin/explain-access.ts",
    from: "trusted.has(issuer)\n      ? issuer\n",
    to: "trusted.has(issuer)\n      ? ([...trusted][0] ?? issuer)\n",
    tests: ["test/admin/explain-access.test.ts"],
  },
];
