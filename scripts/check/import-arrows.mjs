import { runTool } from "./run-tool.mjs";

/** The rules of .dependency-cruiser.cjs. */
export async function importArrows(root, files) {
  const { stdout, stderr, end } = await runTool(root, {
    package: "dependency-cruiser",
    name: "depcruise",
    args: [
      "--config",
      ".dependency-cruiser.cjs",
      "--output-type",
      "json",
      // Folders, not files: the arguments stay short however large the tree grows.
      ...new Set(files.map((path) => path.split("/", 1)[0])),
    ],
  });
  const { modules, summary } = parse(stdout) ?? {
    modules: [],
    summary: { violations: [], error: 1 },
  };
  const found = summary.violations.map(describe);
  return {
    ok: end === 0 && summary.error === 0,
    output: found.length > 0 ? found.join("\n") : stderr,
    expected: files,
    // A file that could not be parsed would be listed without its imports; types fails on such a file.
    seen: modules.map((module) => module.source),
  };
}

/** @returns {import("dependency-cruiser").ICruiseResult | undefined} */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function describe({ rule, from, to, cycle, comment }) {
  const way = cycle === undefined ? to : cycle.map((step) => step.name).join(" -> ");
  return `${rule.name}: ${from} -> ${way}${comment === undefined ? "" : `\n    ${comment}`}`;
}
