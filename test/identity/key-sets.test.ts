import { afterEach, beforeEach, expect, test } from "vitest";
import { isRefusal } from "../../src/core/refusal.ts";
import { createKeySets } from "../../src/identity/key-sets.ts";
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
/** Waits for what a server on this machine sees. */
const until = async (condition: () => boolean) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
};
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

test("unknown key ids cause few readings, however many come: four at once, then one in ten seconds", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  await keys.find(trusted, wanted("first"));
  for (let i = 0; i < 50; i++) {
    expect(await keys.find(trusted, wanted(`random-${i}`))).toMatchObject({
      code: i < 4 ? "token_invalid" : "keys_unavailable",
    });
  }
  expect(issuer.requests()).toBe(1 + 4);
  clock.advance(9_999);
  await keys.find(trusted, wanted("early"));
  expect(issuer.requests()).toBe(1 + 4);
  clock.advance(1);
  await Promise.all(Array.from({ length: 50 }, (_, i) => keys.find(trusted, wanted(`more-${i}`))));
  expect(issuer.requests()).toBe(1 + 4 + 1);
});

test("a good token of a new key is not called invalid while strangers use up the searches, but told when to try again", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  await keys.find(trusted, wanted("first"));
  for (let i = 0; i < 4; i++) await keys.find(trusted, wanted(`random-${i}`));
  issuer.publish(first.publicJwk, second.publicJwk);
  clock.advance(2_500);
  expect(await keys.find(trusted, wanted("second"))).toMatchObject({
    code: "keys_unavailable",
    retryAfterMs: 7_500,
    cause: expect.stringContaining("looked for"),
  });
  // What was looked for, and is not there, stays invalid.
  expect(await keys.find(trusted, wanted("random-3"))).toMatchObject({ code: "token_invalid" });
  expect(issuer.requests()).toBe(1 + 4);
  clock.advance(7_500);
  expect(await keys.find(trusted, wanted("second"))).toMatchObject(KEY);
});

test("whoever waits while a key id is looked for is told that it is not there, also where no more may be", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  await keys.find(trusted, wanted("first"));
  for (let i = 0; i < 3; i++) await keys.find(trusted, wanted(`random-${i}`));
  const found = await Promise.all(Array.from({ length: 5 }, () => keys.find(trusted, wanted("bogus"))));
  expect(found).toHaveLength(5);
  for (const refused of found) expect(refused).toMatchObject({ code: "token_invalid" });
  expect(issuer.requests()).toBe(1 + 4);
});

test("a token of a key that was seen to be withdrawn is invalid, also where no more may be looked for", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  await keys.find(trusted, wanted("first"));
  issuer.publish(second.publicJwk);
  for (let i = 0; i < 4; i++) await keys.find(trusted, wanted(`random-${i}`));
  expect(await keys.find(trusted, wanted("first"))).toMatchObject({ code: "token_invalid" });
  expect(await keys.find(trusted, wanted("random-4"))).toMatchObject({ code: "keys_unavailable" });
  expect(issuer.requests()).toBe(1 + 4);
});

test("a key id that was not found is looked for again only after 30 seconds", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  await keys.find(trusted, wanted("first"));
  await keys.find(trusted, wanted("bogus"));
  expect(issuer.requests()).toBe(2);
  clock.advance(29_999);
  const again = keys.find(trusted, wanted("bogus"));
  expect(again).toMatchObject({ code: "token_invalid" });
  clock.advance(1);
  expect(await keys.find(trusted, wanted("bogus"))).toMatchObject({ code: "token_invalid" });
  expect(issuer.requests()).toBe(3);
});

test("the memory of key ids that were not found is bounded: the oldest is looked for again", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  await keys.find(trusted, wanted("first"));
  await keys.find(trusted, wanted("oldest"));
  // Two readings: one that the first begins, and one that begins after the others have asked.
  await Promise.all(Array.from({ length: 64 }, (_, i) => keys.find(trusted, wanted(`bogus-${i}`))));
  expect(issuer.requests()).toBe(4);
  await keys.find(trusted, wanted("bogus-63"));
  expect(issuer.requests()).toBe(4);
  await keys.find(trusted, wanted("oldest"));
  expect(issuer.requests()).toBe(5);
});

test("a rotation right after a token with an unknown key id fails nobody", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  await keys.find(trusted, wanted("first"));
  expect(await keys.find(trusted, wanted("bogus"))).toMatchObject({ code: "token_invalid" });
  issuer.publish(first.publicJwk, second.publicJwk);
  expect(await keys.find(trusted, wanted("second"))).toMatchObject(KEY);
});

test("a key published while an older answer is under way is found", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  await keys.find(trusted, wanted("first"));
  const asked = new Promise<() => void>((resolve) => {
    issuer.answer = (_req, res) => resolve(() => res.end(JSON.stringify({ keys: [first.publicJwk] })));
  });
  const early = keys.find(trusted, wanted("bogus"));
  const answerOld = await asked;
  issuer.publish(first.publicJwk, second.publicJwk);
  const rotated = Array.from({ length: 20 }, () => keys.find(trusted, wanted("second")));
  answerOld();
  expect(await early).toMatchObject({ code: "token_invalid" });
  for (const key of await Promise.all(rotated)) expect(key).toMatchObject(KEY);
  expect(issuer.requests()).toBe(3);
});

test("keys rotate under load: hundreds of tokens of the old and the new key, and none is refused", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  await keys.find(trusted, wanted("first"));
  // The endpoint takes its time, so that readings overlap with the change.
  const publishSlowly = (...published: FakeKey[]) => {
    issuer.answer = (_req, res) => {
      const body = JSON.stringify({ keys: published.map((key) => key.publicJwk) });
      setImmediate(() => setImmediate(() => res.end(body)));
    };
  };
  publishSlowly(first);
  const bogus = Array.from({ length: 3 }, (_, i) => keys.find(trusted, wanted(`bogus-${i}`)));
  const found: ReturnType<typeof keys.find>[] = [];
  for (let round = 0; round < 10; round++) {
    if (round === 3) publishSlowly(first, second);
    for (let i = 0; i < 40; i++) {
      found.push(keys.find(trusted, wanted(i % 2 === 0 || round < 3 ? "first" : "second")));
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (const key of await Promise.all(found)) expect(key).toMatchObject(KEY);
  for (const refused of await Promise.all(bogus)) expect(refused).toMatchObject({ code: "token_invalid" });
  expect(issuer.requests()).toBeLessThanOrEqual(1 + 4);
});

test("a withdrawn key counts until the set is next read, and no longer", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  await keys.find(trusted, wanted("first"));
  issuer.publish(second.publicJwk);
  expect(keys.find(trusted, wanted("first"))).toMatchObject(KEY);
  expect(await keys.find(trusted, wanted("second"))).toMatchObject(KEY);
  expect(await keys.find(trusted, wanted("first"))).toMatchObject({ code: "token_invalid" });
});

test("keys are read again after ten minutes, and requests wait for that only where none came for twenty", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  await keys.find(trusted, wanted("first"));
  issuer.publish(second.publicJwk);
  clock.advance(600_000);
  expect(keys.find(trusted, wanted("first"))).toMatchObject(KEY);
  expect(issuer.requests()).toBe(1);
  clock.advance(1);
  expect(keys.find(trusted, wanted("first"))).toMatchObject(KEY);
  await until(() => issuer.requests() === 2);
  expect(await keys.find(trusted, wanted("second"))).toMatchObject(KEY);
  issuer.publish(first.publicJwk);
  clock.advance(1_200_001);
  expect(await keys.find(trusted, wanted("second"))).toMatchObject({ code: "token_invalid" });
});

test("an issuer that is down for ten minutes costs nothing while its keys are warm", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  const key = await keys.find(trusted, wanted("first"));
  clock.advance(595_000);
  issuer.answer = down;
  for (let second = 0; second < 600; second++) {
    clock.advance(1000);
    // Not a promise: nobody waits.
    expect(keys.find(trusted, wanted("first"))).toBe(key);
    if (second % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  expect(issuer.requests()).toBeGreaterThan(2);
  expect(issuer.requests()).toBeLessThan(20);
});

test("an issuer that hangs costs nothing either, and is asked once at a time", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  const key = await keys.find(trusted, wanted("first"));
  issuer.answer = () => {};
  clock.advance(600_001);
  for (let i = 0; i < 200; i++) {
    clock.advance(1000);
    expect(keys.find(trusted, wanted("first"))).toBe(key);
  }
  await until(() => issuer.requests() === 2);
});

test("the key id of a key is known also where the token names none", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  const key = await keys.find(trusted, wanted(undefined));
  if ("kind" in key) throw new Error("refused");
  expect(keys.keyIdOf(key)).toBe("first");
  issuer.publish({ ...second.publicJwk, kid: undefined });
  const other = await keys.find({ ...trusted, jwksUri: `${issuer.origin}/other` }, wanted(undefined));
  if ("kind" in other) throw new Error("refused");
  expect(keys.keyIdOf(other)).toBeNull();
});

test("an issuer that publishes no keys verifies nothing and is not asked", async () => {
  const keys = sets();
  expect(keys.find(registration(issuer, { jwksUri: null }), wanted("first"))).toMatchObject({
    code: "token_invalid",
  });
  expect(issuer.requests()).toBe(0);
});

test("while the endpoint is down keys are used for an hour, then the answer is to try again", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  await keys.find(trusted, wanted("first"));
  issuer.answer = down;
  clock.advance(1_200_001);
  expect(await keys.find(trusted, wanted("first"))).toMatchObject(KEY);
  expect(issuer.requests()).toBe(2);
  // Whether this key exists cannot be known now, so the token is not called invalid.
  expect(await keys.find(trusted, wanted("second"))).toMatchObject({ code: "keys_unavailable" });
  clock.advance(2_399_999);
  expect(keys.find(trusted, wanted("first"))).toMatchObject(KEY);
  clock.advance(1);
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
  ["slow headers", () => {}, "no whole answer within 300 ms"],
  ["a slow body", (_req, res) => res.write('{"keys":'), "no whole answer"],
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
  await keys.find(trusted, wanted("good"));
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
    clock.advance(10_000);
  }
  expect(await keys.find(trusted, wanted("good"))).toMatchObject(KEY);
  expect(await keys.find(trusted, wanted("good", "RS256"))).toMatchObject({ code: "token_invalid" });
  expect(await keys.find(trusted, wanted("good", "HS256"))).toMatchObject({ code: "token_invalid" });
});

test("a token without a key id is matched only where one key can have made it", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  expect(await keys.find(trusted, wanted(undefined))).toMatchObject(KEY);
  issuer.publish(first.publicJwk, second.publicJwk);
  clock.advance(1_200_001);
  expect(await keys.find(trusted, wanted(undefined))).toMatchObject({ code: "token_invalid" });
});

test("a key is withdrawn once a reading does not find it, and another address for its issuer reads anew", async () => {
  const keys = sets();
  const trusted = registration(issuer);
  const found = await keys.find(trusted, wanted("first"));
  if (isRefusal(found)) throw new TypeError("The key was not found.");
  issuer.publish(second.publicJwk);
  expect(keys.isWithdrawn(found)).toBe(false);
  const other = await keys.find(trusted, wanted("second"));
  if (isRefusal(other)) throw new TypeError("The key was not found.");
  expect(keys.isWithdrawn(found)).toBe(true);
  expect(keys.isWithdrawn(other)).toBe(false);
  expect(await keys.find(trusted, wanted("first"))).toMatchObject({ code: "token_invalid" });
  issuer.publish(first.publicJwk);
  expect(await keys.find({ ...trusted, jwksUri: `${issuer.origin}/new` }, wanted("first"))).toMatchObject(
    KEY,
  );
});
