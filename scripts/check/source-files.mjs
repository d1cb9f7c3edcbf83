import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";

const CODE = /\.[cm]?[jt]sx?$/;

/**
 * The code files of the tree under `root` as sorted relative paths with `/`: what every check must have seen.
 * In a git checkout they are the tracked files and the new ones that are not ignored. Elsewhere (an unpacked
 * archive) the tree is walked, without the folders that .gitignore names.
 */
export function sourceFiles(root) {
  const paths = fromGit(root) ?? walk(root, ignoredFolders(root));
  return paths.filter((path) => CODE.test(path)).sort();
}

export function isTypeScript(path) {
  return /\.[cm]?tsx?$/.test(path);
}

/**
 * Undefined unless `root` itself is the top of a checkout: an archive unpacked inside somebody else's
 * repository may be ignored there, and git would then list nothing.
 */
function fromGit(root) {
  const git = (args) =>
    execFileSync("git", args, {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      maxBuffer: 64 << 20,
    });
  try {
    if (realpathSync(git(["rev-parse", "--show-toplevel"]).trim()) !== realpathSync(root)) return undefined;
    const listed = git(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]).split("\0");
    // A file deleted but not yet staged is still listed.
    return [...new Set(listed)].filter((path) => path !== "" && existsSync(join(root, path)));
  } catch {
    return undefined;
  }
}

function ignoredFolders(root) {
  const file = join(root, ".gitignore");
  const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
  const folders = lines.filter((line) => /^[^#!*]+\/$/.test(line)).map((line) => line.slice(0, -1));
  return new Set([".git", "node_modules", ...folders]);
}

function walk(root, ignored, prefix = "") {
  return readdirSync(join(root, prefix), { withFileTypes: true }).flatMap((entry) => {
    const path = prefix + entry.name;
    if (entry.isDirectory()) return ignored.has(entry.name) ? [] : walk(root, ignored, `${path}/`);
    return entry.isFile() ? [path] : [];
  });
}
