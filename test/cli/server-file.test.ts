import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectDone, expectFailed, type Ran, run } from "./admin-commands.ts";
import { createCommandBench, fixture, type RunningCommand } from "./bulkhead-command.ts";
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

test("while bulkhead dev serves, and no longer, the commands find it through a file that is its user's alone", async () => {
  const dataDir = join(await bench.directory(), "data");
  const file = join(dataDir, "server.json");
  const list = (): Promise<Ran> => run(bench, ["keys", "list", "--tenant", "acme", "--data-dir", dataDir]);
  const start = (): RunningCommand =>
    bench.run(["dev", fixture("tools-of-the-process.ts"), "--port", "0", "--data-dir", dataDir, "--json"], {
      env: { DATABASE_URL: database.url },
    });

  // The file is there by the time that anybody is told of the server.
  const killed = start();
  const first = await killed.ready();
  const written = { url: first.url, token: first.admin.token };
  expect(JSON.parse(await readFile(file, "utf8"))).toEqual(written);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
  expectDone(await list());

  killed.signal("SIGKILL", "group");
  await killed.ended;
  expect(JSON.parse(await readFile(file, "utf8"))).toEqual(written);
  expectFailed(await list(), "server_unreachable", `The bulkhead dev of ${dataDir}, at `, "does not answer");

  // Taken up by the next one, whose token is another.
  const next = start();
  const second = await next.ready();
  expect(JSON.parse(await readFile(file, "utf8"))).toEqual({ url: second.url, token: second.admin.token });
  expect(second.admin.token).not.toBe(first.admin.token);
  expectDone(await list());
  next.signal("SIGTERM");
  expect(await next.ended).toEqual({ status: 0, signal: null });
  await expect(readFile(file)).rejects.toThrow("ENOENT");
  expectFailed(await list(), "server_unreachable", `No bulkhead dev serves from ${dataDir}.`);
});
