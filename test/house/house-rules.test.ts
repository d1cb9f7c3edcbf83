import { beforeAll, describe, expect, test } from "vitest";
import { checkTree } from "./check-tree.ts";

/** What must be found, by path; the checks run once over the files of all tests. */
const READS_THE_ENVIRONMENT = {
  "src/core/environment-a.ts": "export const a = process.env.HOME;\n",
  "src/core/environment-b.ts": `export const b = process["env"];\n`,
  "src/core/environment-c.ts": "export const { env } = process;\n",
  "src/core/environment-d.ts": `import { env } from "node:process";\nexport const d = env;\n`,
  "src/core/environment-e.ts": "export const e = globalThis.process.env;\n",
  "src/core/environment-f.ts": "export const f = process?.env;\n",
  "src/core/environment-g.ts": "const p = process;\nexport const g = p.env;\n",
  "src/server.ts": "export const h = process.env;\n",
};

const WRITES_TO_THE_CONSOLE = {
  "src/core/console-a.ts": `export const a = () => console.log("a");\n`,
  "src/core/console-b.ts": `export const b = () => globalThis.console["error"]("b");\n`,
  "src/core/console-c.ts": "export const { log } = console;\n",
  "src/core/console-d.ts": `export { log } from "node:console";\n`,
};

const EXPORTS = {
  "src/core/export-a.ts": "export default 1;\n",
  "src/core/export-b.ts": "export default function b() {}\n",
  "src/core/export-c.ts": "export const c = 1;\nexport { c as default };\n",
  "src/core/export-d.ts": `export * from "./export-c.ts";\n`,
  "src/core/export-e.ts": `export * as c from "./export-c.ts";\n`,
  "src/core/export-f.ts": `export type * from "./export-c.ts";\n`,
};

const VAGUE_NAMES = {
  "bench/misc.ts": "export {};\n",
  "src/core/utils.ts": "export {};\n",
  "src/data/common/row.ts": "export {};\n",
  "test/support/helpers.test.ts": "export {};\n",
};

const NOTHING_WRONG = {
  "src/core/a.ts": `// process.env and console.log\nexport const a = "process.env console.log export *";\n`,
  "src/core/common-name.ts": "const { pid } = process;\nexport const b = [pid, process.platform];\n",
  "src/core/own.ts": "export const env = (settings: { env: string }) => settings.env;\n",
  "src/cli/main.ts": "console.log(process.env);\n",
  "examples/server.ts": "export default process.env;\n",
  "test/a.ts": "console.log(process.env);\n",
};

async function findingsOf(files: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const { status, lines } = await checkTree({ only: ["house"], files });
  const found = lines.slice(1).map((line) => line.split(": ", 2).join(": "));
  expect(status).toBe(found.length === 0 ? 0 : 1);
  return found;
}

describe("what is wrong", () => {
  let found: readonly string[];
  beforeAll(async () => {
    found = await findingsOf({
      ...READS_THE_ENVIRONMENT,
      ...WRITES_TO_THE_CONSOLE,
      ...EXPORTS,
      ...VAGUE_NAMES,
    });
  });

  /** The findings in these files, whatever their rule. */
  function among(files: Readonly<Record<string, string>>): readonly string[] {
    return found.filter((finding) => Object.hasOwn(files, finding.split(/:\d*(?: |$)/)[1] ?? ""));
  }

  test("every way to read the environment outside src/cli is found", () => {
    expect(among(READS_THE_ENVIRONMENT)).toEqual([
      "environment: src/core/environment-a.ts:1",
      "environment: src/core/environment-b.ts:1",
      "environment: src/core/environment-c.ts:1",
      "environment: src/core/environment-d.ts:1",
      "environment: src/core/environment-e.ts:1",
      "environment: src/core/environment-f.ts:1",
      "environment: src/core/environment-g.ts:1",
      "environment: src/server.ts:1",
    ]);
  });

  test("writing to the console outside src/cli is found", () => {
    expect(among(WRITES_TO_THE_CONSOLE)).toEqual([
      "console: src/core/console-a.ts:1",
      "console: src/core/console-b.ts:1",
      "console: src/core/console-c.ts:1",
      "console: src/core/console-d.ts:1",
    ]);
  });

  test("exports of everything and default exports are found", () => {
    expect(among(EXPORTS)).toEqual([
      "default-export: src/core/export-a.ts:1",
      "default-export: src/core/export-b.ts:1",
      "default-export: src/core/export-c.ts:2",
      "export-all: src/core/export-d.ts:1",
      "export-all: src/core/export-e.ts:1",
      "export-all: src/core/export-f.ts:1",
    ]);
  });

  test("a file or folder named after nothing is found anywhere in the repository", () => {
    expect(among(VAGUE_NAMES)).toEqual([
      "vague-name: bench/misc.ts",
      "vague-name: src/core/utils.ts",
      "vague-name: src/data/common/row.ts",
      "vague-name: test/support/helpers.test.ts",
    ]);
  });

  test("and each finding is of one of these", () => {
    expect(found).toHaveLength(8 + 4 + 6 + 4);
  });
});

test("comments, strings, other properties, the command line and other folders are left alone", async () => {
  expect(await findingsOf(NOTHING_WRONG)).toEqual([]);
});
