import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const HOME = new URL("../../", import.meta.url);

/**
 * Runs a script of this repository, or the command `name` of an installed package, in `root`. Commands are
 * started through their package.json instead of npx, which costs half a second each and is a .cmd on Windows.
 */
export function runTool(root, { script, package: packageName, name, args }) {
  const file = script ?? installedCommand(packageName, name);
  const child = spawn(process.execPath, [fileURLToPath(new URL(file, HOME)), ...args], {
    cwd: root,
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ ok: code === 0, stdout, stderr, end: signal ?? code }));
  });
}

function installedCommand(packageName, name) {
  const { bin } = JSON.parse(readFileSync(new URL(`node_modules/${packageName}/package.json`, HOME), "utf8"));
  return `node_modules/${packageName}/${typeof bin === "string" ? bin : bin[name]}`;
}
