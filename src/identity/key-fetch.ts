import { lookup } from "node:dns/promises";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { isLoopbackAddress, isSpecialAddress } from "./private-addresses.ts";

/** Reads a key set. Rejects with an error whose message names the reason and nothing secret. */
export type KeyFetch = (url: string) => Promise<Uint8Array>;

export interface KeyFetchOptions {
  /** Development: http to this machine, and this machine at all. */
  readonly allowLoopbackHttp: boolean;
  /** Addresses that are not of the public internet: all allowed, none, or only for the host names listed. */
  readonly allowPrivateAddresses: boolean | readonly string[];
  /** Milliseconds for the whole exchange. Default 3,000. */
  readonly timeoutMs?: number;
  /** Resolves a host name to all its addresses; the system's resolver by default. */
  readonly resolve?: (hostname: string) => Promise<readonly { address: string; family: number }[]>;
}

const TIMEOUT_MS = 3000;
const MAX_BYTES = 262_144;

/**
 * A GET that an address under an outsider's control cannot turn against us: https only, no redirects, bounded in time
 * and size, and no connection to an address that is not public. The address checked is the address connected to, so
 * that a name that resolves differently the second time gains nothing.
 */
export function createKeyFetch(options: KeyFetchOptions): KeyFetch {
  const resolve = options.resolve ?? ((hostname: string) => lookup(hostname, { all: true }));
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;

  function mayConnect(url: URL, hostname: string, address: string): boolean {
    if (url.protocol === "http:") return isLoopbackAddress(address);
    if (!isSpecialAddress(address)) return true;
    if (options.allowLoopbackHttp && isLoopbackAddress(address)) return true;
    const allowed = options.allowPrivateAddresses;
    return typeof allowed === "boolean" ? allowed : allowed.includes(hostname);
  }

  return async (address) => {
    const url = new URL(address);
    const hostname = url.hostname.replace(/^\[|\]$/g, "");
    if (url.protocol !== "https:" && !(url.protocol === "http:" && options.allowLoopbackHttp)) {
      throw new Error("the address is not https");
    }
    if (url.username !== "" || url.password !== "") throw new Error("the address contains credentials");
    if (isIP(hostname) !== 0 && !mayConnect(url, hostname, hostname))
      throw new Error("the address is not public");

    const guardedLookup: LookupFunction = (name, wanted, done) => {
      resolve(name).then(
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
    return read(url, guardedLookup, AbortSignal.timeout(timeoutMs));
  };
}

function read(url: URL, guardedLookup: LookupFunction, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const request = url.protocol === "https:" ? httpsRequest : httpRequest;
    const outgoing = request(
      url,
      {
        agent: false,
        lookup: guardedLookup,
        signal,
        headers: { accept: "application/jwk-set+json, application/json", "accept-encoding": "identity" },
      },
      (response) => collect(response).then(resolve, reject),
    );
    // Not once: a connection that is cut may report more than one error.
    outgoing.on("error", reject);
    outgoing.end();
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
