import { readdir, readFile } from "node:fs/promises";

/** A process and what it holds, in megabytes of 1,000,000 bytes. */
interface ProcessMemory {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  readonly residentMb: number;
  /** Resident, pages that several processes share counted in parts; null where the system does not tell. */
  readonly proportionalMb: number | null;
}

/** A process and all below it, from Linux's /proc; null on another system. */
export async function processTree(root: number): Promise<readonly ProcessMemory[] | null> {
  if (process.platform !== "linux") return null;
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const all = (await Promise.all(pids.map(readProcess))).filter((found) => found !== null);
  const tree = new Set([root]);
  // A child may be listed before its parent: again until nothing is added.
  for (let size = 0; size !== tree.size; ) {
    size = tree.size;
    for (const found of all) if (tree.has(found.parent)) tree.add(found.pid);
  }
  return all.filter((found) => tree.has(found.pid));
}

/** Null for one that has ended meanwhile. */
async function readProcess(pid: number): Promise<ProcessMemory | null> {
  try {
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    const command = (await readFile(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ").trim();
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "");
    const proportional = /^Pss:\s+(\d+) kB/m.exec(rollup)?.[1];
    return {
      pid,
      parent: Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]),
      command,
      residentMb: megabytes(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? "0"),
      proportionalMb: proportional === undefined ? null : megabytes(proportional),
    };
  } catch {
    return null;
  }
}

/** The kernel's kB are 1,024 bytes. */
function megabytes(kibibytes: string): number {
  return (Number(kibibytes) * 1024) / 1e6;
}
