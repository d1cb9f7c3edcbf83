import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { InstalledSuites, SuiteVersion } from "./installed-suites.ts";

/** What a suite found about one requirement. There may be several of one id. */
export type SuiteCheck = z.infer<typeof checks>[number];

const checks = z.array(
  z.object({
    id: z.string(),
    name: z.string(),
    status: z.enum(["SUCCESS", "FAILURE", "WARNING", "SKIPPED", "INFO"]),
    errorMessage: z.string().optional(),
  }),
);

export interface SuiteRun {
  /** The checks of every scenario that ran. */
  readonly scenarios: ReadonlyMap<string, readonly SuiteCheck[]>;
}

/** The endpoint of one tenant, and a token for it. */
export interface ServerUnderTest {
  readonly mcp: string;
  readonly token: string;
}

/** The folder of a scenario's results is named after it and the time of its start. */
const RESULT_FOLDER = /^server-(.+)-\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}-\d{3}Z$/;

/** Runs a suite against a server. Reads the files it writes: what it prints leaves out warnings. */
export async function runSuite(
  { node, suites }: InstalledSuites,
  { mcp, token }: ServerUnderTest,
  suite: { readonly version: SuiteVersion; readonly args: readonly string[] },
): Promise<SuiteRun> {
  const results = await mkdtemp(join(tmpdir(), "bulkhead-conformance-"));
  try {
    const child = spawn(
      node,
      [
        "--import",
        new URL("./bearer-token.mjs", import.meta.url).href,
        suites[suite.version],
        "server",
        "--url",
        mcp,
        "--output-dir",
        results,
        ...suite.args,
      ],
      {
        // Nothing else: NODE_OPTIONS and proxies of this process are not its.
        env: { PATH: process.env.PATH, CONFORMANCE_SERVER: mcp, CONFORMANCE_TOKEN: token },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
      });
    }
    await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    const scenarios = await readResults(results);
    if (scenarios.size === 0) throw new Error(`The suite ran nothing:\n${output}`);
    return { scenarios };
  } finally {
    await rm(results, { recursive: true, force: true });
  }
}

async function readResults(directory: string): Promise<ReadonlyMap<string, readonly SuiteCheck[]>> {
  const scenarios = new Map<string, readonly SuiteCheck[]>();
  for (const folder of await readdir(directory)) {
    const name = RESULT_FOLDER.exec(folder)?.[1];
    if (name === undefined) continue;
    // A scenario that timed out has a folder and no file.
    const text = await readFile(join(directory, folder, "checks.json"), "utf8").catch(() => "[]");
    scenarios.set(name, checks.parse(JSON.parse(text)));
  }
  return scenarios;
}
