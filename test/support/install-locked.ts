import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";

/**
 * Installs what the package-lock.json of a folder says into that folder, unless it is what is there. For what is too heavy
 * or too particular for the project's own packages.
 */
export async function installLocked(home: URL): Promise<void> {
  const lock = createHash("sha256")
    .update(await readFile(new URL("package-lock.json", home)))
    .digest("hex");
  const stamp = new URL("node_modules/.installed-lock", home);
  if ((await readFile(stamp, "utf8").catch(() => "")) === lock) return;
  const npm = spawn("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: home,
    stdio: ["ignore", "ignore", "pipe"],
    shell: process.platform === "win32",
  });
  let said = "";
  npm.stderr.setEncoding("utf8").on("data", (text) => {
    said += text;
  });
  const status = await new Promise((resolve, reject) => {
    npm.once("error", reject);
    npm.once("close", resolve);
  });
  if (status !== 0) throw new Error(`What ${home.pathname} names could not be installed:\n${said}`);
  await writeFile(stamp, lock);
}
