import { readFileSync } from "node:fs";

/** Seconds of CPU time that a process has used so far, all its threads together; null on a system without Linux's /proc. */
export function cpuSeconds(pid: number): number | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return null;
  }
  // After the name in brackets, which may contain anything: state is field 3, utime 14, stime 15, in ticks of 10 ms.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
