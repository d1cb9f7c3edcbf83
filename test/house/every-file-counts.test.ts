import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { checkTree, type Verdict } from "./check-tree.ts";

const CHECKS = ["format", "types", "arrows", "dead", "house"];
const hasGit = spawnSync("git", ["--version"]).status === 0;

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
/** One file that counts and one that does not. */
const NESTED = { "examples/notes/dist/built.ts": "export {};\n", "test/new.ts": "export {};\n" };

function configuration(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
}

/** The named configurations changed such that their checks no longer see src/core/hidden.ts. */
const BLINDED = {
  "biome.json": configuration("biome.json").replace(`"!**/dist"`, `"!**/dist", "!**/hidden.ts"`),
  // The compiler follows imports out of what it was told to include; only a file nobody imports can be missed.
  "tsconfig.json": configuration("tsconfig.json").replace(/"include": .*/, `"include": ["test"]`),
  "src/index.ts": "export const answer = 42;\n",
  ".dependency-cruiser.cjs": `${configuration(".dependency-cruiser.cjs")}module.exports.options.exclude = { path: "hidden" };\n`,
  "knip.json": configuration("knip.json").replace(/"project": \[/, `"project": ["!src/core/**", `),
  // And a configuration of the linter's, of a folder.
  "test/nested/biome.json": `{ "root": false, "files": { "includes": ["!**"] } }\n`,
  "test/nested/more.ts": "export {};\n",
};

/** The lines of each check: they end in any order. */
function byCheck({ lines }: Verdict): Readonly<Record<string, readonly string[]>> {
  const found: Record<string, string[]> = {};
  let current: string[] = [];
  for (const line of lines) {
    const name = /^(?:ok {4}|FAILED) (\w+) /.exec(line)?.[1];
    if (name !== undefined) {
      current = [];
      found[name] = current;
    }
    current.push(line);
  }
  return found;
}

describe("where every file is seen and nothing is wrong", () => {
  let verdict: Verdict;
  beforeAll(async () => {
    // Not a checkout: the tree is walked.
    verdict = await checkTree({ only: CHECKS, files: { ...SOUND, ...NESTED } });
  });

  test.each(CHECKS)("%s passes", (check) => {
    expect(byCheck(verdict)[check]).toEqual([
      expect.stringMatching(new RegExp(`^ok {5}${check} +(\\d+) of \\1 files`)),
    ]);
  });

  test("so does the whole, and says nothing else", () => {
    expect(verdict.status).toBe(0);
    expect(verdict.lines).toHaveLength(CHECKS.length);
  });

  test("elsewhere than in a git checkout the files are those of the tree, without the folders that .gitignore names", () => {
    expect(byCheck(verdict).house).toEqual([expect.stringContaining("5 of 5 files")]);
  });
});

describe("a check that saw fewer files than there are has failed", () => {
  let found: Readonly<Record<string, readonly string[]>>;
  beforeAll(async () => {
    const verdict = await checkTree({ only: CHECKS, files: { ...SOUND, ...BLINDED } });
    expect(verdict.status).toBe(1);
    found = byCheck(verdict);
  });

  test.each(["types", "arrows", "dead"])("%s, when its configuration hides a file", (check) => {
    expect(found[check]?.[0]).toMatch(new RegExp(`^FAILED ${check}`));
    expect(found[check]?.slice(-2)).toEqual([`${check} did not see these files:`, "  src/core/hidden.ts"]);
  });

  test("format, when its configuration hides a file, and when one in the file's folder does", () => {
    expect(found.format?.[0]).toMatch(/^FAILED format/);
    expect(found.format?.slice(-3)).toEqual([
      "format did not see these files:",
      "  src/core/hidden.ts",
      "  test/nested/more.ts",
    ]);
  });

  test("and no other check with it", () => {
    expect(found.house).toEqual([expect.stringMatching(/^ok {5}house +5 of 5 files/)]);
  });
});

describe("a finding fails its check and is shown, though it saw every file", () => {
  let verdict: Verdict;
  beforeAll(async () => {
    verdict = await checkTree({
      only: ["types", "dead", "house"],
      git: hasGit,
      files: {
        ...SOUND,
        ...NESTED,
        "package.json": SOUND["package.json"].replace(
          `"dependency-cruiser": "*"`,
          `"dependency-cruiser": "*", "zod": "*"`,
        ),
        "src/core/hidden.ts": "export const answer: string = 42;\nexport const idle = 43;\n",
        "src/core/left.ts": "export const left = 1;\n",
      },
    });
  });

  test("an error of the compiler", () => {
    const lines = byCheck(verdict).types ?? [];
    expect(lines[0]).toMatch(/^FAILED types +(\d+) of \1 files/);
    expect(lines[1]).toMatch(/^src\/core\/hidden\.ts\(1,14\): error TS2322/);
  });

  test("an export that nothing uses, an unused file and an unused package", () => {
    const lines = byCheck(verdict).dead ?? [];
    expect(lines[0]).toMatch(/^FAILED dead +(\d+) of \1 files/);
    expect(lines.slice(1).sort()).toEqual([
      "devDependencies: package.json: zod",
      "exports: src/core/hidden.ts: idle",
      "files: src/core/left.ts: src/core/left.ts",
    ]);
  });

  test("the whole has failed, too", () => {
    expect(verdict.status).toBe(1);
  });

  test.skipIf(!hasGit)("in a git checkout files not yet added count, ignored ones do not", () => {
    expect(byCheck(verdict).house).toEqual([expect.stringMatching(/^ok {5}house +6 of 6 files/)]);
  });
});
