#!/usr/bin/env node
/**
 * Everything that is checked without running the program: `node scripts/check.mjs [--only check] [--root folder]`.
 *
 * A check that saw fewer files than there are has failed, whatever it says of those it saw: a linter whose
 * configuration leaves out a folder, or whose parser is missing, finds nothing wrong and exits 0.
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { deadCode } from "./check/dead-code.mjs";
import { formatAndLint } from "./check/format-and-lint.mjs";
import { houseRules } from "./check/house-rules.mjs";
import { importArrows } from "./check/import-arrows.mjs";
import { sourceFiles } from "./check/source-files.mjs";
import { types } from "./check/types.mjs";

const CHECKS = {
  format: formatAndLint,
  types,
  arrows: importArrows,
  dead: deadCode,
  house: houseRules,
};

const { values: options } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    root: { type: "string", default: fileURLToPath(new URL("..", import.meta.url)) },
  },
});
const root = resolve(options.root);
const names = options.only ?? Object.keys(CHECKS);
const unknown = names.filter((name) => !Object.hasOwn(CHECKS, name));
if (unknown.length > 0) {
  console.error(`No check named ${unknown.join(", ")}. There are: ${Object.keys(CHECKS).join(", ")}.`);
  process.exit(2);
}

const files = sourceFiles(root);
if (files.length === 0) {
  console.error(`There are no code files in ${root}: nothing was checked.`);
  process.exit(2);
}

const reports = await Promise.all(names.map(run));
process.exitCode = reports.every((passed) => passed) ? 0 : 1;

async function run(name) {
  const start = performance.now();
  const { ok, output, expected, seen } = await CHECKS[name](root, files).catch((error) => ({
    ok: false,
    output: String(error?.stack ?? error),
    expected: files,
    seen: [],
  }));
  const missing = expected.filter(notIn(seen));
  const passed = ok && missing.length === 0;
  const count = `${expected.length - missing.length} of ${expected.length} files`;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const lines = [`${passed ? "ok    " : "FAILED"} ${name.padEnd(7)} ${count}, ${seconds} s`];
  if (!ok) lines.push(output.trim() === "" ? "(the check failed without a word)" : output.trimEnd());
  if (missing.length > 0)
    lines.push(`${name} did not see these files:`, ...missing.map((path) => `  ${path}`));
  console.log(lines.join("\n"));
  return passed;
}

function notIn(seen) {
  const known = new Set(seen);
  return (path) => !known.has(path);
}
