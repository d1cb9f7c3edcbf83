/**
 * Breaks guards on purpose, one at a time, in copies of the tree, and expects tests to fail. A mutant that survives is a
 * security property without a test. `npm run mutants [-- name…]`; exit status 1 when one survives or cannot be made.
 */
import { spawn } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { acrossInstances } from "./across-instances.ts";
import { administration } from "./administration.ts";
import { adoptedServers } from "./adopted-servers.ts";
import { catalog } from "./catalog.ts";
import { changes } from "./changes.ts";
import { commandLine } from "./command-line.ts";
import { credentials } from "./credentials.ts";
import { database } from "./database.ts";
import { developmentIssuers } from "./development-issuers.ts";
import { identityProviders } from "./identity-providers.ts";
import type { Mutant } from "./mutant.ts";
import { observing } from "./observing.ts";
import { openWork } from "./open-work.ts";
import { permissions } from "./permissions.ts";
import { pipeline } from "./pipeline.ts";
import { previousGeneration } from "./previous-generation.ts";
import { proofsOfPossession } from "./proofs-of-possession.ts";
import { revocation } from "./revocation.ts";
import { rounds } from "./rounds.ts";
import { stdio } from "./stdio.ts";
import { tasks } from "./tasks.ts";
import { tenantDoor } from "./tenant-door.ts";
import { traces } from "./traces.ts";

const MUTANTS: readonly Mutant[] = [
  ...database,
  ...acrossInstances,
  ...tenantDoor,
  ...pipeline,
  ...catalog,
  ...credentials,
  ...permissions,
  ...identityProviders,
  ...openWork,
  ...changes,
  ...observing,
  ...administration,
  ...traces,
  ...revocation,
  ...proofsOfPossession,
  ...commandLine,
  ...developmentIssuers,
  ...adoptedServers,
  ...previousGeneration,
  ...tasks,
  ...rounds,
  ...stdio,
];

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** By name, wherever they are: what tests install of their own they find where they look for it, through the links below. */
const LEFT_OUT = new Set(["node_modules", ".git", "dist", ".bulkhead"]);
/** Folders with packages, of which a copy has a link to the originals. */
const WITH_PACKAGES = ["", "test/conformance/suites", "test/clients/inspector"];
/** Copies in which mutants are tried at the same time: each runs PostgreSQL and a few test files. */
const AT_ONCE = 2;

async function main(): Promise<void> {
  const wanted = process.argv.slice(2);
  const chosen =
    wanted.length === 0 ? MUTANTS : MUTANTS.filter(({ name }) => wanted.some((word) => name.includes(word)));
  const waiting = [...chosen];
  let survivors = 0;
  const tryAll = async (): Promise<void> => {
    const copy = await mkdtemp(join(tmpdir(), "bulkhead-mutants-"));
    try {
      await cp(ROOT, copy, { recursive: true, filter: (source) => !LEFT_OUT.has(basename(source)) });
      for (const folder of WITH_PACKAGES)
        await symlink(join(ROOT, folder, "node_modules"), join(copy, folder, "node_modules"));
      for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
        const verdict = await judge(copy, mutant);
        if (verdict !== "killed") survivors++;
        console.log(`${verdict.padEnd(9)} ${mutant.name}`);
      }
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, tryAll));
  console.log(`${chosen.length - survivors} of ${chosen.length} mutants killed`);
  if (survivors > 0) process.exitCode = 1;
}

type Verdict = "killed" | "survived" | "misplaced" | "broken";

async function judge(copy: string, mutant: Mutant): Promise<Verdict> {
  const file = join(copy, mutant.file);
  const original = await readFile(file, "utf8");
  if (original.split(mutant.from).length !== 2) return "misplaced";
  await writeFile(
    file,
    original.replace(mutant.from, () => mutant.to),
  );
  try {
    return await runTests(copy, mutant.tests);
  } finally {
    await writeFile(file, original);
  }
}

/** A mutant that does not even let tests begin proves nothing: it is broken, not killed. */
function runTests(copy: string, tests: readonly string[]): Promise<Verdict> {
  return new Promise((resolve, reject) => {
    const vitest = join(copy, "node_modules/vitest/vitest.mjs");
    const run = spawn(process.execPath, [vitest, "run", "--reporter", "json", ...tests], {
      cwd: copy,
      stdio: ["ignore", "pipe", "ignore"],
    });
    let output = "";
    run.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    run.once("error", reject);
    run.once("close", () => {
      const report = /\{.*\}/s.exec(output)?.[0];
      const { numPassedTests = 0, numFailedTests = 0 } = (report === undefined ? {} : JSON.parse(report)) as {
        numPassedTests?: number;
        numFailedTests?: number;
      };
      if (numFailedTests > 0) resolve("killed");
      else resolve(numPassedTests > 0 ? "survived" : "broken");
    });
  });
}

await main();
