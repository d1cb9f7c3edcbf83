import type { Bulkhead } from "../server.ts";

/**
 * Keeps serving when a tool's code left a promise that nobody waits for and that rejects: by itself that would end the
 * process, and with it the calls of every tenant. It is put on record instead.
 */
export function goOnAfterRejections(bulkhead: Pick<Bulkhead, "reportFault">): void {
  process.on("unhandledRejection", (cause) =>
    bulkhead.reportFault("A promise that nobody waited for was rejected.", cause),
  );
}
