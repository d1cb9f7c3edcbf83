import { createServer } from "node:net";
import { Fault } from "../core/fault.ts";

/**
 * The port itself, or a free one for 0: known before anything else is started.
 * @throws Fault `port_taken`
 */
export function freePort(port: number): Promise<number> {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.once("error", (cause: NodeJS.ErrnoException) => fail(refusal(port, cause)));
    probe.listen(port, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => done(typeof address === "object" && address !== null ? address.port : port));
    });
  });
}

function refusal(port: number, cause: NodeJS.ErrnoException): Error {
  if (cause.code === "EADDRINUSE")
    return new Fault("port_taken", { detail: `It is 127.0.0.1:${port}.`, cause });
  if (cause.code !== "EACCES") return cause;
  return new Fault("port_taken", {
    detail: `This user may not listen on 127.0.0.1:${port}.`,
    remedy: "Choose a port above 1023 with --port.",
    cause,
  });
}
