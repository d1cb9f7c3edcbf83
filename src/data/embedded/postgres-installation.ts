import { randomBytes } from "node:crypto";
import type { Dirent } from "node:fs";
import { access, chmod, copyFile, mkdir, readdir, rename, rm, stat, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import type { ClusterPlace } from "./cluster-place.ts";
import { systemErrorCode } from "./data-dir-fault.ts";
import type { PlatformPackage } from "./platform-package.ts";

/** Binaries that can be run as the cluster's user. */
export interface PostgresInstallation {
  /** The folder with bin/, lib/ and share/. */
  readonly root: string;
  /** All that the programs get of an environment; undefined on Windows, where they need the system's own. */
  readonly env: NodeJS.ProcessEnv | undefined;
}

/** How old a half-made copy must be before it counts as abandoned, in milliseconds. */
const ABANDONED_AFTER = 10 * 60_000;

/**
 * Makes the binaries of a package runnable at a place: where the cluster runs as another user than we, by a copy that
 * all data directories of this machine share; otherwise where npm put them, with links to the libraries beside the data
 * where npm's install scripts have not made them.
 */
export async function installPostgres(
  pkg: PlatformPackage,
  place: ClusterPlace,
): Promise<PostgresInstallation> {
  if (place.runAs !== null) {
    return { root: await copyOnce(pkg, place.shared), env: environment(place, null) };
  }
  const present = await Promise.all(pkg.links.map((link) => isThere(join(pkg.native, link.name))));
  return {
    root: pkg.native,
    env: environment(place, present.every(Boolean) ? null : await linkLibraries(pkg, place)),
  };
}

/** The path of one of the installation's programs. */
export function programPath(
  installation: PostgresInstallation,
  name: "postgres" | "initdb" | "pg_ctl",
): string {
  return join(installation.root, "bin", process.platform === "win32" ? `${name}.exe` : name);
}

function environment(place: ClusterPlace, libraries: string | null): NodeJS.ProcessEnv | undefined {
  if (process.platform === "win32") {
    return undefined;
  }
  const path = process.platform === "darwin" ? "DYLD_LIBRARY_PATH" : "LD_LIBRARY_PATH";
  return {
    LC_ALL: "C",
    TZ: "UTC",
    HOME: place.directory,
    ...(libraries === null ? {} : { [path]: libraries }),
  };
}

async function linkLibraries(pkg: PlatformPackage, place: ClusterPlace): Promise<string> {
  const folder = join(place.directory, "lib");
  // Made anew each time: the package may have moved, or be another version.
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o700 });
  for (const link of pkg.links) {
    await symlink(join(pkg.native, link.file), join(folder, basename(link.name)));
  }
  // Libraries found by these links look for the others beside the links first, then in the second folder.
  return [folder, join(pkg.native, "lib")].join(":");
}

async function copyOnce(pkg: PlatformPackage, shared: string): Promise<string> {
  const name = `postgresql-${pkg.version}-${process.arch}`;
  const target = join(shared, name);
  if (await isThere(target)) {
    return target;
  }
  await removeAbandoned(shared, `${name}.copy-`);
  const draft = join(shared, `${name}.copy-${randomBytes(6).toString("hex")}`);
  try {
    await copyFolder(pkg.native, draft);
    for (const link of pkg.links) {
      await rm(join(draft, link.name), { force: true });
      await symlink(basename(link.file), join(draft, link.name));
    }
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Another data directory's first start was quicker with the same copy.
    if (!["ENOTEMPTY", "EEXIST"].includes(systemErrorCode(error) ?? "")) {
      throw error;
    }
  }
  return target;
}

async function copyFolder(from: string, to: string): Promise<void> {
  await mkdir(to);
  // Whatever mask we or npm run under, another user must be able to read these files.
  await chmod(to, 0o755);
  const copyEntry = async (entry: Dirent): Promise<void> => {
    const source = join(from, entry.name);
    const copy = join(to, entry.name);
    if (entry.isDirectory()) {
      await copyFolder(source, copy);
    } else if (entry.isFile() && !entry.name.endsWith(".a")) {
      await copyFile(source, copy);
      await chmod(copy, basename(from) === "bin" ? 0o755 : 0o644);
    }
  };
  await Promise.all((await readdir(from, { withFileTypes: true })).map(copyEntry));
}

async function removeAbandoned(shared: string, prefix: string): Promise<void> {
  for (const name of await readdir(shared)) {
    const path = join(shared, name);
    if (name.startsWith(prefix) && Date.now() - (await stat(path)).mtimeMs > ABANDONED_AFTER) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
