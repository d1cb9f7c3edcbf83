import { describe, expect, test } from "vitest";
import { checkTree } from "./check-tree.ts";

const MIDDLE = ["data", "identity", "limits", "catalog", "observe", "placement"];
const ROOMS = ["core", "tenancy", ...MIDDLE, "protocol", "admin", "cli"];

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
  kysely: "data",
  jose: "identity",
  "oidc-provider": "identity",
  hono: "admin",
  "@hono/node-server": "admin",
  "@hono/zod-openapi": "admin",
  commander: "cli",
};

/** The findings without their explanations, and with packages by name instead of by resolved file. */
async function arrowsOf(files: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const { status, lines } = await checkTree({ only: "arrows", files });
  const found = lines
    .filter((line) => / -> /.test(line))
    .map((line) => line.replace(/\S*node_modules\/(?:@types\/)?((?:@[^/]+\/)?[^/]+)\/\S*/, "$1"));
  expect(lines[0]).toMatch(found.length === 0 ? /^ok {5}arrows/ : /^FAILED arrows/);
  expect(status).toBe(found.length === 0 ? 0 : 1);
  return found.sort();
}

function leaves(): Record<string, string> {
  return Object.fromEntries(ROOMS.map((room) => [`src/${room}/leaf.ts`, "export const leaf = 1;\n"]));
}

describe("the arrows between rooms", () => {
  test("every import against the arrows is found, and no import along them", async () => {
    const files = leaves();
    const expected: string[] = [];
    for (const from of ROOMS) {
      for (const to of ROOMS) {
        const path = `src/${from}/to-${to}.ts`;
        files[path] = `export { leaf } from "../${to}/leaf.ts";\n`;
        if (from !== to && !ALLOWED[from]?.includes(to)) {
          expected.push(`arrow-${from}: ${path} -> src/${to}/leaf.ts`);
        }
      }
    }
    expect(expected).toHaveLength(71);
    expect(await arrowsOf(files)).toEqual(expected.sort());
  });

  test("pipeline, server and index import every room but cli; of the rooms only cli imports them", async () => {
    const files = leaves();
    for (const name of ["pipeline", "server", "index"]) {
      files[`src/${name}.ts`] = ROOMS.map((room) => `import "./${room}/leaf.ts";\n`).join("");
    }
    for (const room of ["core", "data", "protocol", "cli"]) {
      files[`src/${room}/to-server.ts`] = `import "../server.ts";\n`;
    }
    expect(await arrowsOf(files)).toEqual([
      "arrow-assembly: src/index.ts -> src/cli/leaf.ts",
      "arrow-assembly: src/pipeline.ts -> src/cli/leaf.ts",
      "arrow-assembly: src/server.ts -> src/cli/leaf.ts",
      "arrow-core: src/core/to-server.ts -> src/server.ts",
      "arrow-data: src/data/to-server.ts -> src/server.ts",
      "arrow-protocol: src/protocol/to-server.ts -> src/server.ts",
    ]);
  });

  test("a type import and a dynamic import are imports", async () => {
    expect(
      await arrowsOf({
        "src/core/by-type.ts": `import type { Leaf } from "../data/leaf.ts";\nexport type Same = Leaf;\n`,
        "src/core/inline.ts": `export type Same = import("../data/leaf.ts").Leaf;\n`,
        "src/core/late.ts": `export const late = () => import("../data/leaf.ts");\n`,
        "src/data/leaf.ts": "export type Leaf = 1;\n",
      }),
    ).toEqual([
      "arrow-core: src/core/by-type.ts -> src/data/leaf.ts",
      "arrow-core: src/core/inline.ts -> src/data/leaf.ts",
      "arrow-core: src/core/late.ts -> src/data/leaf.ts",
    ]);
  });

  test("a room that the rules do not know can neither import nor be imported", async () => {
    expect(
      await arrowsOf({
        ...leaves(),
        "src/extra.ts": `import "./core/leaf.ts";\n`,
        "src/telemetry/to-core.ts": `import "../core/leaf.ts";\n`,
        "src/telemetry/leaf.ts": "export const leaf = 1;\n",
        "src/cli/to-telemetry.ts": `import "../telemetry/leaf.ts";\n`,
      }),
    ).toEqual([
      "arrow-cli: src/cli/to-telemetry.ts -> src/telemetry/leaf.ts",
      "unknown-room: src/extra.ts -> src/core/leaf.ts",
      "unknown-room: src/telemetry/to-core.ts -> src/core/leaf.ts",
    ]);
  });
});

describe("the arrows to packages", () => {
  test("a package that belongs to one room is found in every other", async () => {
    const files: Record<string, string> = {};
    const expected: string[] = [];
    for (const [name, owner] of Object.entries(OWNERS)) {
      for (const room of ROOMS) {
        const path = `src/${room}/${name.replace(/\W/g, "-")}.ts`;
        files[path] = `import "${name}";\n`;
        if (room !== owner) expected.push(`package-of-${owner}: ${path} -> ${name}`);
      }
    }
    files["src/server.ts"] = `import type { Pool } from "pg";\nexport type Same = Pool;\n`;
    expected.push("package-of-data: src/server.ts -> pg");
    expect(await arrowsOf(files)).toEqual(expected.sort());
  });

  test("src imports neither development packages nor the repository around it", async () => {
    expect(
      await arrowsOf({
        "src/core/dev.ts": `import "vitest";\n`,
        "src/core/dev-type.ts": `import type { Express } from "express";\nexport type Same = Express;\n`,
        "src/core/node.ts": `import "node:crypto";\n`,
        "src/core/outside.ts": `import "../../test/leaf.ts";\nimport "../../bench/leaf.ts";\nimport "../../examples/leaf.ts";\n`,
        "test/leaf.ts": `import "vitest";\n`,
        "bench/leaf.ts": "export const leaf = 1;\n",
        "examples/leaf.ts": "export const leaf = 1;\n",
      }),
    ).toEqual([
      "src-stands-alone: src/core/outside.ts -> bench/leaf.ts",
      "src-stands-alone: src/core/outside.ts -> examples/leaf.ts",
      "src-stands-alone: src/core/outside.ts -> test/leaf.ts",
      "src-without-dev-packages: src/core/dev-type.ts -> express",
      "src-without-dev-packages: src/core/dev.ts -> vitest",
    ]);
  });

  test("a package that package.json does not name is found, and an import that leads nowhere", async () => {
    expect(
      await arrowsOf({
        "test/transitive.ts": `import "enhanced-resolve";\n`,
        "test/nowhere.ts": `import "./missing.ts";\nimport "no-such-package";\n`,
      }),
    ).toEqual([
      "undeclared-package: test/transitive.ts -> enhanced-resolve",
      "unresolvable: test/nowhere.ts -> ./missing.ts",
      "unresolvable: test/nowhere.ts -> no-such-package",
    ]);
  });
});

test("an example imports the package by name and never src by path", async () => {
  expect(
    await arrowsOf({
      "src/index.ts": "export const leaf = 1;\n",
      "examples/notes/server.ts": `import "bulkhead-mcp";\nimport "zod";\nimport "./leaf.ts";\n`,
      "examples/notes/leaf.ts": "export const leaf = 1;\n",
      "examples/notes/by-path.ts": `import "../../src/index.ts";\n`,
    }),
  ).toEqual(["examples-as-users: examples/notes/by-path.ts -> src/index.ts"]);
});

test("modules that import each other are found, by type only too", async () => {
  expect(
    await arrowsOf({
      "src/core/a.ts": `import "./b.ts";\n`,
      "src/core/b.ts": `import "./c.ts";\n`,
      "src/core/c.ts": `import "./a.ts";\n`,
      "src/core/d.ts": `import type { E } from "./e.ts";\nexport type D = E;\n`,
      "src/core/e.ts": `import type { D } from "./d.ts";\nexport type E = { readonly d?: D };\n`,
    }),
  ).toEqual([
    "cycle: src/core/a.ts -> src/core/b.ts -> src/core/c.ts -> src/core/a.ts",
    "cycle: src/core/d.ts -> src/core/e.ts -> src/core/d.ts",
  ]);
});
