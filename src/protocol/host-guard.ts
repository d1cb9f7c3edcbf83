import type { IncomingMessage } from "node:http";
import { type Refusal, refuse } from "../core/refusal.ts";

/** Which Host and Origin values are served: the guard against DNS rebinding (Streamable HTTP, "Security & Endpoint"). */
export interface HostGuard {
  check(request: Pick<IncomingMessage, "headers" | "rawHeaders">): Refusal | null;
}

/**
 * @param publicUrl the server's own URL: its host and origin are always served; where it is a loopback address, the other
 *   names of loopback on the same port are too.
 */
export function createHostGuard(options: {
  readonly publicUrl: URL;
  readonly hosts: readonly string[];
  readonly origins: readonly string[];
}): HostGuard {
  const { publicUrl } = options;
  const hosts = new Set<string>([publicUrl.host, ...options.hosts.map((host) => host.toLowerCase())]);
  const origins = new Set<string>([publicUrl.origin, ...options.origins]);
  if (isLoopback(publicUrl.hostname)) {
    const port = publicUrl.port === "" ? "" : `:${publicUrl.port}`;
    for (const name of ["127.0.0.1", "localhost", "[::1]"]) {
      hosts.add(`${name}${port}`);
      origins.add(`${publicUrl.protocol}//${name}${port}`);
    }
  }
  return {
    check({ headers, rawHeaders }) {
      // Node keeps the first of several Host headers; a proxy in front may have looked at another (RFC 9112 section 3.2).
      if (countOf(rawHeaders, "host") !== 1) return refuse("host_refused");
      const host = headers.host;
      if (host === undefined || !(hosts.has(host) || hosts.has(host.toLowerCase())))
        return refuse("host_refused");
      const origin = headers.origin;
      if (origin !== undefined && !origins.has(origin)) return refuse("host_refused");
      return null;
    },
  };
}

export function isLoopback(hostname: string): boolean {
  return (
    hostname === "localhost" ||
    hostname === "[::1]" ||
    hostname === "::1" ||
    /^127(\.\d{1,3}){3}$/.test(hostname)
  );
}

function countOf(rawHeaders: readonly string[], name: string): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const header = rawHeaders[i];
    if (header !== undefined && header.length === name.length && header.toLowerCase() === name) count++;
  }
  return count;
}
