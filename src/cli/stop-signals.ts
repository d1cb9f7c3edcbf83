/** A Ctrl-C often arrives twice, by the terminal and by npm: within this long it is one wish, in milliseconds. */
const SAME_WISH_MS = 500;

/**
 * Calls `stop` at the first SIGINT, SIGTERM or SIGHUP (the terminal was closed), and `hurry` at a SIGINT after that: by
 * default the process ends at once.
 */
export function onStopSignal(stop: () => void, hurry: () => void = () => process.exit(130)): void {
  let asked: number | null = null;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (asked === null) {
        asked = performance.now();
        stop();
      } else if (signal === "SIGINT" && performance.now() - asked > SAME_WISH_MS) {
        hurry();
      }
    });
  }
}
