import { type FSWatcher, watch } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname, join, sep } from "node:path";

/** Changes within this long are one change, in milliseconds: editors write a file in several steps. */
const SETTLE_MS = 150;
/** Most directories watched. A watch is a resource of the whole machine. */
const MOST_DIRECTORIES = 2_000;
const WATCHED = /\.([cm]?[jt]sx?|json|sql)$/;

export interface ModuleWatch {
  close(): void;
}

/**
 * Tells of changes of source files in the module's directory and below, but for dependencies and hidden directories.
 * Each directory is watched by itself: on Linux a recursive watch of Node 20 would watch every file of node_modules too.
 *
 * @param except a directory whose changes are our own.
 */
export function watchModule(
  module: string,
  on: { readonly except: string; readonly change: () => void; readonly trouble: (message: string) => void },
): ModuleWatch {
  const watchers = new Map<string, FSWatcher>();
  let closed = false;
  let told = false;
  let timer: NodeJS.Timeout | null = null;
  const changed = (): void => {
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(on.change, SETTLE_MS);
  };
  const trouble = (why: string): void => {
    if (!told) on.trouble(`not every change of the module will be noticed: ${why}`);
    told = true;
  };
  const forget = (directory: string): void => {
    for (const [path, watcher] of watchers) {
      if (path !== directory && !path.startsWith(directory + sep)) continue;
      watcher.close();
      watchers.delete(path);
    }
  };
  /** @param fresh true for a directory that appeared: what is in it may have come before the watch. */
  const add = async (directory: string, fresh: boolean): Promise<void> => {
    if (closed || watchers.has(directory) || directory === on.except) return;
    if (watchers.size >= MOST_DIRECTORIES) return trouble(`only ${MOST_DIRECTORIES} directories are watched`);
    try {
      const watcher = watch(directory, (event, name) => {
        if (name === null) return;
        if (WATCHED.test(name)) changed();
        else if (event === "rename" && isEntered(name)) {
          // Made, removed, or removed and made again.
          forget(join(directory, name));
          void add(join(directory, name), true);
        }
      });
      watcher.on("error", () => forget(directory));
      watchers.set(directory, watcher);
      for (const entry of await readdir(directory, { withFileTypes: true })) {
        if (entry.isDirectory() && isEntered(entry.name)) await add(join(directory, entry.name), fresh);
        else if (fresh && WATCHED.test(entry.name)) changed();
      }
    } catch (error) {
      forget(directory);
      const code = (error as NodeJS.ErrnoException).code;
      // Gone again, or a file.
      if (code !== "ENOENT" && code !== "ENOTDIR") trouble(String((error as Error).message));
    }
  };
  void add(dirname(module), false);
  return {
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      for (const watcher of watchers.values()) watcher.close();
      watchers.clear();
    },
  };
}

function isEntered(directory: string): boolean {
  return directory !== "node_modules" && !directory.startsWith(".");
}
