import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { lockDataDir } from "../../src/data/embedded/data-dir-lock.ts";
import { isStillRunning, processStart } from "../../src/data/embedded/process-identity.ts";
import { type EnterableCheckout, enterableCheckout } from "../support/enterable-checkout.ts";
import { startChild } from "./fixtures/data-dir-child.ts";

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

let checkout: EnterableCheckout;
beforeAll(async () => {
  checkout = await enterableCheckout(NOBODY);
});
afterAll(() => checkout.remove());

let scratch: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), "bulkhead-lock-test-"));
});
afterEach(async () => {
  await rm(scratch, { recursive: true, force: true });
});

async function holder(pid: number, start: string): Promise<string> {
  return JSON.stringify({ pid, start, since: "2026-01-01T00:00:00.000Z" });
}

describe("the lock of a data directory", () => {
  test("makes the directory for its owner only, and is free again after its release", async () => {
    const dataDir = join(scratch, "a", "b");
    const lock = await lockDataDir(dataDir);
    expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
    await lock.release();
    const again = await lockDataDir(dataDir);
    await lock.release(); // the first's second release does not free the second
    await expect(lockDataDir(dataDir)).rejects.toMatchObject({ code: "data_dir_in_use" });
    await again.release();
  });

  test("names the living process that holds it", async () => {
    const child = await startChild("lock", scratch);
    try {
      expect(child.said).toMatchObject({ ok: true });
      await expect(lockDataDir(scratch)).rejects.toMatchObject({
        code: "data_dir_in_use",
        detail: expect.stringMatching(new RegExp(`process ${child.pid} since \\d{4}-\\d\\d-\\d\\dT`)),
        remedy: expect.stringContaining(`Stop process ${child.pid}`),
      });
    } finally {
      await child.end();
    }
    await (await lockDataDir(scratch)).release();
  });

  test("is taken over from a process that was killed", async () => {
    const child = await startChild("lock", scratch);
    await child.kill();
    await (await lockDataDir(scratch)).release();
  });

  test("is taken over when the holder's pid belongs to another process now", async () => {
    await writeFile(join(scratch, "lock.7"), await holder(process.pid, "another boot/12345"));
    const lock = await lockDataDir(scratch);
    expect((await readdir(scratch)).sort()).toEqual(["lock.8"]);
    await lock.release();
  });

  test("is taken over when it is damaged", async () => {
    await writeFile(join(scratch, "lock.1"), '{"pid":');
    await (await lockDataDir(scratch)).release();
  });

  test("has one winner among many who find the same dead holder, and leaves no drafts", async () => {
    for (let round = 1; round <= 20; round++) {
      const dataDir = join(scratch, String(round));
      await mkdir(dataDir);
      await writeFile(join(dataDir, `lock.${round}`), await holder(2 ** 22 + 1, "gone"));
      const tries = await Promise.allSettled(Array.from({ length: 8 }, () => lockDataDir(dataDir)));
      const won = tries.filter((one) => one.status === "fulfilled");
      expect(won).toHaveLength(1);
      for (const one of tries) {
        if (one.status === "rejected") {
          expect(one.reason).toMatchObject({ code: "data_dir_in_use" });
        }
      }
      expect(await readdir(dataDir)).toEqual([`lock.${round + 1}`]);
      await won[0]?.value.release();
    }
  });

  test("stays exclusive while it is taken and released by many", async () => {
    let inside = 0;
    let turns = 0;
    const contender = async (): Promise<void> => {
      for (let mine = 0; mine < 5; ) {
        const lock = await lockDataDir(scratch).catch(() => null);
        if (lock !== null) {
          inside += 1;
          expect(inside).toBe(1);
          await readdir(scratch);
          inside -= 1;
          await lock.release();
          turns += 1;
          mine += 1;
        }
      }
    };
    await Promise.all(Array.from({ length: 6 }, contender));
    expect(turns).toBe(30);
  });

  test("says so when a file is in the way", async () => {
    const file = join(scratch, "file");
    await writeFile(file, "");
    await expect(lockDataDir(file)).rejects.toMatchObject({
      code: "data_dir_unwritable",
      detail: `${file} (a file is in the way).`,
    });
  });

  test.runIf(isRoot)("says so when the user may not write there", async () => {
    const child = await startChild("lock", join(scratch, "data"), { uid: NOBODY, root: checkout.root });
    await child.end();
    expect(child.said).toMatchObject({
      ok: false,
      code: "data_dir_unwritable",
      detail: `${join(scratch, "data")} (permission denied).`,
      remedy: expect.stringContaining("--data-dir"),
    });
  });

  test.runIf(isRoot)("says so when the user may enter but not write", async () => {
    await chmod(scratch, 0o755);
    const child = await startChild("lock", scratch, { uid: NOBODY, root: checkout.root });
    await child.end();
    expect(child.said).toMatchObject({ ok: false, code: "data_dir_unwritable" });
  });
});

describe("a process's identity", () => {
  test("is the same at every look, and ends with the process", async () => {
    const start = await processStart(process.pid);
    expect(start).not.toBeNull();
    expect(await processStart(process.pid)).toBe(start);
    expect(await isStillRunning(process.pid, start ?? "")).toBe(true);
    expect(await isStillRunning(process.pid, "another")).toBe(false);
    expect(await processStart(2 ** 22 + 1)).toBeNull();
  });
});
