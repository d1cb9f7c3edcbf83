import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { checkTree } from "./check-tree.ts";

const CHECKS = ["format", "types", "arrows", "dead", "house"];
const PACKAGE = {
  name: "bulkhead-mcp",
  type: "module",
  exports: { ".": { "bulkhead-source": "./src/index.ts", default: "./dist/index.js" } },
  scripts: { arrows: "depcruise ." },
  devDependencies: { "dependency-cruiser": "*" },
};

/** A small tree that every check finds in order. */
const SOUND = {
  "package.json": `${JSON.stringify(PACKAGE, undefined, 2)}\n`,
  "src/core/hidden.ts": "export const answer = 42;\n",
  "src/index.ts": `export { answer } from "./core/hidden.ts";\n`,
  "test/answer.ts": `import { answer } from "bulkhead-mcp";\n\nexport const same = answer;\n`,
};

function configuration(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
}

/** A change to the configuration after which the named check no longer sees src/core/hidden.ts. */
const BLINDED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  format: { "biome.json": configuration("biome.json").replace(`"!**/dist"`, `"!**/dist", "!**/hidden.ts"`) },
  types: {
    // The compiler follows imports out of what it was told to include; only a file nobody imports can be missed.
    "tsconfig.json": configuration("tsconfig.json").replace(/"include": .*/, `"include": ["test"]`),
    "src/index.ts": "export const answer = 42;\n",
  },
  arrows: {
    ".dependency-cruiser.cjs": `${configuration(".dependency-cruiser.cjs")}module.exports.options.exclude = { path: "hidden" };\n`,
  },
  dead: {
    "knip.json": configuration("knip.json").replace(/"project": \[/, `"project": ["!src/core/**", `),
    "src/index.ts": "export const answer = 42;\n",
  },
};

describe("a check that saw fewer files than there are has failed", () => {
  test.each(CHECKS)("%s passes where it sees every file", async (check) => {
    const { status, lines } = await checkTree({ only: check, files: SOUND });
    expect(lines).toEqual([expect.stringMatching(new RegExp(`^ok {5}${check} +(\\d+) of \\1 files`))]);
    expect(status).toBe(0);
  });

  test.each(Object.keys(BLINDED))("%s fails when its configuration hides a file", async (check) => {
    const { status, lines } = await checkTree({ only: check, files: { ...SOUND, ...BLINDED[check] } });
    expect(lines[0]).toMatch(new RegExp(`^FAILED ${check}`));
    expect(lines.slice(-2)).toEqual([`${check} did not see these files:`, "  src/core/hidden.ts"]);
    expect(status).toBe(1);
  });

  test("a nested configuration of the linter hides nothing either", async () => {
    const { status, lines } = await checkTree({
      only: "format",
      files: { ...SOUND, "src/core/biome.json": `{ "root": false, "files": { "includes": ["!**"] } }\n` },
    });
    expect(lines).toContain("  src/core/hidden.ts");
    expect(status).toBe(1);
  });
});

describe("the files there are", () => {
  const hasGit = spawnSync("git", ["--version"]).status === 0;
  const nested = { "examples/notes/dist/built.ts": "export {};\n", "test/new.ts": "export {};\n" };

  test.skipIf(!hasGit)("in a git checkout: files not yet added count, ignored ones do not", async () => {
    const { lines } = await checkTree({ only: "house", files: { ...SOUND, ...nested }, git: true });
    expect(lines).toEqual([expect.stringContaining("5 of 5 files")]);
  });

  test("elsewhere: the tree is walked, without the folders that .gitignore names", async () => {
    const { lines } = await checkTree({ only: "house", files: { ...SOUND, ...nested } });
    expect(lines).toEqual([expect.stringContaining("5 of 5 files")]);
  });
});

test("a finding fails its check and is shown", async () => {
  const wrong = `export const answer: string = 42;\n`;
  const { status, lines } = await checkTree({
    only: "types",
    files: { ...SOUND, "src/core/hidden.ts": wrong },
  });
  expect(lines[0]).toMatch(/^FAILED types/);
  expect(lines[1]).toMatch(/^src\/core\/hidden\.ts\(1,14\): error TS2322/);
  expect(status).toBe(1);
});

test("an export that nothing uses, an unused file and an unused package are found", async () => {
  const { status, lines } = await checkTree({
    only: "dead",
    files: {
      ...SOUND,
      "package.json": SOUND["package.json"].replace(
        `"dependency-cruiser": "*"`,
        `"dependency-cruiser": "*", "zod": "*"`,
      ),
      "src/core/hidden.ts": "export const answer = 42;\nexport const idle = 43;\n",
      "src/core/left.ts": "export const left = 1;\n",
    },
  });
  expect(lines.slice(1).sort()).toEqual([
    "devDependencies: package.json: zod",
    "exports: src/core/hidden.ts: idle",
    "files: src/core/left.ts: src/core/left.ts",
  ]);
  expect(status).toBe(1);
});
