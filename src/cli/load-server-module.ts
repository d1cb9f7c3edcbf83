import { access, readFile } from "node:fs/promises";
import { dirname, extname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { isServerDefinition, type ServerDefinition } from "../catalog/define.ts";
import { Fault } from "../core/fault.ts";

/**
 * Loads a server module as it is written, TypeScript or JavaScript.
 * @throws Fault `module_not_found`, `module_failed` or `module_has_no_server`
 */
export async function loadServerModule(path: string): Promise<ServerDefinition> {
  const file = resolve(path);
  try {
    await access(file);
  } catch (cause) {
    throw new Fault("module_not_found", { detail: `There is no ${file}.`, cause });
  }
  await refuseCommonJs(file);
  const { register } = await import("tsx/esm/api");
  register();
  try {
    const module: { readonly default?: unknown; readonly server?: unknown } = await import(
      pathToFileURL(file).href
    );
    for (const name of ["default", "server"] as const) {
      // Adopting a server takes a while: the promise of one will do.
      const exported = await module[name];
      if (isServerDefinition(exported)) return exported;
    }
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    throw new Fault("module_failed", { detail: `${file}:\n${ownFrames(cause)}`, cause });
  }
  throw new Fault("module_has_no_server", { detail: `Looked in ${file}.` });
}

/**
 * TypeScript that counts as CommonJS gets a second copy of this package, whose `currentTenant` knows no tenant and whose
 * `CallerError` is another class: it would fail at its first call, and in ways that say nothing of the cause.
 */
async function refuseCommonJs(file: string): Promise<void> {
  const type = extname(file);
  const settings = type === ".ts" || type === ".tsx" ? await nearestPackage(dirname(file)) : null;
  if (type !== ".cts" && (settings === null || settings.type === "module")) return;
  throw new Fault("module_failed", {
    detail:
      settings === null
        ? `${file} is a CommonJS module by its name.`
        : `${file} counts as a CommonJS module: ${settings.path === null ? "there is no package.json that says" : `${settings.path} does not say`} "type": "module".`,
    remedy:
      'Set "type": "module" in package.json (npm pkg set type=module), or give the file a name that ends in .mts.',
  });
}

/** The package.json that decides what a file's modules are (Node.js, "Determining module system"). */
async function nearestPackage(
  directory: string,
): Promise<{ readonly path: string | null; readonly type: unknown }> {
  const path = join(directory, "package.json");
  const text = await readFile(path, "utf8").catch(() => null);
  if (text === null) {
    const above = dirname(directory);
    return above === directory ? { path: null, type: undefined } : nearestPackage(above);
  }
  try {
    return { path, type: (JSON.parse(text) as { type?: unknown } | null)?.type };
  } catch {
    // Node says what is wrong with it.
    return { path, type: "module" };
  }
}

/** An exception as its author needs it: without the frames of Node, of dependencies and of this loader. */
function ownFrames(cause: unknown): string {
  const lines = (cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)).split("\n");
  const loader = lines.findIndex((line) => /^\s+at (?:async )?loadServerModule \(/.test(line));
  return lines
    .slice(0, loader === -1 ? lines.length : loader)
    .filter((line) => !/^\s+at (?:async )?(?:.* \()?(?:node:|\S*[/\\]node_modules[/\\])/.test(line))
    .join("\n");
}
