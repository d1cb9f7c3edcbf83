import type { Bulkhead } from "../server.ts";

/**
 * Keeps serving when a tool's code left a promise that nobody waits for and that rejects, or threw where nobody could catch
 * it: in a timer, or in a listener of `ctx.signal`, which any client sets off by going away. By itself each would end the
 * process, and with it the calls of every tenant. It is put on record instead.
 */
export function goOnAfterFailures(bulkhead: Pick<Bulkhead, "reportFault">): void {
  process.on("unhandledRejection", (cause) =>
    bulkhead.reportFault("A promise that nobody waited for was rejected.", cause),
  );
  process.on("uncaughtException", (cause) =>
    bulkhead.reportFault("Something was thrown where nobody could catch it.", cause),
  );
}
