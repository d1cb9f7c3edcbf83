import { afterAll, describe, expect, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { createCommandBench } from "./bulkhead-command.ts";

const bench = createCommandBench();
afterAll(() => bench.close());

describe("a command line that is not understood", { concurrent: true }, () => {
  test.each([
    [["dev", "--prot", "1"], /unknown option '--prot'\n\(Did you mean --port\?\)/],
    [["devv"], /unknown command 'devv'\n\(Did you mean dev\?\)/],
    [["dev", "--port", "http"], /'http'.*A port is a number from 0 to 65535/],
    [[], /Which command\?/],
    [["keys"], /Which command\?/],
    [["keys", "make"], /unknown command 'make'/],
    [["tokens", "issue", "--tenant"], /option '--tenant <tenant>' argument missing/],
  ])("%j: exit status 2", async (args, message) => {
    const command = bench.run([...args]);
    expect(await command.ended).toEqual({ status: 2, signal: null });
    expect(command.stdout()).toBe("");
    expect(command.stderr()).toMatch(message);
    expect(command.stderr()).toMatch(
      /^bulkhead: [\s\S]*\n {2}code: {3}usage\n {2}remedy: bulkhead --help lists .*\n$/,
    );
  });

  test("with --json it is one line of JSON", async () => {
    const command = bench.run(["dev", "--colour", "--json"]);
    expect(await command.ended).toEqual({ status: 2, signal: null });
    expect(JSON.parse(command.stderr())).toEqual({
      event: "error",
      code: "usage",
      message: "unknown option '--colour'",
      remedy: "bulkhead --help lists the commands and their options.",
    });
  });
});

test("--version and --help answer on standard output, with exit status 0", async () => {
  const version = bench.run(["--version"]);
  const help = bench.run(["--help"]);
  expect(await version.ended).toEqual({ status: 0, signal: null });
  expect(version.stdout()).toBe(`${packageJson.version}\n`);
  expect(await help.ended).toEqual({ status: 0, signal: null });
  for (const command of ["dev", "serve", "migrate", "doctor", "issuers", "keys", "tokens", "access"])
    expect(help.stdout()).toMatch(new RegExp(`^  ${command} `, "m"));
  expect(help.stdout()).not.toContain("dev-child");
  expect(version.stderr() + help.stderr()).toBe("");
});
