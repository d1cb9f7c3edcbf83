import { chown, mkdir, readdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { processStart } from "../../src/data/embedded/process-identity.ts";
import { mcp } from "../support/mcp-request.ts";
import { createCommandBench, HELPDESK, ROOT } from "./bulkhead-command.ts";

const NOBODY = 65_534;
/** Started by root only: the other tests have run as an ordinary user otherwise. */
const canChangeUser = process.getuid?.() === 0 && (await isReachableByAll(ROOT));

const bench = createCommandBench();
afterAll(() => bench.close());

test.runIf(canChangeUser)("dev runs as an ordinary user, with everything in its data directory", async () => {
  const home = await bench.directory();
  await chown(home, NOBODY, NOBODY);
  const dataDir = join(home, "data");
  const dev = bench.run(["dev", HELPDESK, "--port", "0", "--data-dir", dataDir, "--json"], {
    uid: NOBODY,
    env: { HOME: home, TSX_DISABLE_CACHE: "1" },
  });
  const line = await dev.ready();
  const [acme] = line.tenants;
  expect((await mcp(acme?.mcp ?? "", acme?.token ?? "", "tools/list")).status).toBe(200);
  expect(await readdir(home)).toEqual(["data"]);
  expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
  for (const name of await readdir(dataDir, { recursive: true })) {
    // Files of the server come and go.
    const found = await stat(join(dataDir, name)).catch(() => null);
    expect(found?.uid ?? NOBODY).toBe(NOBODY);
  }
  const postmaster = Number(
    (await readFile(join(dataDir, "postgresql", "data", "postmaster.pid"), "utf8")).split("\n", 1)[0],
  );
  dev.signal("SIGTERM");
  expect(await dev.ended).toEqual({ status: 0, signal: null });
  expect(await processStart(postmaster)).toBeNull();
});

test.runIf(canChangeUser)(
  "a data directory that this user may not write is named, with what to do",
  async () => {
    const home = await bench.directory();
    const dataDir = join(home, "theirs");
    await mkdir(dataDir, { mode: 0o755 });
    const dev = bench.run(["dev", HELPDESK, "--port", "0", "--data-dir", dataDir, "--json"], {
      uid: NOBODY,
      env: { HOME: home, TSX_DISABLE_CACHE: "1" },
    });
    expect(await dev.ended).toEqual({ status: 1, signal: null });
    expect(dev.errorLines()).toEqual([
      {
        event: "error",
        code: "data_dir_unwritable",
        message: expect.stringContaining(dataDir),
        remedy: expect.stringContaining("--data-dir"),
      },
    ]);
  },
);

async function isReachableByAll(folder: string): Promise<boolean> {
  const above = dirname(folder);
  return ((await stat(folder)).mode & 0o005) === 0o005 && (above === folder || isReachableByAll(above));
}
