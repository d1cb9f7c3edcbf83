import { runTool } from "./run-tool.mjs";

const PROCESSED = "Files processed:";

/** Biome's formatter and linter. Only its verbose report says which files it processed. */
export async function formatAndLint(root, files) {
  const biome = (extra) =>
    runTool(root, {
      package: "@biomejs/biome",
      name: "biome",
      args: ["ci", "--colors=off", "--max-diagnostics=none", "--error-on-warnings", ...extra, "."],
    });
  const [verdict, verbose] = await Promise.all([biome([]), biome(["--verbose"])]);
  const list = verbose.stdout.slice(verbose.stdout.indexOf(PROCESSED)).split(/\n\s*\n/)[1] ?? "";
  const seen = list.split("\n").map((line) => line.trim().replace(/^- /, "").replaceAll("\\", "/"));
  return {
    ok: verdict.ok,
    output: `${verdict.stdout}${verdict.stderr}`,
    expected: files,
    seen: verbose.stdout.includes(PROCESSED) ? seen : [],
  };
}
