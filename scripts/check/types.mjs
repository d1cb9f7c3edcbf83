import { isAbsolute, relative } from "node:path";
import { runTool } from "./run-tool.mjs";
import { isTypeScript } from "./source-files.mjs";

/** The compiler, without output. It names the files it read as absolute paths, and errors by relative ones. */
export async function types(root, files) {
  const { ok, stdout, stderr } = await runTool(root, {
    package: "typescript",
    name: "tsc",
    args: ["--noEmit", "--pretty", "false", "--listFiles", "--project", "tsconfig.json"],
  });
  const lines = stdout.split(/\r?\n/);
  return {
    ok,
    output: [...lines.filter((line) => !isAbsolute(line)), stderr].join("\n"),
    expected: files.filter(isTypeScript),
    seen: lines.filter((line) => isAbsolute(line)).map((path) => relative(root, path).replaceAll("\\", "/")),
  };
}
