import { spawn } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";

export interface ShellRun {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** A shell as a page's reader has it, with `bulkhead`, `npx` and `curl`, in an empty directory. */
export interface Shell {
  run(script: string, env?: Readonly<Record<string, string>>): Promise<ShellRun>;
  close(): Promise<void>;
}

export async function openShell(): Promise<Shell> {
  const directory = await mkdtemp(join(tmpdir(), "bulkhead-docs-"));
  const programs = {
    bulkhead: `"${inject("commandMain")}"`,
    curl: `"${join(inject("commandRoot"), "test/docs/fixtures/curl.js")}"`,
  };
  for (const [name, program] of Object.entries(programs)) {
    const path = join(directory, name);
    await writeFile(path, `#!/bin/sh\nexec "${process.execPath}" ${program} "$@"\n`);
    await chmod(path, 0o700);
  }
  await writeFile(join(directory, "npx"), '#!/bin/sh\nexec "$@"\n', { mode: 0o700 });
  return {
    run: (script, env = {}) =>
      new Promise((resolve, reject) => {
        const child = spawn("sh", ["-eu"], {
          cwd: directory,
          env: {
            PATH: `${directory}:${join(process.execPath, "..")}:${process.env.PATH}`,
            NO_COLOR: "1",
            ...env,
          },
        });
        let out = "";
        let err = "";
        child.stdout.on("data", (chunk) => {
          out += chunk;
        });
        child.stderr.on("data", (chunk) => {
          err += chunk;
        });
        child.once("error", reject);
        child.once("close", (status) => resolve({ status, out, err }));
        child.stdin.end(script);
      }),
    close: () => rm(directory, { recursive: true, force: true }),
  };
}
