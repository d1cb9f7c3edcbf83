import { cp, mkdir, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Cleanup } from "./cleanup.ts";
import { runProgram } from "./run-program.ts";

/** The package as users get it: JavaScript made by its compiler, never a loader's translation. */
export interface ShippedPackage {
  /** A folder with dist/, sql/, package.json, node_modules and a copy of the examples. */
  readonly directory: string;
  /** The command line's file. */
  readonly command: string;
  /** A program of `bench/children/`, compiled likewise. */
  child(name: string): string;
}

const COMPILE_MS = 120_000;

/**
 * Compiles src and the bench's own servers into `directory`, with the options of the published build. A loader such as
 * tsx would not do: it wraps every named function expression in a call (`keepNames`), also those made for each request.
 * Types are not checked here: `npm run check` does that.
 */
export async function compilePackage(
  root: string,
  directory: string,
  cleanup: Cleanup,
): Promise<ShippedPackage> {
  await mkdir(directory);
  for (const name of ["package.json", "sql", "node_modules"])
    await symlink(join(root, name), join(directory, name));
  await cp(join(root, "examples"), join(directory, "examples"), { recursive: true });
  const config = join(directory, "tsconfig.json");
  await writeFile(
    config,
    JSON.stringify({
      extends: join(root, "tsconfig.build.json"),
      compilerOptions: { rootDir: root, outDir: directory, declaration: false, noCheck: true },
      include: [join(root, "src"), join(root, "bench")],
    }),
  );
  const compiler = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  await runProgram([process.execPath, compiler, "--project", config], {
    timeoutMs: COMPILE_MS,
    cleanup,
    cwd: root,
  });
  // The package's exports say dist; the bench's programs import ../../src.
  await symlink("src", join(directory, "dist"));
  return {
    directory,
    command: join(directory, "dist", "cli", "main.js"),
    child: (name) => join(directory, "bench", "children", `${name}.js`),
  };
}
