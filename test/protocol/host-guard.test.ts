import { expect, test } from "vitest";
import { createHostGuard, isLoopback } from "../../src/protocol/host-guard.ts";

const guardOf = (publicUrl: string, hosts: string[] = [], origins: string[] = []) => {
  const guard = createHostGuard({ publicUrl: new URL(publicUrl), hosts, origins });
  return (host: string | undefined, origin?: string): string =>
    guard.check({
      headers: { ...(host === undefined ? {} : { host }), ...(origin === undefined ? {} : { origin }) },
      rawHeaders: host === undefined ? [] : ["Host", host],
    })?.code ?? "served";
};

test.each<[host: string | undefined, origin: string | undefined, answer: string]>([
  ["mcp.example.com", undefined, "served"],
  ["MCP.Example.COM", undefined, "served"],
  ["mcp.example.com", "https://mcp.example.com", "served"],
  ["mcp.example.com", "https://console.example.com:8443", "served"],
  ["internal:9000", undefined, "served"],
  ["INTERNAL:9000", undefined, "served"],
  ["[fd00::1]:9000", undefined, "served"],

  [undefined, undefined, "host_refused"],
  ["", undefined, "host_refused"],
  ["mcp.example.com:8443", undefined, "host_refused"],
  ["mcp.example.com.", undefined, "host_refused"],
  ["mcp.example.com.evil.com", undefined, "host_refused"],
  ["evil.com", undefined, "host_refused"],
  ["mcp.example.com@evil.com", undefined, "host_refused"],
  ["mcp.example.com, evil.com", undefined, "host_refused"],
  ["localhost", undefined, "host_refused"],
  ["127.0.0.1", undefined, "host_refused"],
  ["internal", undefined, "host_refused"],
  ["mcp.example.com", "http://mcp.example.com", "host_refused"],
  ["mcp.example.com", "https://mcp.example.com:443", "host_refused"],
  ["mcp.example.com", "https://mcp.example.com/", "host_refused"],
  ["mcp.example.com", "https://evil.com", "host_refused"],
  ["mcp.example.com", "null", "host_refused"],
  ["mcp.example.com", "", "host_refused"],
  ["mcp.example.com", "https://console.example.com", "host_refused"],
])("on https://mcp.example.com: Host %s, Origin %s: %s", (host, origin, answer) => {
  const check = guardOf(
    "https://mcp.example.com",
    ["Internal:9000", "[FD00::1]:9000"],
    ["https://console.example.com:8443"],
  );
  expect(check(host, origin)).toBe(answer);
});

test.each(["http://127.0.0.1:8787", "http://localhost:8787", "http://[::1]:8787"])(
  "on %s every name of loopback is served on that port, and no other",
  (url) => {
    const check = guardOf(url);
    for (const name of ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"]) {
      expect([name, check(`${name}:8787`)]).toEqual([name, "served"]);
      expect([name, check(`${name}:8787`, `http://${name.toLowerCase()}:8787`)]).toEqual([name, "served"]);
      expect([name, check(`${name}:8788`)]).toEqual([name, "host_refused"]);
      expect([name, check(name)]).toEqual([name, "host_refused"]);
      expect([name, check(`${name}:8787`, `https://${name}:8787`)]).toEqual([name, "host_refused"]);
      expect([name, check(`${name}:8787`, `http://${name}`)]).toEqual([name, "host_refused"]);
    }
    // Names that a resolver of the attacker's, or a lenient parser, may take for loopback.
    for (const host of [
      "127.0.0.2:8787",
      "127.1:8787",
      "2130706433:8787",
      "0x7f000001:8787",
      "0.0.0.0:8787",
      "::1:8787",
      "[::1%25eth0]:8787",
      "[0:0:0:0:0:0:0:1]:8787",
      "[::ffff:127.0.0.1]:8787",
      "[::1]",
      "localhost.:8787",
      "localhost.evil.com:8787",
      "127.0.0.1.nip.io:8787",
    ])
      expect([host, check(host)]).toEqual([host, "host_refused"]);
  },
);

test("on the default port names have no port", () => {
  const check = guardOf("http://localhost");
  expect([check("localhost"), check("[::1]", "http://[::1]"), check("127.0.0.1:80")]).toEqual([
    "served",
    "served",
    "host_refused",
  ]);
});

test("a public IPv6 address is served in brackets", () => {
  const check = guardOf("https://[2001:DB8::1]:8443");
  expect(check("[2001:db8::1]:8443", "https://[2001:db8::1]:8443")).toBe("served");
  expect(check("[2001:DB8::1]:8443")).toBe("served");
  expect(check("2001:db8::1:8443")).toBe("host_refused");
  expect(check("[::1]:8443")).toBe("host_refused");
});

test.each<[string, boolean]>([
  ["localhost", true],
  ["127.0.0.1", true],
  ["127.8.9.10", true],
  ["::1", true],
  ["[::1]", true],
  ["0.0.0.0", false],
  ["[::]", false],
  ["::", false],
  ["128.0.0.1", false],
  ["127.0.0.1.evil.com", false],
  ["evil.com", false],
  ["localhost.evil.com", false],
  ["", false],
])("%s is loopback: %s", (name, loopback) => {
  expect(isLoopback(name)).toBe(loopback);
});

test("two Host headers are refused, also where the first is served", () => {
  const guard = createHostGuard({ publicUrl: new URL("https://mcp.example.com"), hosts: [], origins: [] });
  const headers = { host: "mcp.example.com" };
  expect(guard.check({ headers, rawHeaders: ["Host", "mcp.example.com"] })).toBeNull();
  expect(guard.check({ headers, rawHeaders: ["Host", "mcp.example.com", "hOST", "evil.com"] })?.code).toBe(
    "host_refused",
  );
});
