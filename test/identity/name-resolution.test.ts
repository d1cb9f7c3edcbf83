import { afterEach, beforeEach, expect, test } from "vitest";
import { createGuardedFetch, type GuardedFetchOptions } from "../../src/identity/guarded-fetch.ts";
import { askNameServers } from "../../src/identity/name-resolution.ts";
import { type FakeIssuer, startFakeIssuer } from "./fake-issuer.ts";
import { type FakeNameServer, startFakeNameServer } from "./fake-name-server.ts";

let names: FakeNameServer;

beforeEach(async () => {
  names = await startFakeNameServer({
    "inside.example": ["127.0.0.1"],
    "both.example": ["93.184.216.34", "::1"],
    "two.example": ["93.184.216.34", "10.0.0.1"],
    "public.example": ["93.184.216.34", "2606:2800:220:1::1"],
    "nowhere.example": [],
  });
});
afterEach(() => names.close());

const production = (changes: Partial<GuardedFetchOptions> = {}) =>
  createGuardedFetch({
    allowLoopbackHttp: false,
    allowPrivateAddresses: false,
    nameServers: [names.address],
    ...changes,
  });
/** Node's own resolver would wait five seconds for each name server. */
const ask = (hostname: string, nameServers: readonly string[] = [names.address]) =>
  askNameServers(hostname, { signal: AbortSignal.timeout(8_000), nameServers });

test("a name has all its addresses of both families", async () => {
  expect(await ask("public.example")).toEqual([
    { address: "93.184.216.34", family: 4 },
    { address: "2606:2800:220:1::1", family: 6 },
  ]);
  expect(names.asked.sort()).toEqual(["public.example A", "public.example AAAA"]);
  await expect(ask("nowhere.example")).rejects.toThrow("ENODATA");
});

test.each(["inside.example", "both.example", "two.example"])(
  "%s is refused, since one of its addresses is not public",
  async (name) => {
    await expect(production()(`https://${name}/jwks`)).rejects.toThrow("not public");
    expect(names.asked.sort()).toEqual([`${name} A`, `${name} AAAA`]);
  },
);

test("names about which nobody answers hold up no other name, and are given up with their exchange", async () => {
  const fetch = production({ timeoutMs: 2000 });
  const silent = Array.from({ length: 64 }, (_, i) => fetch(`https://silent-${i}.example/jwks`));
  const ended = Promise.allSettled(silent);
  const given = [
    fetch("https://inside.example/jwks"),
    production({ allowPrivateAddresses: ["localhost"] })("https://localhost:1/jwks"),
  ];
  const order: string[] = [];
  const noted = [...silent, ...given].map((each, i) =>
    each.catch((error: Error) => void order.push(i < silent.length ? "silent" : error.message)),
  );
  await Promise.all(noted);
  expect(order.slice(0, 2).sort()).toEqual([
    expect.stringContaining("ECONNREFUSED"),
    expect.stringContaining("not public"),
  ]);
  for (const one of await ended) {
    expect(one).toMatchObject({ reason: { message: "no whole answer within 2000 ms" } });
  }
  expect(new Set(names.asked.filter((asked) => asked.startsWith("silent"))).size).toBe(128);
});

test("a question that is given up ends at once", async () => {
  const aborter = new AbortController();
  const asked = askNameServers("silent.example", { signal: aborter.signal, nameServers: [names.address] });
  aborter.abort();
  await expect(asked).rejects.toThrow("ECANCELLED");
  await expect(
    askNameServers("silent.example", { signal: AbortSignal.abort(), nameServers: [names.address] }),
  ).rejects.toThrow("aborted");
});

test("name servers that do not answer are passed over", async () => {
  const silent = [await startFakeNameServer({}), await startFakeNameServer({})];
  const addresses = silent.map(({ address }) => address);
  expect(await ask("public.example", [...addresses, names.address])).toHaveLength(2);
  for (const server of silent) {
    expect(server.asked).not.toEqual([]);
    await server.close();
  }
});

test("names that the operator lists, and those of a development machine, are asked of the system", async () => {
  const issuer: FakeIssuer = await startFakeIssuer();
  const { port } = new URL(issuer.origin);
  // It connects, and fails because this endpoint does not speak TLS.
  await expect(
    production({ allowPrivateAddresses: ["localhost"] })(`https://localhost:${port}/jwks`),
  ).rejects.toThrow(/SSL|EPROTO|socket/i);
  const answer = await production({ allowLoopbackHttp: true })(`http://localhost:${port}/jwks`);
  expect(Buffer.from(answer).toString()).toBe('{"keys":[]}');
  await issuer.close();
  expect(names.asked).toEqual([]);
});

test("an address needs no name server", async () => {
  await expect(production()("https://127.0.0.1/jwks")).rejects.toThrow("not public");
  await expect(production()("https://[::1]/jwks")).rejects.toThrow("not public");
  expect(names.asked).toEqual([]);
});
