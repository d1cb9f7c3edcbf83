import type { Mutant } from "./mutant.ts";

/** What stays of a credential. */
export const traces: readonly Mutant[] = [
  {
    name: "the operator token stays in memory",
    file: "src/server.ts",
    from: "{ ...instanceOptions, privateHosts }",
    to: "{ ...options, privateHosts }",
    tests: ["test/pipeline/no-token-leaves.test.ts"],
  },
  {
    name: "a slug keeps its URL in memory",
    file: "src/tenancy/configuration-cache.ts",
    from: "return Buffer.from(text).toString();",
    to: "return text;",
    tests: ["test/pipeline/no-token-leaves.test.ts"],
  },
  {
    name: "remembered tokens are kept as they are",
    file: "src/identity/verified-token-cache.ts",
    from: 'return hash("sha256", token, "base64");',
    to: 'return hash("sha256", token, "base64") + token;',
    tests: ["test/pipeline/no-token-leaves.test.ts"],
  },
  {
    name: "introspected tokens are kept as they are",
    file: "src/identity/introspection.ts",
    from: 'return hash("sha256", JSON.stringify([tenantId, registration, audience, tenantOf, token]), "base64");',
    to: "return JSON.stringify([tenantId, registration, audience, tenantOf, token]);",
    tests: ["test/pipeline/no-token-leaves.test.ts"],
  },
  {
    name: "a cause has the token in it",
    file: "src/identity/token-verifier.ts",
    from: 'return invalid("the signature does not match");',
    to: "return invalid(`the signature does not match: ${token}`);",
    tests: ["test/pipeline/no-token-leaves.test.ts"],
  },
  {
    name: "a tenant's connection keeps the context that opened it",
    file: "src/data/tenant-connections.ts",
    from: "await outside(() => client.connect());",
    to: "await client.connect();",
    tests: ["test/data/connection-context.test.ts"],
  },
  {
    name: "a system connection keeps the context that opened it",
    file: "src/data/system-door.ts",
    from: "await outside(connect, reason ===",
    to: "await connect(reason ===",
    tests: ["test/data/connection-context.test.ts"],
  },
];
