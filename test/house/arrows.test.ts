import { beforeAll, describe, expect, test } from "vitest";
import { checkTree } from "./check-tree.ts";

const MIDDLE = ["data", "identity", "limits", "catalog", "observe", "placement"];
const ROOMS = ["core", "tenancy", ...MIDDLE, "protocol", "admin", "cli"];
const ASSEMBLY = [
  "index",
  "server",
  "bulkhead-options",
  "instance",
  "dispatch",
  "development",
  "development-access",
  "pipeline",
  "version",
];

/** What a room may import beside itself, written out independently of the rules under test. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  core: [],
  tenancy: ["core"],
  ...Object.fromEntries(MIDDLE.map((room) => [room, ["core", "tenancy"]])),
  protocol: ["core", "tenancy", ...MIDDLE],
  admin: ["core", "tenancy", ...MIDDLE],
  cli: ROOMS,
};

const OWNERS: Readonly<Record<string, string>> = {
  pg: "data",
  jose: "identity",
  "oidc-provider": "identity",
  hono: "admin",
  "@hono/node-server": "admin",
  "@hono/zod-openapi": "admin",
  commander: "cli",
};

/** Files by path. */
type Files = Readonly<Record<string, string>>;

/** What the files of all tests import. */
const LEAVES: Files = Object.fromEntries(
  [...ROOMS.map((room) => `src/${room}`), "src/telemetry", "test", "bench", "examples", "examples/notes"].map(
    (folder) => [`${folder}/leaf.ts`, "export const leaf = 1;\nexport type Leaf = 1;\n"],
  ),
);

const BETWEEN_ROOMS: Files = Object.fromEntries(
  ROOMS.flatMap((from) =>
    ROOMS.map((to) => [`src/${from}/to-${to}.ts`, `export { leaf } from "../${to}/leaf.ts";\n`]),
  ),
);

const importsOfRooms = ROOMS.map((room) => `import "./${room}/leaf.ts";\n`).join("");
const WITH_THE_ASSEMBLY: Files = {
  ...Object.fromEntries(ASSEMBLY.map((name) => [`src/${name}.ts`, importsOfRooms])),
  "src/index.ts": `${importsOfRooms}import "./server.ts";\n`,
  "src/version.ts": `${importsOfRooms}import type { Pool } from "pg";\nexport type Same = Pool;\n`,
  ...Object.fromEntries(
    ["core", "data", "protocol", "cli"].map((room) => [
      `src/${room}/to-server.ts`,
      `import "../server.ts";\n`,
    ]),
  ),
};

const OTHER_IMPORTS: Files = {
  "src/core/by-type.ts": `import type { Leaf } from "../data/leaf.ts";\nexport type Same = Leaf;\n`,
  "src/core/inline.ts": `export type Same = import("../data/leaf.ts").Leaf;\n`,
  "src/core/late.ts": `export const late = () => import("../data/leaf.ts");\n`,
};

const UNKNOWN_ROOM: Files = {
  "src/extra.ts": `import "./core/leaf.ts";\n`,
  "src/telemetry/to-core.ts": `import "../core/leaf.ts";\n`,
  "src/cli/to-telemetry.ts": `import "../telemetry/leaf.ts";\n`,
};

function packageFile(room: string, name: string): string {
  return `src/${room}/${name.replace(/\W/g, "-")}.ts`;
}

const OWNED_PACKAGES: Files = Object.fromEntries(
  Object.keys(OWNERS).flatMap((name) =>
    ROOMS.map((room) => [packageFile(room, name), `import "${name}";\n`]),
  ),
);

const OUT_OF_SRC: Files = {
  "src/core/dev.ts": `import "vitest";\n`,
  "src/core/dev-type.ts": `import type { Express } from "express";\nexport type Same = Express;\n`,
  "src/core/node.ts": `import "node:crypto";\n`,
  "src/core/outside.ts": `import "../../test/leaf.ts";\nimport "../../bench/leaf.ts";\nimport "../../examples/leaf.ts";\n`,
  "test/dev.ts": `import "vitest";\n`,
};

const NOWHERE: Files = {
  "test/transitive.ts": `import "enhanced-resolve";\n`,
  "test/nowhere.ts": `import "./missing.ts";\nimport "no-such-package";\n`,
};

const EXAMPLES: Files = {
  "examples/notes/server.ts": `import "bulkhead-mcp";\nimport "zod";\nimport "./leaf.ts";\n`,
  "examples/notes/by-path.ts": `import "../../src/index.ts";\n`,
};

const CYCLES: Files = {
  "src/core/a.ts": `import "./b.ts";\n`,
  "src/core/b.ts": `import "./c.ts";\n`,
  "src/core/c.ts": `import "./a.ts";\n`,
  "src/core/d.ts": `import type { E } from "./e.ts";\nexport type D = E;\n`,
  "src/core/e.ts": `import type { D } from "./d.ts";\nexport type E = { readonly d?: D };\n`,
};

const PARTS = [
  ...[LEAVES, BETWEEN_ROOMS, WITH_THE_ASSEMBLY, OTHER_IMPORTS, UNKNOWN_ROOM],
  ...[OWNED_PACKAGES, OUT_OF_SRC, NOWHERE, EXAMPLES, CYCLES],
];

/** All findings, without their explanations, and with packages by name instead of by resolved file. */
let found: readonly string[];

/** One tree and one run for all tests: a run costs a second whatever its tree holds. */
beforeAll(async () => {
  const { status, lines } = await checkTree({ only: ["arrows"], files: Object.assign({}, ...PARTS) });
  expect(lines[0]).toMatch(/^FAILED arrows {2}(\d+) of \1 files/);
  expect(status).toBe(1);
  found = lines
    .filter((line) => / -> /.test(line))
    .map((line) => line.replace(/\S*node_modules\/(?:@types\/)?((?:@[^/]+\/)?[^/]+)\/\S*/, "$1"))
    .sort();
});

/** The findings in these files. */
function arrowsOf(files: Files): readonly string[] {
  return found.filter((finding) => Object.hasOwn(files, /: (\S+) -> /.exec(finding)?.[1] ?? ""));
}

test("every file belongs to one test, and every finding to a file of a test", () => {
  const paths = PARTS.flatMap((part) => Object.keys(part));
  expect(new Set(paths).size).toBe(paths.length);
  expect(arrowsOf(LEAVES)).toEqual([]);
  expect(PARTS.flatMap(arrowsOf).sort()).toEqual(found);
});

describe("the arrows between rooms", () => {
  test("every import against the arrows is found, and no import along them", () => {
    const expected = ROOMS.flatMap((from) =>
      ROOMS.filter((to) => from !== to && !ALLOWED[from]?.includes(to)).map(
        (to) => `arrow-${from}: src/${from}/to-${to}.ts -> src/${to}/leaf.ts`,
      ),
    );
    expect(expected).toHaveLength(71);
    expect(arrowsOf(BETWEEN_ROOMS)).toEqual(expected.sort());
  });

  test("the files at the root of src import every room but cli, each other, and no package of a room; of the rooms only cli imports them", () => {
    expect(arrowsOf(WITH_THE_ASSEMBLY)).toEqual(
      [
        ...ASSEMBLY.map((name) => `arrow-assembly: src/${name}.ts -> src/cli/leaf.ts`),
        "arrow-core: src/core/to-server.ts -> src/server.ts",
        "arrow-data: src/data/to-server.ts -> src/server.ts",
        "arrow-protocol: src/protocol/to-server.ts -> src/server.ts",
        // A type of a room's package is the room's too.
        "package-of-data: src/version.ts -> pg",
      ].sort(),
    );
  });

  test("a type import and a dynamic import are imports", () => {
    expect(arrowsOf(OTHER_IMPORTS)).toEqual([
      "arrow-core: src/core/by-type.ts -> src/data/leaf.ts",
      "arrow-core: src/core/inline.ts -> src/data/leaf.ts",
      "arrow-core: src/core/late.ts -> src/data/leaf.ts",
    ]);
  });

  test("a room that the rules do not know can neither import nor be imported", () => {
    expect(arrowsOf(UNKNOWN_ROOM)).toEqual([
      "arrow-cli: src/cli/to-telemetry.ts -> src/telemetry/leaf.ts",
      "unknown-room: src/extra.ts -> src/core/leaf.ts",
      "unknown-room: src/telemetry/to-core.ts -> src/core/leaf.ts",
    ]);
  });
});

describe("the arrows to packages", () => {
  test("a package that belongs to one room is found in every other", () => {
    const expected = Object.entries(OWNERS).flatMap(([name, owner]) =>
      ROOMS.filter((room) => room !== owner).map(
        (room) => `package-of-${owner}: ${packageFile(room, name)} -> ${name}`,
      ),
    );
    expect(arrowsOf(OWNED_PACKAGES)).toEqual(expected.sort());
  });

  test("src imports neither development packages nor the repository around it", () => {
    expect(arrowsOf(OUT_OF_SRC)).toEqual([
      "src-stands-alone: src/core/outside.ts -> bench/leaf.ts",
      "src-stands-alone: src/core/outside.ts -> examples/leaf.ts",
      "src-stands-alone: src/core/outside.ts -> test/leaf.ts",
      "src-without-dev-packages: src/core/dev-type.ts -> express",
      "src-without-dev-packages: src/core/dev.ts -> vitest",
    ]);
  });

  test("a package that package.json does not name is found, and an import that leads nowhere", () => {
    expect(arrowsOf(NOWHERE)).toEqual([
      "undeclared-package: test/transitive.ts -> enhanced-resolve",
      "unresolvable: test/nowhere.ts -> ./missing.ts",
      "unresolvable: test/nowhere.ts -> no-such-package",
    ]);
  });
});

test("an example imports the package by name and never src by path", () => {
  expect(arrowsOf(EXAMPLES)).toEqual(["examples-as-users: examples/notes/by-path.ts -> src/index.ts"]);
});

test("modules that import each other are found, by type only too", () => {
  expect(arrowsOf(CYCLES)).toEqual([
    "cycle: src/core/a.ts -> src/core/b.ts -> src/core/c.ts -> src/core/a.ts",
    "cycle: src/core/d.ts -> src/core/e.ts -> src/core/d.ts",
  ]);
});
