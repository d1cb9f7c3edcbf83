import type { Mutant } from "./mutant.ts";

/** The way of a request. */
export const pipeline: readonly Mutant[] = [
  {
    name: "a context outlives its call",
    file: "src/protocol/operation-runner.ts",
    from: "controller.abort(over);",
    to: "",
    tests: ["test/pipeline/end-of-a-call.test.ts"],
  },
  {
    name: "a suspended tenant is served",
    file: "src/pipeline.ts",
    from: 'snapshot.status === "suspended"',
    to: "false",
    tests: ["test/pipeline/status-codes.test.ts"],
  },
  {
    name: "no intent is written before a change",
    file: "src/pipeline.ts",
    from: "await recorded(rooms.audit.commit(intent), false)",
    to: "await recorded(Promise.resolve(), false)",
    tests: ["test/pipeline/one-call-one-event.test.ts"],
  },
  {
    name: "the outcome is not waited for before the answer",
    file: "src/pipeline.ts",
    from: "await recorded(rooms.audit.commit(outcomeFacts(event)), true)",
    to: "await recorded(Promise.resolve(), true)",
    tests: ["test/pipeline/one-call-one-event.test.ts"],
  },
  {
    name: "a foreign Host or Origin is served",
    file: "src/dispatch.ts",
    from: "if (refused !== null) {",
    to: "if (refused !== null && target === '') {",
    tests: ["test/pipeline/status-codes.test.ts"],
  },
  {
    name: "all tenants share one rate",
    file: "src/limits/tenant-rate-limiter.ts",
    from: "let entry = buckets.get(tenantId);",
    to: 'tenantId = "all" as TenantId;\n    let entry = buckets.get(tenantId);',
    tests: ["test/limits/token-bucket.test.ts", "test/pipeline/limits.test.ts"],
  },
  {
    name: "the rate is not looked at before the body",
    file: "src/pipeline.ts",
    from: "if (early !== null)",
    to: "if (false)",
    tests: ["test/pipeline/limits.test.ts"],
  },
];
