import { lookup } from "node:dns/promises";
import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { askNameServers, type NameAddress } from "./name-resolution.ts";
import { isLoopbackAddress, isSpecialAddress } from "./private-addresses.ts";

/**
 * Reads what an identity provider answers with status 200. Rejects with an `Error` whose message names the reason and
 * nothing of what was sent or answered.
 */
export type GuardedFetch = (url: string, request?: GuardedRequest) => Promise<Uint8Array>;

export interface GuardedRequest {
  /** Makes it a POST of these fields; without them it is a GET. */
  readonly form?: Readonly<Record<string, string>>;
  readonly authorization?: string;
}

export interface GuardedFetchOptions {
  /** Development: http to this machine, and this machine at all. */
  readonly allowLoopbackHttp: boolean;
  /** Addresses that are not of the public internet: all allowed, none, or only for the host names listed. */
  readonly allowPrivateAddresses: boolean | readonly string[];
  /** Milliseconds for the whole exchange. Default 3,000. */
  readonly timeoutMs?: number;
  /**
   * Resolves a host name to all its addresses. By default the system's resolver does for the names that may be private or
   * of this machine, which its hosts file may have; all others are asked of the name servers.
   */
  readonly resolve?: (hostname: string) => Promise<readonly NameAddress[]>;
  /** Name servers to ask, as addresses with ports; those of the system by default. */
  readonly nameServers?: readonly string[];
}

const TIMEOUT_MS = 3000;
const MAX_BYTES = 262_144;

/**
 * A request that an address under an outsider's control cannot turn against us: https only, no redirects, bounded in
 * time and size, and no connection to an address that is not public. The address checked is the address connected to,
 * so that a name that resolves differently the second time gains nothing.
 */
export function createGuardedFetch(options: GuardedFetchOptions): GuardedFetch {
  const { nameServers } = options;
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;

  function mayConnect(url: URL, hostname: string, address: string): boolean {
    if (url.protocol === "http:") return isLoopbackAddress(address);
    if (!isSpecialAddress(address)) return true;
    if (options.allowLoopbackHttp && isLoopbackAddress(address)) return true;
    return mayBePrivate(hostname);
  }

  function mayBePrivate(hostname: string): boolean {
    const allowed = options.allowPrivateAddresses;
    return typeof allowed === "boolean" ? allowed : allowed.includes(hostname);
  }

  function resolve(hostname: string, signal: AbortSignal): Promise<readonly NameAddress[]> {
    if (options.resolve !== undefined) return options.resolve(hostname);
    return options.allowLoopbackHttp || mayBePrivate(hostname)
      ? lookup(hostname, { all: true })
      : askNameServers(hostname, { signal, nameServers });
  }

  function check(address: string): { url: URL; hostname: string } {
    if (!URL.canParse(address)) throw new Error("the address is not a URL");
    const url = new URL(address);
    const hostname = url.hostname.replace(/^\[|\]$/g, "");
    if (url.protocol !== "https:" && !(url.protocol === "http:" && options.allowLoopbackHttp)) {
      throw new Error("the address is not https");
    }
    if (url.username !== "" || url.password !== "") throw new Error("the address contains credentials");
    if (isIP(hostname) !== 0 && !mayConnect(url, hostname, hostname))
      throw new Error("the address is not public");
    return { url, hostname };
  }

  return async (address, request = {}) => {
    const { url, hostname } = check(address);
    const signal = AbortSignal.timeout(timeoutMs);
    const guardedLookup: LookupFunction = (name, wanted, done) => {
      resolve(name, signal).then(
        (found) => {
          const first = found[0];
          if (first === undefined || !found.every((one) => mayConnect(url, hostname, one.address))) {
            done(new Error("the name has an address that is not public"), "");
          } else if (wanted.all) {
            done(null, [...found]);
          } else {
            done(null, first.address, first.family);
          }
        },
        (error) => done(error, ""),
      );
    };
    try {
      return await exchange(url, request, { agent: false, lookup: guardedLookup, signal });
    } catch (error) {
      if (signal.aborted) throw new Error(`no whole answer within ${timeoutMs} ms`);
      // Only its text: an error of Node's parser carries the raw answer.
      throw new Error(error instanceof Error ? error.message : "the exchange failed");
    }
  };
}

function exchange(url: URL, request: GuardedRequest, options: RequestOptions): Promise<Uint8Array> {
  const body = request.form === undefined ? undefined : new URLSearchParams(request.form).toString();
  const headers: Record<string, string> = {
    accept: "application/json, application/jwk-set+json",
    "accept-encoding": "identity",
  };
  if (request.authorization !== undefined) headers.authorization = request.authorization;
  if (body !== undefined) headers["content-type"] = "application/x-www-form-urlencoded";
  return new Promise((resolve, reject) => {
    const send = url.protocol === "https:" ? httpsRequest : httpRequest;
    const outgoing = send(
      url,
      { ...options, method: body === undefined ? "GET" : "POST", headers },
      (response) => collect(response).then(resolve, reject),
    );
    // Not once: a connection that is cut may report more than one error.
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

async function collect(response: IncomingMessage): Promise<Uint8Array> {
  if (response.statusCode !== 200) {
    response.destroy();
    throw new Error(`the answer has status ${response.statusCode ?? 0}`);
  }
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop early destroys the connection.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BYTES) throw new Error("the answer is over 256 KB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
