import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fault } from "../../src/core/fault.ts";
import { createIdSource } from "../../src/core/ids.ts";
import { isRefusal, type Refusal } from "../../src/core/refusal.ts";
import { createSystemDoor } from "../../src/data/system-door.ts";
import { createUsedProofs } from "../../src/data/used-proofs.ts";
import { createProofChecker, type ProofToCheck } from "../../src/identity/dpop-proof.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type JwsRecipe, sha256, thumbprintOf } from "../support/hand-made-jws.ts";
import { makeProof } from "../support/hand-made-proof.ts";

const NOW_MS = 1_800_000_000_000;
const NOW = NOW_MS / 1000;
const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
const other = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ids = createIdSource(() => NOW_MS);
const acme = ids.tenant();
const globex = ids.tenant();
const subject = {
  keys: own,
  token: "header.payload.signature",
  url: "https://mcp.example.com/t/acme/mcp",
  now: NOW,
};
const make = (recipe: JwsRecipe = {}): string => makeProof(subject, recipe);

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** The checker of one more instance. */
const instance = () => createProofChecker({ remember: createUsedProofs(database.system).remember });
const wanted = (proof: string, change: Partial<ProofToCheck> = {}): ProofToCheck => ({
  proofs: [proof],
  token: subject.token,
  boundTo: thumbprintOf(own.publicKey),
  method: "POST",
  url: subject.url,
  tenantId: acme,
  nowMs: NOW_MS,
  ...change,
});
const check = (proof: string, change: Partial<ProofToCheck> = {}) => instance().check(wanted(proof, change));
const again = { code: "dpop_proof_invalid", cause: "the proof was used before" };

test("a proof counts once: not again at once, nor on another instance", async () => {
  const first = instance();
  const proof = make();
  expect(await first.check(wanted(proof))).toBeNull();
  expect(await first.check(wanted(proof))).toMatchObject(again);
  expect(await instance().check(wanted(proof))).toMatchObject(again);
});

test("nor does it when it is signed anew with the same jti, also for another token", async () => {
  const jti = "taken";
  expect(await check(make({ claims: { jti } }))).toBeNull();
  expect(await check(make({ claims: { jti, iat: NOW - 5 } }))).toMatchObject(again);
  const token = "header.payload.renewed";
  expect(await check(make({ claims: { jti, ath: sha256(token) } }), { token })).toMatchObject(again);
});

test("the same jti of another key, or at another tenant, is another proof", async () => {
  const jti = "common";
  expect(await check(make({ claims: { jti } }))).toBeNull();
  expect(
    await check(makeProof({ ...subject, keys: other }, { claims: { jti } }), {
      boundTo: thumbprintOf(other.publicKey),
    }),
  ).toBeNull();
  expect(await check(make({ claims: { jti } }), { tenantId: globex })).toBeNull();
});

test("a refused proof is not used up", async () => {
  const proof = make();
  expect(await check(proof, { method: "GET" })).toMatchObject({ code: "dpop_proof_invalid" });
  expect(await check(proof)).toBeNull();
});

test("of fifty at the same moment, on five instances, one passes: each of ten times", async () => {
  for (let round = 0; round < 10; round++) {
    const instances = Array.from({ length: 5 }, () => instance());
    const proof = make();
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => instances[i % 5]?.check(wanted(proof)) ?? null),
    );
    expect(answers.filter((answer) => answer === null)).toHaveLength(1);
    expect(answers.filter((answer): answer is Refusal => isRefusal(answer))).toHaveLength(49);
  }
});

test("the database is spared plain replays, and knows those that this instance has forgotten", async () => {
  const used = createUsedProofs(database.system);
  let asked = 0;
  const small = createProofChecker({
    remember: (...of) => {
      asked++;
      return used.remember(...of);
    },
    remembered: 2,
  });
  const [first, second, third] = [make(), make(), make()];
  for (const proof of [first, second, second, second]) await small.check(wanted(proof));
  expect(asked).toBe(2);
  await small.check(wanted(third));
  expect(asked).toBe(3);
  expect(await small.check(wanted(first))).toMatchObject(again);
  expect(asked).toBe(4);
});

test("it is remembered for longer than it counts, as a hash", async () => {
  const proof = make({ claims: { jti: "find-me", iat: NOW + 10 } });
  await database.admin("DELETE FROM bulkhead.used_proofs");
  expect(await check(proof)).toBeNull();
  const rows = await database.admin(
    "SELECT tenant_id, length(proof_hash) AS length, expires_at FROM bulkhead.used_proofs",
  );
  expect(rows).toEqual([{ tenant_id: acme, length: 32, expires_at: new Date((NOW + 10 + 60 + 60) * 1000) }]);
  const text = await database.admin("SELECT encode(proof_hash, 'escape') AS text FROM bulkhead.used_proofs");
  expect(JSON.stringify(text)).not.toContain("find-me");
});

test("while the database cannot be reached none is accepted; afterwards the same one is", async () => {
  const nowhere = createSystemDoor(
    { host: "127.0.0.1", port: 1, database: "x", user: "x" },
    { connections: 1 },
  );
  let reachable = false;
  const checks = createProofChecker({
    remember: (...of) => createUsedProofs(reachable ? database.system : nowhere).remember(...of),
  });
  const proof = make();
  const failed = await checks.check(wanted(proof)).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(Fault);
  expect(failed).toMatchObject({ code: "database_unavailable" });
  reachable = true;
  expect(await checks.check(wanted(proof))).toBeNull();
  await nowhere.close();
});
