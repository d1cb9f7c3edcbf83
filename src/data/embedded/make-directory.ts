import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { systemErrorCode } from "./data-dir-fault.ts";

/**
 * Makes a directory, and those above it that are missing, with a mode. Node's own recursive mkdir tries for ever where
 * the system answers ENOENT although the parent is there, as it does below /proc.
 *
 * @returns whether it was made now.
 */
export async function makeDirectory(path: string, mode: number): Promise<boolean> {
  for (const isLastTry of [false, true]) {
    try {
      await mkdir(path, { mode });
      return true;
    } catch (error) {
      const code = systemErrorCode(error);
      if (code === "EEXIST" && (await stat(path)).isDirectory()) {
        return false;
      }
      if (code !== "ENOENT" || isLastTry || dirname(path) === path) {
        throw error;
      }
      await makeDirectory(dirname(path), mode);
    }
  }
  return false;
}
