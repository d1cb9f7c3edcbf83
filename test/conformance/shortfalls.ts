import type { SuiteRun } from "./suite-run.ts";

/** What stands between a run and what was expected of it, a line each; none if nothing does. A warning is not passing. */
export function shortfalls(run: SuiteRun, passing: Readonly<Record<string, number>>): string[] {
  const lines = [...run.scenarios.keys()]
    .filter((scenario) => !Object.hasOwn(passing, scenario))
    .map((scenario) => `${scenario}: not expected to run`);
  for (const [scenario, expected] of Object.entries(passing)) {
    const checks = run.scenarios.get(scenario);
    if (checks === undefined) {
      lines.push(`${scenario}: did not run`);
      continue;
    }
    for (const { id, name, status, errorMessage } of checks) {
      if (status === "FAILURE" || status === "WARNING")
        lines.push(`${scenario}: ${status} ${id} (${name}): ${errorMessage ?? "no message"}`);
    }
    const passed = checks.filter((check) => check.status === "SUCCESS").length;
    if (passed !== expected) lines.push(`${scenario}: ${passed} checks passed instead of ${expected}`);
  }
  return lines;
}

/** How many checks passed in all. */
export function passedChecks(run: SuiteRun): number {
  return [...run.scenarios.values()].flat().filter((check) => check.status === "SUCCESS").length;
}
