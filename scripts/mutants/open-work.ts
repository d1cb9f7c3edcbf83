import type { Mutant } from "./mutant.ts";

/** Streams and calls under way. */
export const openWork: readonly Mutant[] = [
  {
    name: "a change is told to everybody's streams",
    file: "src/protocol/change-streams.ts",
    from: "open.get(snapshot.id)?.streams ?? []",
    to: "[...open.values()].flatMap((each) => [...each.streams])",
    tests: ["test/protocol/change-streams.test.ts"],
  },
  {
    name: "a stream outlives its token",
    file: "src/protocol/change-streams.ts",
    from: "if (now >= stream.expiresAt)",
    to: "if (now >= stream.expiresAt + 60_000)",
    tests: ["test/protocol/change-streams.test.ts"],
  },
  {
    name: "streams have no bound",
    file: "src/protocol/change-streams.ts",
    from: "if (own.streams.size >= maxOfTenant)",
    to: "if (own.streams.size >= Number.POSITIVE_INFINITY)",
    tests: ["test/protocol/change-streams.test.ts"],
  },
  {
    name: "a check ends other tenants' work",
    file: "src/protocol/open-work.ts",
    from: "for (const work of byTenant.get(tenantId) ?? []) {",
    to: "for (const work of [...byTenant.values()].flatMap((works) => [...works])) {",
    tests: ["test/protocol/open-work.test.ts"],
  },
  {
    name: "work goes on without its credential",
    file: "src/protocol/open-work.ts",
    from: "if (snapshot === null || !stillHolds(snapshot, work.caller))",
    to: "if (snapshot === null)",
    tests: ["test/protocol/open-work.test.ts"],
  },
  {
    name: "a stream is opened under the old configuration",
    file: "src/protocol/listen-operation.ts",
    from: "if (snapshot === null || !options.stillHolds(snapshot, caller))",
    to: "if (snapshot === null)",
    tests: ["test/protocol/listen-operation.test.ts"],
  },
  {
    name: "a running call is not told that its credential ended",
    file: "src/protocol/operation-runner.ts",
    from: "work.onEnd((why) => this.#stop(why));",
    to: "",
    tests: ["test/protocol/open-work.test.ts", "test/pipeline/open-streams.test.ts"],
  },
  {
    name: "a body is looked at after its credential ended",
    file: "src/pipeline.ts",
    from: "if (of.work.ended !== null) return refuseMessage(of.work.ended, { bodyRead: true });",
    to: "",
    tests: ["test/pipeline/open-streams.test.ts"],
  },
  {
    name: "memory grows with a reader that stopped",
    file: "src/protocol/event-stream.ts",
    from: "if (this.#res.writableLength > MAX_WAITING) {",
    to: "if (this.#res.writableLength < 0) {",
    tests: ["test/protocol/change-streams.test.ts"],
  },
  {
    name: "a failed look at a changed tenant is not repeated",
    file: "src/protocol/configuration-follower.ts",
    from: "failed.add(tenantId);",
    to: "",
    tests: ["test/protocol/configuration-follower.test.ts"],
  },
];
