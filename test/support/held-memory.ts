import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let collect: (() => void) | null = null;

/** Bytes of this process that are held after what is not needed has been let go. */
export function heldMemory(): number {
  if (collect === null) {
    setFlagsFromString("--expose-gc");
    const gc: unknown = runInNewContext("gc");
    if (typeof gc !== "function") throw new TypeError("There is no gc.");
    collect = () => void gc();
  }
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
