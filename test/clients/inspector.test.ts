import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { installLocked } from "../support/install-locked.ts";
import { type ClientSetting, openClientSetting } from "./setting.ts";
import type { Target } from "./shown-client.ts";

/** Apart from the project's packages: it brings a web application with it. */
const HOME = new URL("./inspector/", import.meta.url);
const INSPECTOR = fileURLToPath(
  new URL("node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js", HOME),
);

let setting: ClientSetting;
let home: string;
beforeAll(async () => {
  await installLocked(HOME);
  home = await mkdtemp(join(tmpdir(), "bulkhead-inspector-"));
  setting = await openClientSetting();
}, 180_000);
afterAll(async () => {
  await setting?.close();
  await rm(home, { recursive: true, force: true });
});

interface Inspected {
  readonly status: number | null;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the method's result is.
  readonly result: any;
  readonly errors: string;
}

/** Runs the command line once. */
function inspect(target: Target, era: "legacy" | "modern", args: readonly string[]): Promise<Inspected> {
  const options = ["--protocol-era", era, "--format", "json", "--quiet", ...args];
  const where =
    target.kind === "http"
      ? [
          "--server-url",
          target.url,
          "--transport",
          "http",
          "--header",
          `Authorization: Bearer ${target.token}`,
        ]
      : [
          ...["--cwd", target.command.cwd, "-e", `DATABASE_URL=${target.command.env.DATABASE_URL}`],
          ...["--", target.command.command, ...target.command.args],
        ];
  const env = { PATH: process.env.PATH, HOME: home };
  return new Promise((resolve) => {
    execFile(process.execPath, [INSPECTOR, "--cli", ...options, ...where], { env }, (error, out, errors) =>
      resolve({
        status: error === null ? 0 : Number(error.code),
        result: out.startsWith("{") ? JSON.parse(out) : out,
        errors,
      }),
    );
  });
}

describe("the Inspector's command line", { concurrent: true }, () => {
  const CALL = ["--method", "tools/call", "--tool-name", "greet", "--tool-arg", "name=you"];
  const PROMPT = ["--method", "prompts/get", "--prompt-name", "describe", "--prompt-args", "colour=red"];

  test.for([
    ["legacy", ["--method", "tools/list"], '"name":"greet"'],
    ["legacy", PROMPT, "Describe the red thing."],
    ["modern", CALL, '"greeting":"Hello, you!"'],
    ["modern", ["--method", "resources/read", "--uri", "thing://status"], "All is well at acme."],
  ] as const)("over HTTP: %s %j", async ([era, args, shows]) => {
    const { status, result, errors } = await inspect(setting.targets.http, era, args);
    expect([status, errors]).toEqual([0, ""]);
    expect(JSON.stringify(result)).toContain(shows);
  });

  test("tells a tool's error from its success by its exit status", async () => {
    const { http } = setting.targets;
    const { status, result } = await inspect(http, "legacy", [
      "--method",
      "tools/call",
      "--tool-name",
      "say_no",
    ]);
    expect(status).not.toBe(0);
    expect(JSON.stringify(result)).toContain("There is no such thing.");
  });

  test("calls over stdio", async () => {
    const { status, result, errors } = await inspect(setting.targets.stdio, "legacy", CALL);
    expect([status, errors]).toEqual([0, ""]);
    expect(JSON.stringify(result)).toContain('"tenant":"acme"');
  });
});
