import { isIP } from "node:net";
import { Fault } from "../core/fault.ts";

/** Labels of a name: letters of other scripts stand in it as xn--, as they do in a URL's host. */
const NAME = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/i;

/**
 * Hosts that may have private addresses, as the host of a URL is written: they are compared with it.
 * @throws Fault `setting_invalid` for what no URL's host is, such as a range or a pattern: it would allow nothing.
 */
export function parsePrivateHosts(hosts: readonly string[]): readonly string[] {
  return hosts.map((host) => {
    const version = isIP(host);
    const url = version === 6 ? `https://[${host}]` : `https://${host}`;
    if ((version !== 0 || NAME.test(host)) && URL.canParse(url)) {
      const name = new URL(url).hostname.replace(/^\[|\]$/g, "");
      // A name such as 10.1 is an address in disguise.
      if (isIP(name) === version) return name;
    }
    throw new Fault("setting_invalid", {
      detail: `${JSON.stringify(host)} among the hosts that may have private addresses is neither a host name nor an IP address.`,
      remedy: "Name each host by itself, as its URL has it, for example id.corp.example.",
    });
  });
}
