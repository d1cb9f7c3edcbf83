import { spawnSync } from "node:child_process";
import { autocannon } from "./autocannon.ts";
import type { LoadGenerator } from "./load-generator.ts";
import { wrk } from "./wrk.ts";

/** wrk where it is installed. autocannon, in JavaScript, otherwise: it cannot offer what a bare server can take. */
export function chooseLoadGenerator(): LoadGenerator {
  // It exits with 1 after telling its version, so only whether it could be started counts.
  const asked = spawnSync("wrk", ["--version"], { encoding: "utf8" });
  return asked.error === undefined ? wrk(/^wrk (\S+)/.exec(asked.stdout)?.[1] ?? "") : autocannon();
}
