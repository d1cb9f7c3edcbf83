import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "../core/fault.ts";

/** A server whose supervisor was killed a moment ago gives its port up within about this long, in milliseconds. */
const PATIENCE_MS = 600;

/**
 * The port itself, or a free one for 0: known before anything else is started.
 * @throws Fault `port_taken`
 */
export async function freePort(port: number): Promise<number> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await probe(port);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === "EADDRINUSE" && performance.now() < deadline) {
        await delay(50);
        continue;
      }
      if (code === "EADDRINUSE") throw new Fault("port_taken", { detail: `It is 127.0.0.1:${port}.`, cause });
      if (code === "EACCES") {
        throw new Fault("port_taken", {
          detail: `This user may not listen on 127.0.0.1:${port}.`,
          remedy: "Choose a port above 1023 with --port.",
          cause,
        });
      }
      throw cause;
    }
  }
}

function probe(port: number): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once("error", fail);
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => done(typeof address === "object" && address !== null ? address.port : port));
    });
  });
}
