import { chown, mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { processStart } from "../../src/data/embedded/process-identity.ts";
import { type EnterableCheckout, enterableCheckout } from "../support/enterable-checkout.ts";
import { mcp } from "../support/mcp-request.ts";
import { createCommandBench } from "./bulkhead-command.ts";

const NOBODY = 65_534;
/** Only root can be somebody else; otherwise the other tests run as an ordinary user anyway. */
const canChangeUser = process.getuid?.() === 0;

const bench = createCommandBench();
let checkout: EnterableCheckout;
beforeAll(async () => {
  checkout = await enterableCheckout(NOBODY);
});
afterAll(async () => {
  await bench.close();
  await checkout.remove();
});

test.runIf(canChangeUser)("dev runs as an ordinary user, with everything in its data directory", async () => {
  const home = await bench.directory();
  await chown(home, NOBODY, NOBODY);
  const dataDir = join(home, "data");
  const dev = bench.run(["--port", "0", "--data-dir", dataDir, "--json"], {
    checkout: checkout.root,
    uid: NOBODY,
    env: { HOME: home },
  });
  const line = await dev.ready();
  const [acme] = line.tenants;
  expect((await mcp(acme?.mcp ?? "", acme?.token ?? "", "tools/list")).status).toBe(200);
  // npm keeps its own log there.
  expect((await readdir(home)).filter((name) => name !== ".npm")).toEqual(["data"]);
  expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
  for (const name of await readdir(dataDir, { recursive: true })) {
    // Files of the server come and go.
    const found = await stat(join(dataDir, name)).catch(() => null);
    expect(found?.uid ?? NOBODY).toBe(NOBODY);
  }
  const postmaster = Number(
    (await readFile(join(dataDir, "postgresql", "data", "postmaster.pid"), "utf8")).split("\n", 1)[0],
  );
  dev.signal("SIGTERM", "group");
  await dev.ended;
  expect(await processStart(postmaster)).toBeNull();
});

test.runIf(canChangeUser)(
  "a data directory that this user may not write is named, with what to do",
  async () => {
    const home = await bench.directory();
    const dataDir = join(home, "theirs");
    await mkdir(dataDir, { mode: 0o755 });
    const dev = bench.run(["--port", "0", "--data-dir", dataDir, "--json"], {
      checkout: checkout.root,
      uid: NOBODY,
      env: { HOME: home },
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
