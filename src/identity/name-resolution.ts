import { Resolver } from "node:dns/promises";

/** One address of a host name; `family` is 4 or 6. */
export interface NameAddress {
  readonly address: string;
  readonly family: number;
}

/** Milliseconds for the first try; the second gets more. A name server that is down is passed over within the exchange. */
const TIMEOUT_MS = 800;
const TRIES = 2;

/**
 * All addresses that the name servers have for a name that an outsider chose. The system's resolver would hold one of few
 * threads for as long as the outsider's name server keeps silent, past any time-out of ours, and everybody's names would
 * wait for those threads; this one holds a socket. It knows no hosts file and no search domains.
 *
 * @param options.signal gives up, and frees what the question held.
 * @param options.nameServers addresses with ports; those of the system by default.
 * @throws Error where the name has no address, or no name server answers.
 */
export async function askNameServers(
  hostname: string,
  options: { readonly signal: AbortSignal; readonly nameServers?: readonly string[] | undefined },
): Promise<readonly NameAddress[]> {
  const { signal, nameServers } = options;
  signal.throwIfAborted();
  // One for each question: its source port is not known beforehand, and it can be given up alone.
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  if (nameServers !== undefined) resolver.setServers(nameServers);
  const giveUp = () => resolver.cancel();
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
    const found = [...addresses(v4, 4), ...addresses(v6, 6)];
    if (found.length === 0 && v4.status === "rejected") throw v4.reason;
    return found;
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

function addresses(answer: PromiseSettledResult<readonly string[]>, family: number): readonly NameAddress[] {
  return answer.status === "fulfilled" ? answer.value.map((address) => ({ address, family })) : [];
}
