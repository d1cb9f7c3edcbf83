import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCommandBench } from "../cli/bulkhead-command.ts";
import { GATES } from "./gates.ts";
import { installedSuites } from "./installed-suites.ts";
import { passedChecks, shortfalls } from "./shortfalls.ts";
import { runSuite, type SuiteRun } from "./suite-run.ts";

/** Installing the suites, once. */
const INSTALLATION_MS = 180_000;

const bench = createCommandBench();
let endpoints: readonly string[];
let runs: readonly SuiteRun[];

/** The command as anybody runs it, with a tenant for each suite: they run at the same time. */
beforeAll(async () => {
  const dataDir = join(await bench.directory(), "data");
  const dev = bench.run([
    "dev",
    "examples/conformance/server.ts",
    "--port",
    "0",
    "--data-dir",
    dataDir,
    "--json",
  ]);
  const [suites, { tenants }] = await Promise.all([installedSuites(), dev.ready()]);
  endpoints = tenants.map(({ mcp }) => mcp);
  runs = await Promise.all(
    GATES.map(({ suite }, index) => {
      const tenant = tenants[index];
      if (tenant === undefined) throw new TypeError("The fixture has a tenant for each gate.");
      return runSuite(suites, tenant, suite);
    }),
  );
}, INSTALLATION_MS);
afterAll(() => bench.close());

for (const [index, { title, passing, total }] of GATES.entries()) {
  describe(`the official suite, ${title}`, () => {
    test("every scenario passes without a warning, with as many checks as it has", () => {
      expect(shortfalls(runOf(index), passing)).toEqual([]);
    });

    test(`${total} checks pass`, () => {
      expect(passedChecks(runOf(index))).toBe(total);
    });
  });
}

test("who brings no token is let in nowhere: all of this went through authentication", async () => {
  expect(endpoints).toHaveLength(GATES.length);
  for (const endpoint of endpoints) {
    const { status, headers } = await fetch(endpoint, { method: "POST", body: "{}" });
    expect([status, headers.get("www-authenticate")]).toEqual([401, expect.stringMatching(/^Bearer /)]);
  }
});

test("a scenario that fails, warns, has fewer checks, did not run or is not known is a shortfall", () => {
  const check = (id: string, status: "SUCCESS" | "FAILURE" | "WARNING" | "INFO", errorMessage?: string) => ({
    id,
    name: id,
    status,
    errorMessage,
  });
  const run: SuiteRun = {
    scenarios: new Map([
      ["good", [check("a", "SUCCESS"), check("b", "INFO")]],
      ["failing", [check("a", "SUCCESS"), check("b", "FAILURE", "it broke")]],
      ["warning", [check("a", "WARNING")]],
      ["thin", [check("a", "SUCCESS")]],
      ["new", []],
    ]),
  };
  const passing = { good: 1, failing: 1, warning: 0, thin: 2, absent: 1 };
  expect(shortfalls(run, passing)).toEqual([
    "new: not expected to run",
    "failing: FAILURE b (b): it broke",
    "warning: WARNING a (a): no message",
    "thin: 1 checks passed instead of 2",
    "absent: did not run",
  ]);
  expect(passedChecks(run)).toBe(3);
});

function runOf(index: number): SuiteRun {
  const run = runs[index];
  if (run === undefined) throw new TypeError("Every gate has a run.");
  return run;
}
