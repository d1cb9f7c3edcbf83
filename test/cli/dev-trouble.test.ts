import { writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectionSettings } from "../../src/data/connection-settings.ts";
import { migrate } from "../../src/data/migrate.ts";
import { createCommandBench, fixture, HELPDESK, type RunningCommand } from "./bulkhead-command.ts";
import { createEmptyDatabase, type EmptyDatabase } from "./empty-database.ts";

const bench = createCommandBench();
let database: EmptyDatabase;
beforeAll(async () => {
  database = await createEmptyDatabase();
});
afterAll(async () => {
  await bench.close();
  await database.drop();
});

/** `bulkhead dev` with an empty database, which no trouble of a module touches. */
async function dev(module: string, ...more: string[]): Promise<RunningCommand> {
  const dataDir = join(await bench.directory(), "data");
  const command = bench.run(["dev", module, "--port", "0", "--data-dir", dataDir, ...more], {
    env: { DATABASE_URL: database.url },
  });
  await command.ended;
  return command;
}

/** Exit status 1, and nothing said but this one line. */
async function expectRefusal(
  command: RunningCommand,
  error: { code: string; message: unknown; remedy: unknown },
): Promise<void> {
  expect(await command.ended).toEqual({ status: 1, signal: null });
  expect(command.stdout()).toBe("");
  expect(command.errorLines()).toEqual([{ event: "error", ...error }]);
  expect(command.stderr().trimEnd().split("\n")).toHaveLength(1);
}

describe("what keeps dev from serving is named, with what to do", { concurrent: true }, () => {
  test("for people: text, code and remedy, and the stack of their own file only", async () => {
    const command = await dev(fixture("throws.ts"));
    expect((await command.ended).status).toBe(1);
    expect(command.stdout()).toBe("");
    const file = fixture("throws.ts");
    expect(command.stderr()).toBe(
      [
        `bulkhead: The server module failed while it was loaded. ${file}:`,
        "TypeError: settings.json has no colour",
        `    at readSettings (${file}:2:9)`,
        `    at <anonymous> (${file}:5:16)`,
        "  code:   module_failed",
        "  remedy: Correct the error shown.",
        "",
      ].join("\n"),
    );
  });

  test("a module that does not exist", async () => {
    await expectRefusal(await dev("no/such/module.ts", "--json"), {
      code: "module_not_found",
      message: expect.stringMatching(/There is no \/.*\/no\/such\/module\.ts\.$/),
      remedy: expect.stringContaining("path"),
    });
  });

  test("a module without a server, whatever it has left running", async () => {
    await expectRefusal(await dev(fixture("no-server.ts"), "--json"), {
      code: "module_has_no_server",
      message: expect.stringContaining(fixture("no-server.ts")),
      remedy: expect.stringContaining("export default defineServer("),
    });
  });

  test("a module that ends its process", async () => {
    await expectRefusal(await dev(fixture("ends-its-process.ts"), "--json"), {
      code: "module_failed",
      message: expect.stringContaining("exit status 0"),
      remedy: expect.any(String),
    });
  });

  test("two tools of one name", async () => {
    await expectRefusal(await dev(fixture("two-of-a-name.ts"), "--json"), {
      code: "server_invalid",
      message: expect.stringContaining('two tools are named "echo"'),
      remedy: expect.any(String),
    });
  });

  test("a schema that cannot be turned into JSON Schema", async () => {
    await expectRefusal(await dev(fixture("no-json-schema.ts"), "--json"), {
      code: "schema_unrepresentable",
      message: expect.stringMatching(/input of tool "when".*Date/),
      remedy: expect.stringContaining("dates as strings"),
    });
  });

  test("a port that is taken", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as AddressInfo;
    await expectRefusal(await dev(HELPDESK, "--json", "--port", String(port)), {
      code: "port_taken",
      message: expect.stringContaining(`127.0.0.1:${port}`),
      remedy: expect.stringContaining("--port"),
    });
    other.close();
  });

  test("a data directory that cannot be made", async () => {
    const file = join(await bench.directory(), "file");
    await writeFile(file, "");
    await expectRefusal(await dev(HELPDESK, "--json", "--data-dir", file), {
      code: "data_dir_unwritable",
      message: expect.stringContaining(`${file} (a file is in the way)`),
      remedy: expect.stringContaining("--data-dir"),
    });
  });
});

describe("a database that is not for development", () => {
  /** Everything that a migration would change. */
  const INVENTORY = `
    SELECT (SELECT json_agg(c.oid::regclass::text ORDER BY c.oid) FROM pg_class c WHERE c.relnamespace::regnamespace::text !~ '^pg_') AS relations,
           (SELECT json_agg(nspname ORDER BY oid) FROM pg_namespace) AS schemas,
           (SELECT datacl::text FROM pg_database WHERE datname = current_database()) AS rights`;

  async function expectUntouched(theirs: EmptyDatabase, message: unknown): Promise<void> {
    const before = await theirs.query(INVENTORY);
    const command = bench.run(
      ["dev", HELPDESK, "--port", "0", "--data-dir", join(await bench.directory(), "data"), "--json"],
      {
        env: { DATABASE_URL: theirs.url },
      },
    );
    await expectRefusal(command, {
      code: "database_not_development",
      message,
      remedy: "bulkhead dev uses an empty database or one that it made itself; give it another DATABASE_URL.",
    });
    expect(await theirs.query(INVENTORY)).toEqual(before);
  }

  test("is refused and left as it was when it contains what others have made", async () => {
    const theirs = await createEmptyDatabase();
    try {
      await theirs.query(
        "CREATE TABLE invoices (id int); CREATE SCHEMA ledger; CREATE FUNCTION ledger.tax(int) RETURNS int RETURN 1",
      );
      await expectUntouched(
        theirs,
        expect.stringContaining("It contains table invoices, function ledger.tax(integer), schema ledger."),
      );
    } finally {
      await theirs.drop();
    }
  });

  test("is refused and left as it was when it is a production database", async () => {
    const production = await createEmptyDatabase();
    try {
      await migrate(connectionSettings(production.url), { mode: "production" });
      await expectUntouched(production, expect.stringContaining("production"));
    } finally {
      await production.drop();
    }
  });
});
