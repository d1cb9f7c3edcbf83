import type { IncomingMessage, ServerResponse } from "node:http";

/**
 * Lets a response that waits for others on its connection (HTTP/1.1 pipelining) close when the connection does. Node gives
 * it the connection only when its turn comes, so that it would never hear of that: its call would go on for nobody, and its
 * stream and its place would be held for ever.
 */
export function closeWithConnection(req: IncomingMessage, res: ServerResponse): void {
  const { socket } = req;
  if (res.socket !== null || res.destroyed) return;
  const close = (): void => {
    // In its turn Node closes it.
    if (res.socket !== null || res.destroyed) return;
    res.destroy();
    res.emit("close");
  };
  if (socket.destroyed) {
    process.nextTick(close);
    return;
  }
  // Each one that waits is a listener: past ten Node would warn of a leak, in the log, at anybody's wish.
  socket.setMaxListeners(0);
  socket.once("close", close);
  res.once("close", () => socket.off("close", close));
}
