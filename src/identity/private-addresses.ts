import { BlockList, isIP } from "node:net";

const LOOPBACK = listOf(["127.0.0.0/8"], ["::1/128"]);

/**
 * Addresses that are not of the public internet (IANA special-purpose registries), among them those that embed an
 * IPv4 address (NAT64, 6to4, Teredo, and RFC 2765's translated ones), through which a private one could be reached.
 */
const SPECIAL = listOf(
  [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
  ],
  [
    "::/96",
    "::ffff:0:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
  ],
);

/** True for a literal IP address of this machine. */
export function isLoopbackAddress(address: string): boolean {
  return check(LOOPBACK, address);
}

/** True for a literal IP address that is not of the public internet, and for what is no IP address. */
export function isSpecialAddress(address: string): boolean {
  return isIP(address) === 0 || check(SPECIAL, address);
}

function check(list: BlockList, address: string): boolean {
  const version = isIP(address);
  return version !== 0 && list.check(address, version === 6 ? "ipv6" : "ipv4");
}

function listOf(ipv4: readonly string[], ipv6: readonly string[]): BlockList {
  const list = new BlockList();
  const add = (subnets: readonly string[], family: "ipv4" | "ipv6") => {
    for (const subnet of subnets) {
      const [net = "", bits = ""] = subnet.split("/");
      list.addSubnet(net, Number(bits), family);
    }
  };
  add(ipv4, "ipv4");
  add(ipv6, "ipv6");
  return list;
}
