import { runTool } from "./run-tool.mjs";

/**
 * Files, exports and dependencies that nothing uses, by the rules of knip.json. There, types that are used in
 * their own file alone are let through: a part of an exported type belongs to the contract all the same.
 */
export async function deadCode(root, files) {
  const { ok, stdout, stderr } = await runTool(root, { script: "scripts/check/knip-report.mjs", args: [] });
  if (!ok) return { ok, output: `${stdout}${stderr}`, expected: files, seen: [] };
  const { issues, seen } = JSON.parse(stdout);
  return {
    ok: issues.length === 0,
    output: issues.map(({ type, path, symbol }) => `${type}: ${path}: ${symbol}`).join("\n"),
    expected: files,
    seen,
  };
}
