import { afterEach, beforeEach, expect, test } from "vitest";
import { createKeyFetch } from "../../src/identity/key-fetch.ts";
import { createKeySets } from "../../src/identity/key-sets.ts";
import { isLoopbackAddress, isSpecialAddress } from "../../src/identity/private-addresses.ts";
import { createFakeClock, type FakeClock } from "./fake-clock.ts";
import { type FakeIssuer, type FakeKey, makeKey, registration, startFakeIssuer } from "./fake-issuer.ts";

const DEVELOPMENT = { allowLoopbackHttp: true, allowPrivateAddresses: false } as const;

let issuer: FakeIssuer;
let clock: FakeClock;
let first: FakeKey;
let second: FakeKey;

beforeEach(async () => {
  issuer = await startFakeIssuer();
  clock = createFakeClock();
  [first, second] = await Promise.all([makeKey("first"), makeKey("second")]);
  issuer.publish(first.publicJwk);
});
afterEach(() => issuer.close());

const sets = (timeoutMs = 3000) => createKeySets({ clock, ...DEVELOPMENT, timeoutMs });
const wanted = (kid: string | undefined, alg = "ES256") => ({ kid, alg });
const KEY = { type: "public" };
const down: FakeIssuer["answer"] = (_req, res) => res.writeHead(500).end();

test("a key is read once for many requests at once, and then given without waiting", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  const found = await Promise.all(Array.from({ length: 20 }, () => keys.find(trusted, wanted("first"))));
  expect(issuer.requests()).toBe(1);
  expect(new Set(found).size).toBe(1);
  expect(keys.find(trusted, wanted("first"))).toBe(found[0]);
  expect(found[0]).toMatchObject(KEY);
});

test("two registrations never share keys, even where one asks for the other's key id", async () => {
  const other = await startFakeIssuer();
  other.publish(second.publicJwk);
  const keys = sets();
  expect(await keys.find(registration(issuer), wanted("first"))).toMatchObject(KEY);
  expect(await keys.find(registration(other), wanted("first"))).toMatchObject({ code: "token_invalid" });
  await other.close();
});

test("unknown key ids cause one reading in 30 seconds", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  await keys.find(trusted, wanted("first"));
  for (let i = 0; i < 50; i++) {
    expect(await keys.find(trusted, wanted(`random-${i}`))).toMatchObject({ code: "token_invalid" });
  }
  expect(issuer.requests()).toBe(1);
  clock.advance(30_000);
  await Promise.all(Array.from({ length: 50 }, (_, i) => keys.find(trusted, wanted(`more-${i}`))));
  expect(issuer.requests()).toBe(2);
});

test("rotation: a new key is found after the cool-down, a withdrawn one is gone after ten minutes", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  await keys.find(trusted, wanted("first"));
  clock.advance(31_000);
  issuer.publish(second.publicJwk);
  expect(await keys.find(trusted, wanted("second"))).toMatchObject(KEY);
  expect(await keys.find(trusted, wanted("first"))).toMatchObject({ code: "token_invalid" });
  issuer.publish(first.publicJwk);
  clock.advance(600_001);
  expect(await keys.find(trusted, wanted("second"))).toMatchObject({ code: "token_invalid" });
});

test("while the endpoint is down keys are used for an hour, then the answer is to try again", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  await keys.find(trusted, wanted("first"));
  issuer.answer = down;
  clock.advance(600_001);
  expect(await keys.find(trusted, wanted("first"))).toMatchObject(KEY);
  expect(issuer.requests()).toBe(2);
  // Whether this key exists cannot be known now, so the token is not called invalid.
  expect(await keys.find(trusted, wanted("second"))).toMatchObject({ code: "keys_unavailable" });
  clock.advance(3_000_000);
  expect(await keys.find(trusted, wanted("first"))).toMatchObject({
    code: "keys_unavailable",
    retryAfterMs: expect.any(Number),
  });
  issuer.publish(first.publicJwk);
  clock.advance(60_000);
  expect(await keys.find(trusted, wanted("first"))).toMatchObject(KEY);
});

test("a failing endpoint is asked ever more rarely, up to once a minute", async () => {
  issuer.answer = down;
  const keys = sets();
  const trusted = registration(issuer);
  const delays: number[] = [];
  for (let i = 0; i < 9; i++) {
    const before = issuer.requests();
    const refusal = await keys.find(trusted, wanted("first"));
    expect(issuer.requests()).toBe(before + 1);
    if (!("retryAfterMs" in refusal)) throw new Error("not refused");
    expect(await keys.find(trusted, wanted("first"))).toMatchObject({ code: "keys_unavailable" });
    expect(issuer.requests()).toBe(before + 1);
    delays.push(refusal.retryAfterMs ?? 0);
    clock.advance(refusal.retryAfterMs ?? 0);
  }
  expect(delays).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
});

test.each([
  ["slow headers", () => {}, "aborted"],
  ["a slow body", (_req, res) => res.write('{"keys":'), "aborted"],
  ["over 256 KB", (_req, res) => res.end(`{"keys":[],"x":"${"x".repeat(262_144)}"}`), "256 KB"],
  ["a redirect", (_req, res) => res.writeHead(302, { location: "/elsewhere" }).end(), "302"],
  ["a failure", down, "500"],
  ["not JSON", (_req, res) => res.end("<html>"), "JSON"],
  ["not a key set", (_req, res) => res.end("[]"), "not a key set"],
  ["keys that are no list", (_req, res) => res.end('{"keys":{"0":{}}}'), "not a key set"],
  ["too many keys", (_req, res) => res.end(JSON.stringify({ keys: Array(101).fill({}) })), "too large"],
  ["a hang-up", (req) => req.socket.destroy(), "hang up"],
] satisfies [string, FakeIssuer["answer"], string][])("unavailable: %s", async (_name, answer, cause) => {
  issuer.answer = answer;
  const refusal = await sets(300).find(registration(issuer), wanted("first"));
  expect(refusal).toMatchObject({
    code: "keys_unavailable",
    retryAfterMs: 1000,
    cause: expect.stringContaining(cause),
  });
  expect(issuer.requests()).toBe(1);
});

test("the whole exchange may take three seconds, not longer", async () => {
  issuer.answer = () => {};
  const started = performance.now();
  expect(
    await createKeySets({ clock, ...DEVELOPMENT }).find(registration(issuer), wanted("first")),
  ).toMatchObject({
    code: "keys_unavailable",
  });
  const elapsed = performance.now() - started;
  expect(elapsed).toBeGreaterThan(2900);
  expect(elapsed).toBeLessThan(3600);
});

test("keys that must not verify are as if they were not there", async () => {
  const symmetric = { kty: "oct", k: "c2VjcmV0", kid: "oct" };
  const { d } = await import("jose").then(({ exportJWK }) => exportJWK(second.privateKey));
  issuer.publish(
    symmetric,
    { ...second.publicJwk, d, kid: "private" },
    { ...second.publicJwk, kid: "encryption", use: "enc" },
    { ...second.publicJwk, kid: "signing-only", use: undefined, key_ops: ["sign"] },
    { ...second.publicJwk, kid: "other-alg", alg: "ES384" },
    { ...second.publicJwk, kid: "broken", x: "AAAA" },
    { ...first.publicJwk, kid: "twice" },
    { ...second.publicJwk, kid: "twice" },
    "not an object",
    { ...second.publicJwk, kid: "good" },
  );
  const keys = sets();
  const trusted = registration(issuer);
  for (const kid of [
    "oct",
    "private",
    "encryption",
    "signing-only",
    "other-alg",
    "broken",
    "twice",
    "missing",
  ]) {
    expect(await keys.find(trusted, wanted(kid)), kid).toMatchObject({ code: "token_invalid" });
  }
  expect(await keys.find(trusted, wanted("good"))).toMatchObject(KEY);
  expect(await keys.find(trusted, wanted("good", "RS256"))).toMatchObject({ code: "token_invalid" });
  expect(await keys.find(trusted, wanted("good", "HS256"))).toMatchObject({ code: "token_invalid" });
  expect(issuer.requests()).toBe(1);
});

test("a token without a key id is matched only where one key can have made it", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  expect(await keys.find(trusted, wanted(undefined))).toMatchObject(KEY);
  issuer.publish(first.publicJwk, second.publicJwk);
  clock.advance(600_001);
  expect(await keys.find(trusted, wanted(undefined))).toMatchObject({ code: "token_invalid" });
});

test("forgetting a registration, or another address for it, reads its keys anew", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  await keys.find(trusted, wanted("first"));
  issuer.publish(second.publicJwk);
  keys.forget(trusted.id);
  expect(await keys.find(trusted, wanted("first"))).toMatchObject({ code: "token_invalid" });
  issuer.publish(first.publicJwk);
  expect(await keys.find({ ...trusted, jwksUri: `${issuer.origin}/new` }, wanted("first"))).toMatchObject(
    KEY,
  );
});

test("http is refused outside development, and in development for other machines", async () => {
  const strict = createKeyFetch({ allowLoopbackHttp: false, allowPrivateAddresses: true });
  await expect(strict(`${issuer.origin}/jwks`)).rejects.toThrow("not https");
  const development = createKeyFetch({ allowLoopbackHttp: true, allowPrivateAddresses: true });
  await expect(development("http://192.0.2.1/jwks")).rejects.toThrow("not public");
  await expect(development("file:///etc/passwd")).rejects.toThrow("not https");
  await expect(development("https://user:secret@example.com/jwks")).rejects.toThrow("credentials");
  expect(issuer.requests()).toBe(0);
});

test.each([
  "10.0.0.1",
  "127.0.0.1",
  "169.254.169.254",
  "[::1]",
  "[::ffff:10.0.0.1]",
  "[fd00::1]",
  "0x7f.1",
  "2130706433",
])("the private address %s is refused", async (host) => {
  const fetch = createKeyFetch({ allowLoopbackHttp: false, allowPrivateAddresses: false });
  await expect(fetch(`https://${host}/jwks`)).rejects.toThrow("not public");
});

test("a name is refused when any of its addresses is private, unless the operator lists the name", async () => {
  const addresses = [
    { address: "93.184.216.34", family: 4 },
    { address: "127.0.0.1", family: 4 },
  ];
  const resolve = async () => addresses;
  const fetch = createKeyFetch({
    allowLoopbackHttp: false,
    allowPrivateAddresses: ["idp.corp.example"],
    resolve,
  });
  await expect(fetch("https://idp.evil.example/jwks")).rejects.toThrow("not public");
  await expect(fetch("https://sub.idp.corp.example/jwks")).rejects.toThrow("not public");

  const inside = createKeyFetch({
    allowLoopbackHttp: false,
    allowPrivateAddresses: ["idp.corp.example"],
    resolve: async () => [{ address: "127.0.0.1", family: 4 }],
  });
  const port = new URL(issuer.origin).port;
  // It is allowed to connect, and fails because this endpoint does not speak TLS.
  await expect(inside(`https://idp.corp.example:${port}/jwks`)).rejects.toThrow(/SSL|EPROTO|socket/i);
});

test.each([
  ["8.8.8.8", false],
  ["2606:4700::1111", false],
  ["::ffff:8.8.8.8", false],
  ["::ffff:192.168.1.1", true],
  ["::ffff:7f00:1", true],
  ["64:ff9b::7f00:1", true],
  ["2002:7f00:1::", true],
  ["::7f00:1", true],
  ["100.64.0.1", true],
  ["172.31.255.255", true],
  ["172.32.0.1", false],
  ["224.0.0.1", true],
  ["255.255.255.255", true],
  ["0.0.0.0", true],
  ["fe80::1%lo", true],
  ["example.com", true],
])("%s is special: %s", (address, special) => {
  expect(isSpecialAddress(address)).toBe(special);
  expect(isLoopbackAddress("::ffff:127.0.0.1")).toBe(true);
});
