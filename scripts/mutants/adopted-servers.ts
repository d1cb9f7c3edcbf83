import type { Mutant } from "./mutant.ts";

const UNIT = ["test/protocol/parked-calls.test.ts"];
const SDK = ["test/adopted/sdk-call.test.ts"];

/** Servers written with the official SDK, and calls that are parked. */
export const adoptedServers: readonly Mutant[] = [
  {
    name: "a parked call is whoever's who knows its id",
    file: "src/protocol/parked-calls.ts",
    from: "if (found?.tenantId !== owner.tenantId || found.principal !== owner.principal) return null;",
    to: "if (found === undefined) return null;",
    tests: UNIT,
  },
  {
    name: "a tenant parks as many calls as all together may",
    file: "src/protocol/parked-calls.ts",
    from: "parked.size >= inAll || (counts.get(tenantId) ?? 0) >= ofTenant",
    to: "parked.size >= inAll",
    tests: UNIT,
  },
  {
    name: "there is no bound for all parked calls",
    file: "src/protocol/parked-calls.ts",
    from: "parked.size >= inAll ||",
    to: "",
    tests: UNIT,
  },
  {
    name: "a parked call that nobody comes for lives on",
    file: "src/protocol/parked-calls.ts",
    from: "setTimeout(() => remove(held.id)?.call.end(), parkedMs)",
    to: "setTimeout(() => remove(held.id), parkedMs)",
    tests: UNIT,
  },
  {
    name: "a parked handler keeps the context of a request that is over",
    file: "src/protocol/parked-call.ts",
    from: "    // What the handler does until the next request is of no tenant.\n    this.#ctx = null;",
    to: "",
    tests: UNIT,
  },
  {
    name: "a call goes on although its caller has left",
    file: "src/protocol/parked-call.ts",
    from: 'signal.addEventListener("abort", end);',
    to: "",
    tests: ["test/adopted/parked-calls.test.ts"],
  },
  {
    name: "a call is answered by what is said for another tenant",
    file: "src/protocol/calls-elsewhere.ts",
    from: "if (waiter?.tenantId === tenantId) waiter.tell(said);",
    to: "waiter?.tell(said);",
    tests: UNIT,
  },
  {
    name: "another tenant's word ends a call",
    file: "src/protocol/calls-elsewhere.ts",
    from: 'said.kind === "left" && held?.owner.tenantId === tenantId',
    to: 'said.kind === "left" && held !== undefined',
    tests: UNIT,
  },
  {
    name: "a call for another instance has no time limit",
    file: "src/protocol/calls-elsewhere.ts",
    from: "limitMs === null ? null : setTimeout(() => call.end(), limitMs).unref()",
    to: "limitMs === null ? null : setTimeout(() => {}, limitMs).unref()",
    tests: UNIT,
  },
  {
    name: "a server object is not closed after its call",
    file: "src/catalog/sdk-call.ts",
    from: "await conversation.close();",
    to: "",
    tests: SDK,
  },
  {
    name: "a handler is not told that its call is over",
    file: "src/catalog/sdk-conversation.ts",
    from: 'signal.addEventListener("abort", cancel);',
    to: "",
    tests: SDK,
  },
  {
    name: "a misspelt name leaves open what it was to close",
    file: "src/catalog/adopt-sdk-server.ts",
    from: "  read.end();\n",
    to: "",
    tests: SDK,
  },
  {
    name: "a handler speaks in the server's name",
    file: "src/protocol/performed.ts",
    from: "!name.startsWith(RESERVED)",
    to: "true",
    tests: ["test/protocol/result-meta.test.ts"],
  },
  {
    name: "a factory may give one server object for all",
    file: "src/catalog/adopt-sdk-server.ts",
    from: "if (used.has(server))",
    to: "if (used.has({ ...server }))",
    tests: SDK,
  },
];
