import type { Mutant } from "./mutant.ts";

const CONNECTION = "test/pipeline/local-connection.test.ts";

/** Clients that start the server themselves. */
export const stdio: readonly Mutant[] = [
  {
    name: "stdio: a line has no bound",
    file: "src/protocol/stdio/line-reader.ts",
    from: "if (length > limit) {",
    to: "if (length > limit + 1_000_000) {",
    tests: ["test/protocol/stdio/line-reader.test.ts"],
  },
  {
    name: "stdio: rates do not count",
    file: "src/local-request.ts",
    from: 'request.method === "ping" ? null : rates.consume(snapshot.id, snapshot.limits);',
    to: "null;",
    tests: [CONNECTION],
  },
  {
    name: "stdio: a cancelled request is answered",
    file: "src/protocol/stdio/line-reply.ts",
    from: "if (!this.#gone) this.deliver(text);",
    to: "this.deliver(text);",
    tests: [CONNECTION],
  },
  {
    name: "stdio: an id is used twice at once",
    file: "src/local-connection.ts",
    from: "if (this.#inFlight.has(id) || this.#listening.has(id)) {",
    to: "if (false) {",
    tests: [CONNECTION],
  },
  {
    name: "stdio: a cancelled stream goes on",
    file: "src/local-connection.ts",
    from: "this.#listening.get(id)?.destroy();",
    to: "",
    tests: [CONNECTION],
  },
  {
    name: "stdio: a suspended tenant keeps its connection",
    file: "src/local-connection.ts",
    from: "this.#work.onEnd((why) => void this.#serviceEnds(why));",
    to: "",
    tests: [CONNECTION],
  },
  {
    name: "stdio: the permissions that were given are ignored",
    file: "src/local-connection.ts",
    from: "const granted = permissions ?? this.#rooms.permissionsOf(snapshot, subject);",
    to: "const granted = this.#rooms.permissionsOf(snapshot, subject);",
    tests: [CONNECTION],
  },
  {
    name: "stdio: an input that is gone is waited for",
    file: "src/local-connection.ts",
    from: 'input.once("close", () => void this.#end(null, GRACE_MS));',
    to: "",
    tests: [CONNECTION],
  },
  {
    name: "stdio: a session that could not be made again is given up",
    file: "src/local-session.ts",
    from: "if (renewed === null || isRefusal(renewed)) this.#session = Promise.resolve(gone);",
    to: "",
    tests: [CONNECTION],
  },
  {
    name: "stdio: each request that finds its session gone makes one",
    file: "src/local-session.ts",
    from: "if (this.#session === begun) this.#session = this.#renew(this.#lastSeen ?? session);",
    to: "this.#session = this.#renew(this.#lastSeen ?? session);",
    tests: [CONNECTION],
  },
  {
    name: "stdio: a session that is made again has lost what its client had set",
    file: "src/local-session.ts",
    from: "this.#renew(this.#lastSeen ?? session)",
    to: "this.#renew(session)",
    tests: [CONNECTION],
  },
  {
    name: "stdio: answers gather for a client that reads nothing",
    file: "src/protocol/stdio/line-writer.ts",
    from: "if (this.#output.writableLength > MAX_HELD) {",
    to: "if (false) {",
    tests: ["test/protocol/stdio/line-writer.test.ts"],
  },
  {
    name: "stdio: progress gathers for a client that reads slowly",
    file: "src/protocol/stdio/line-writer.ts",
    from: "if (this.#output.writableLength <= MAX_WAITING) this.send(json);",
    to: "this.send(json);",
    tests: ["test/protocol/stdio/line-writer.test.ts"],
  },
];
