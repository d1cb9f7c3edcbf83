import { expect, test } from "vitest";
import { checkTree } from "./check-tree.ts";

async function findingsOf(files: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const { status, lines } = await checkTree({ only: "house", files });
  const found = lines.slice(1).map((line) => line.split(": ", 2).join(": "));
  expect(status).toBe(found.length === 0 ? 0 : 1);
  return found;
}

test("every way to read the environment outside src/cli is found", async () => {
  expect(
    await findingsOf({
      "src/core/a.ts": "export const a = process.env.HOME;\n",
      "src/core/b.ts": `export const b = process["env"];\n`,
      "src/core/c.ts": "export const { env } = process;\n",
      "src/core/d.ts": `import { env } from "node:process";\nexport const d = env;\n`,
      "src/core/e.ts": "export const e = globalThis.process.env;\n",
      "src/core/f.ts": "export const f = process?.env;\n",
      "src/core/g.ts": "const p = process;\nexport const g = p.env;\n",
      "src/server.ts": "export const h = process.env;\n",
    }),
  ).toEqual([
    "environment: src/core/a.ts:1",
    "environment: src/core/b.ts:1",
    "environment: src/core/c.ts:1",
    "environment: src/core/d.ts:1",
    "environment: src/core/e.ts:1",
    "environment: src/core/f.ts:1",
    "environment: src/core/g.ts:1",
    "environment: src/server.ts:1",
  ]);
});

test("writing to the console outside src/cli is found", async () => {
  expect(
    await findingsOf({
      "src/core/a.ts": `export const a = () => console.log("a");\n`,
      "src/core/b.ts": `export const b = () => globalThis.console["error"]("b");\n`,
      "src/core/c.ts": "export const { log } = console;\n",
      "src/core/d.ts": `export { log } from "node:console";\n`,
    }),
  ).toEqual([
    "console: src/core/a.ts:1",
    "console: src/core/b.ts:1",
    "console: src/core/c.ts:1",
    "console: src/core/d.ts:1",
  ]);
});

test("exports of everything and default exports are found", async () => {
  expect(
    await findingsOf({
      "src/core/a.ts": "export default 1;\n",
      "src/core/b.ts": "export default function b() {}\n",
      "src/core/c.ts": "export const c = 1;\nexport { c as default };\n",
      "src/core/d.ts": `export * from "./c.ts";\n`,
      "src/core/e.ts": `export * as c from "./c.ts";\n`,
      "src/core/f.ts": `export type * from "./c.ts";\n`,
    }),
  ).toEqual([
    "default-export: src/core/a.ts:1",
    "default-export: src/core/b.ts:1",
    "default-export: src/core/c.ts:2",
    "export-all: src/core/d.ts:1",
    "export-all: src/core/e.ts:1",
    "export-all: src/core/f.ts:1",
  ]);
});

test("a file or folder named after nothing is found anywhere in the repository", async () => {
  expect(
    await findingsOf({
      "bench/misc.ts": "export {};\n",
      "src/core/utils.ts": "export {};\n",
      "src/data/common/row.ts": "export {};\n",
      "test/support/helpers.test.ts": "export {};\n",
    }),
  ).toEqual([
    "vague-name: bench/misc.ts",
    "vague-name: src/core/utils.ts",
    "vague-name: src/data/common/row.ts",
    "vague-name: test/support/helpers.test.ts",
  ]);
});

test("comments, strings, other properties, the command line and other folders are left alone", async () => {
  expect(
    await findingsOf({
      "src/core/a.ts": `// process.env and console.log\nexport const a = "process.env console.log export *";\n`,
      "src/core/common-name.ts": "const { pid } = process;\nexport const b = [pid, process.platform];\n",
      "src/core/own.ts": "export const env = (settings: { env: string }) => settings.env;\n",
      "src/cli/main.ts": "console.log(process.env);\n",
      "examples/server.ts": "export default process.env;\n",
      "test/a.ts": "console.log(process.env);\n",
    }),
  ).toEqual([]);
});
