import { execFile, execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CONFIGURATION = [
  ".dependency-cruiser.cjs",
  ".gitignore",
  "biome.json",
  "knip.json",
  "package.json",
  "tsconfig.json",
];

export interface Verdict {
  readonly status: number;
  readonly lines: readonly string[];
}

/**
 * Runs the named checks of `npm run check` with this repository's own configuration over a tree that holds `files` and
 * nothing else. A path given there replaces the configuration file of that name.
 */
export async function checkTree(request: {
  readonly only: readonly string[];
  readonly files: Readonly<Record<string, string>>;
  readonly git?: boolean;
}): Promise<Verdict> {
  const tree = mkdtempSync(join(tmpdir(), "bulkhead-check-"));
  try {
    for (const name of CONFIGURATION) copyFileSync(join(ROOT, name), join(tree, name));
    symlinkSync(join(ROOT, "node_modules"), join(tree, "node_modules"), "junction");
    for (const [path, text] of Object.entries(request.files)) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), text);
    }
    if (request.git === true) execFileSync("git", ["init", "--quiet"], { cwd: tree, env: withoutGit() });
    return await check(tree, request.only);
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

function check(tree: string, only: readonly string[]): Promise<Verdict> {
  const args = [join(ROOT, "scripts/check.mjs"), "--root", tree, ...only.flatMap((name) => ["--only", name])];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { env: withoutGit(), maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      const status = error === null ? 0 : error.code;
      if (typeof status === "number") resolve({ status, lines: `${stdout}${stderr}`.trimEnd().split("\n") });
      else reject(error);
    });
  });
}

/** A git hook that runs the tests has set GIT_DIR, which would lead git from the tree to this repository. */
function withoutGit(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("GIT_")));
}
