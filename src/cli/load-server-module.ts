import { access } from "node:fs/promises";
import { resolve } from "node:path";
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
  const { register } = await import("tsx/esm/api");
  register();
  let module: { readonly default?: unknown; readonly server?: unknown };
  try {
    module = await import(pathToFileURL(file).href);
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    throw new Fault("module_failed", { detail: `${file}:\n${ownFrames(cause)}`, cause });
  }
  for (const exported of [module.default, module.server]) {
    if (isServerDefinition(exported)) return exported;
  }
  throw new Fault("module_has_no_server", { detail: `Looked in ${file}.` });
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
