import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { errorRow } from "../../src/core/error-table.ts";
import { codesIn, ROOT, readPage, tableOf } from "./page.ts";
import { openShell, type Shell } from "./shell.ts";

/** Options that have a place of their own: every command's, and those of all commands that talk to a server. */
const EVERYWHERE = ["-h, --help"];

const page = await readPage("docs/command-line.md");
let shell: Shell;
beforeAll(async () => {
  shell = await openShell();
});
afterAll(() => shell.close());

/** A command as the page has it: its name, its arguments as they are typed, and the options of its table. */
interface Documented {
  readonly name: string;
  readonly argument: string;
  readonly options: readonly string[];
}

const [, common = ""] = page.split("\n## Commands of a running server\n");
const COMMON = tableOf(common, "option").flatMap(([option = ""]) => codesIn(option));
const DOCUMENTED: readonly Documented[] = page
  .split("\n### ")
  .slice(1)
  .map((text) => {
    const [, name = "", argument = ""] = /^bulkhead ([a-z -]*[a-z])( .*)?\n/.exec(text) ?? [];
    const options = tableOf(text, "option").flatMap(([option = ""]) => codesIn(option));
    return {
      name,
      argument: argument.trim(),
      options: name.includes(" ") ? [...COMMON, ...options] : options,
    };
  });

async function helpOf(command: string): Promise<string> {
  const { status, out } = await shell.run(`bulkhead ${command} --help`);
  expect([command, status]).toEqual([command, 0]);
  return out;
}

const namesIn = (help: string, heading: string): string[] => {
  const [, rest = ""] = help.split(`\n${heading}:\n`);
  const [list = ""] = rest.split("\n\n");
  return [...list.matchAll(/^ {2}(\S.*?)(?: {2,}|$)/gm)].map(([, name]) => name ?? "");
};

/** Names of the commands below one, of which none is only for us. */
const commandsIn = (help: string): string[] =>
  namesIn(help, "Commands")
    .map((name) => name.split(" ")[0] ?? "")
    .filter((name) => name !== "help");

test("every command that help names is on the page, and the reverse", async () => {
  const groups = await Promise.all(
    commandsIn(await helpOf("")).map(async (name) => ({ name, below: commandsIn(await helpOf(name)) })),
  );
  const named = groups.flatMap(({ name, below }) =>
    below.length === 0 ? [name] : below.map((command) => `${name} ${command}`),
  );
  expect(DOCUMENTED.map(({ name }) => name)).toEqual(named);
});

test.each(DOCUMENTED.map((one) => [one.name, one] as const))(
  "bulkhead %s: every argument and option that help names is on the page, and the reverse",
  async (name, { argument, options }) => {
    const help = await helpOf(name);
    const usage = /^Usage: bulkhead (.*)$/m.exec(help)?.[1];
    expect(usage).toBe(`${name} [options] ${argument}`.trim());
    const named = namesIn(help, "Options").filter((option) => !EVERYWHERE.includes(option));
    expect(options.toSorted()).toEqual(named.toSorted());
  },
);

test("the variables of the page are those that the code reads, and no others", async () => {
  const directory = join(ROOT, "src/cli");
  const files = await readdir(directory);
  const code = (await Promise.all(files.map((file) => readFile(join(directory, file), "utf8")))).join("\n");
  const read = new Set([...code.matchAll(/\benv\.([A-Z_]+)/g)].map(([, name]) => name));
  const documented = tableOf(page, "variable").flatMap(([variable = ""]) => codesIn(variable));
  expect(documented.toSorted()).toEqual([...read].toSorted());
});

test("exit status and the form of errors are as the page says", async () => {
  expect(await shell.run("bulkhead keys list --tenant acme")).toMatchObject({ status: 1, out: "" });
  expect(await shell.run("bulkhead keys list")).toMatchObject({ status: 2, out: "" });
  const { status, err } = await shell.run("bulkhead keys list --tenant acme --json");
  expect(status).toBe(1);
  const { text } = errorRow("server_unreachable");
  expect(JSON.parse(err)).toEqual({
    event: "error",
    code: "server_unreachable",
    message: expect.stringContaining(text.slice(0, 10)),
    remedy: expect.any(String),
  });
});
