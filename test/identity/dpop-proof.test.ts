import { generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createIdSource } from "../../src/core/ids.ts";
import { createUsedProofs } from "../../src/data/used-proofs.ts";
import { createProofChecker, type ProofToCheck } from "../../src/identity/dpop-proof.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import {
  encode,
  es256,
  es256Der,
  hs256,
  inOtherAlphabet,
  type JwsRecipe,
  jsonWith,
  jwkOf,
  type Members,
  omit,
  rs256,
  sha256,
  thumbprintOf,
  withStrayBits,
} from "../support/hand-made-jws.ts";
import { makeProof, proofClaims, proofHeader } from "../support/hand-made-proof.ts";

const URL_OF_ACME = "https://mcp.example.com/t/acme/mcp";
const TOKEN = "header.payload.signature";
const NOW_MS = 1_800_000_000_000;
const NOW = NOW_MS / 1000;

const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
const other = generateKeyPairSync("ec", { namedCurve: "P-256" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const weakRsa = generateKeyPairSync("rsa", { modulusLength: 1024 });
const acme = createIdSource(() => NOW_MS).tenant();

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const subject = { keys: own, token: TOKEN, url: URL_OF_ACME, now: NOW };
const claims = (): Members => proofClaims(subject);
const header = (): Members => proofHeader(subject);
const make = (recipe: JwsRecipe = {}): string => makeProof(subject, recipe);
const withJwk = (jwk: unknown) => () => make({ header: { jwk } });

const check = (proof: string | readonly string[], change: Partial<ProofToCheck> = {}) =>
  createProofChecker({ remember: createUsedProofs(database.system).remember }).check({
    proofs: typeof proof === "string" ? [proof] : proof,
    token: TOKEN,
    boundTo: thumbprintOf(own.publicKey),
    method: "POST",
    url: URL_OF_ACME,
    tenantId: acme,
    nowMs: NOW_MS,
    ...change,
  });

type Proofs = string | readonly string[];

/** Name, hostile proof, a control that differs as little as may be and is accepted, and the rule that must have caught it. */
const HOSTILE: [string, () => Proofs, () => Proofs, string][] = [
  // How many, how long
  ["no header", () => [], make, "no proof"],
  ["an empty header", () => "", make, "compact"],
  ["two headers", () => [make(), make()], () => [make()], "more than one"],
  [
    "the same proof in two headers",
    () => {
      const proof = make();
      return [proof, proof];
    },
    () => [make()],
    "more than one",
  ],
  ["two proofs in one header", () => `${make()},${make()}`, make, "compact"],
  ["a list of one", () => `${make()},`, make, "base64url"],
  [
    "over 8 KB",
    () => make({ claims: { padding: "x".repeat(6_000) } }),
    () => make({ claims: { padding: "x".repeat(5_000) } }),
    "8 KB",
  ],
  // Form
  ["two parts", () => make().split(".").slice(0, 2).join("."), make, "compact"],
  ["four parts", () => `${make()}.x`, make, "compact"],
  ["an encrypted one's five parts", () => "a.b.c.d.e", make, "compact"],
  ["padding", () => `${make()}==`, make, "base64url"],
  ["the other base64 alphabet", () => inOtherAlphabet(make), make, "base64url"],
  ["stray bits in the last letter", () => withStrayBits(make()), make, "base64url"],
  ["a header that is no JSON", () => make({ rawHeader: "{typ:dpop}" }), make, "JSON"],
  ["a payload that is a list", () => make({ rawPayload: "[]" }), make, "object"],
  [
    "two jtis",
    () => make({ rawPayload: jsonWith(claims(), '"jti":"a"') }),
    () => make({ rawPayload: jsonWith(claims(), '"jtj":"a"') }),
    "twice",
  ],
  [
    "two htus, one escaped",
    () => make({ rawPayload: jsonWith(claims(), `"\\u0068tu":"${URL_OF_ACME}"`) }),
    () => make({ rawPayload: jsonWith(claims(), `"\\u0068tx":"${URL_OF_ACME}"`) }),
    "twice",
  ],
  [
    "two jwks",
    () => make({ rawHeader: jsonWith(header(), `"jwk":${JSON.stringify(jwkOf(other.publicKey))}`) }),
    () => make({ rawHeader: jsonWith(header(), `"jwl":${JSON.stringify(jwkOf(other.publicKey))}`) }),
    "twice",
  ],
  [
    "a key with two xs",
    () =>
      make({
        rawHeader: `{"typ":"dpop+jwt","alg":"ES256","jwk":${jsonWith(jwkOf(own.publicKey), '"x":"AA"')}}`,
      }),
    () =>
      make({
        rawHeader: `{"typ":"dpop+jwt","alg":"ES256","jwk":${jsonWith(jwkOf(own.publicKey), '"xx":"AA"')}}`,
      }),
    "twice",
  ],
  [
    "members of the prototype",
    () => make({ rawPayload: jsonWith(claims(), `"__proto__":{"ath":"${sha256(TOKEN)}"}`, ["ath"]) }),
    () => make({ rawPayload: jsonWith(claims(), `"proto":{"ath":"${sha256(TOKEN)}"}`) }),
    "prototype",
  ],
  // Header
  ["the type of an access token", () => make({ header: { typ: "at+jwt" } }), make, "typ"],
  ["typ JWT", () => make({ header: { typ: "JWT" } }), make, "typ"],
  ["no typ", () => make({ withoutHeader: ["typ"] }), make, "typ"],
  ["typ in another case", () => make({ header: { typ: "DPoP+JWT" } }), make, "typ"],
  ["typ as a list", () => make({ header: { typ: ["dpop+jwt"] } }), make, "typ"],
  [
    "alg none without a signature",
    () => make({ header: { alg: "none" }, sign: () => "" }),
    make,
    "base64url",
  ],
  ["alg none with a signature", () => make({ header: { alg: "none" } }), make, "alg"],
  [
    "HS256 with the public key as secret",
    () => make({ header: { alg: "HS256" }, sign: hs256(own.publicKey) }),
    make,
    "alg",
  ],
  ["alg in lower case", () => make({ header: { alg: "es256" } }), make, "alg"],
  ["no alg", () => make({ withoutHeader: ["alg"] }), make, "alg"],
  ["RS384", () => make({ header: { alg: "RS384" } }), make, "alg"],
  ["another algorithm than the key's", () => make({ header: { alg: "ES384" } }), make, "signature"],
  [
    "crit",
    () => make({ header: { crit: ["b64"], b64: true } }),
    () => make({ header: { b64: true } }),
    "crit",
  ],
  ["an empty crit", () => make({ header: { crit: [] } }), make, "crit"],
  // Key
  [
    "kid instead of jwk",
    () => make({ header: { kid: "k1" }, withoutHeader: ["jwk"] }),
    () => make({ header: { kid: "k1" } }),
    "jwk",
  ],
  [
    "an address of keys instead of jwk",
    () => make({ header: { jku: "https://a.example" }, withoutHeader: ["jwk"] }),
    make,
    "jwk",
  ],
  ["jwk as text", withJwk(JSON.stringify(jwkOf(own.publicKey))), make, "jwk"],
  ["jwk as a list", withJwk([jwkOf(own.publicKey)]), make, "jwk"],
  ["the private key", withJwk(jwkOf(own.privateKey)), make, "public"],
  [
    "an empty private member",
    withJwk(jwkOf(own.publicKey, { d: "" })),
    withJwk(jwkOf(own.publicKey, { dd: "" })),
    "public",
  ],
  ["a symmetric key", withJwk({ kty: "oct", k: encode("0".repeat(32)) }), make, "public"],
  ["a public key with a secret beside", withJwk(jwkOf(own.publicKey, { k: "AA" })), make, "public"],
  ["kty of the prototype", withJwk(jwkOf(own.publicKey, { kty: "constructor" })), make, "public"],
  ["a key without y", withJwk(omit(jwkOf(own.publicKey), ["y"])), make, "lacks"],
  ["a coordinate as number", withJwk(jwkOf(own.publicKey, { x: 7 })), make, "lacks"],
  ["the key of another with its own signature", () => makeProof({ ...subject, keys: other }), make, "bound"],
  [
    "the right key with the signature of another",
    () => make({ sign: es256(other.privateKey) }),
    make,
    "signature",
  ],
  [
    "a key of the right members in another encoding",
    withJwk(jwkOf(own.publicKey, { x: `${jwkOf(own.publicKey).x}=` })),
    make,
    "bound",
  ],
  // Signature
  [
    "a changed payload",
    () => {
      const [head, , signature] = make().split(".");
      return [head, encode(JSON.stringify(claims())), signature].join(".");
    },
    make,
    "signature",
  ],
  [
    "a signature of zeros",
    () => make({ sign: () => Buffer.alloc(64).toString("base64url") }),
    make,
    "signature",
  ],
  ["a DER signature", () => make({ sign: es256Der(own.privateKey) }), make, "signature"],
  // Method
  ["another method", () => make({ claims: { htm: "GET" } }), make, "htm"],
  ["the method in another case", () => make({ claims: { htm: "post" } }), make, "htm"],
  ["the method with a space", () => make({ claims: { htm: "POST " } }), make, "htm"],
  ["methods as a list", () => make({ claims: { htm: ["POST"] } }), make, "htm"],
  ["no htm", () => make({ without: ["htm"] }), make, "htm"],
  // URL
  ["another host", () => make({ claims: { htu: "https://mcp.example.org/t/acme/mcp" } }), make, "htu"],
  [
    "another tenant's path",
    () => make({ claims: { htu: "https://mcp.example.com/t/globex/mcp" } }),
    make,
    "htu",
  ],
  ["the shared path", () => make({ claims: { htu: "https://mcp.example.com/mcp" } }), make, "htu"],
  ["the origin alone", () => make({ claims: { htu: "https://mcp.example.com" } }), make, "htu"],
  ["the path alone", () => make({ claims: { htu: "/t/acme/mcp" } }), make, "htu"],
  [
    "another port",
    () => make({ claims: { htu: "https://mcp.example.com:8443/t/acme/mcp" } }),
    () => make({ claims: { htu: "https://mcp.example.com:443/t/acme/mcp" } }),
    "htu",
  ],
  [
    "another scheme",
    () => make({ claims: { htu: "http://mcp.example.com/t/acme/mcp" } }),
    () => make({ claims: { htu: "HTTPS://MCP.example.com/t/acme/mcp" } }),
    "htu",
  ],
  [
    "a trailing slash",
    () => make({ claims: { htu: `${URL_OF_ACME}/` } }),
    () => make({ claims: { htu: `${URL_OF_ACME}?a=b#c` } }),
    "htu",
  ],
  [
    "the path in another case",
    () => make({ claims: { htu: "https://mcp.example.com/t/ACME/mcp" } }),
    make,
    "htu",
  ],
  [
    "a letter of the path encoded",
    () => make({ claims: { htu: "https://mcp.example.com/t/%61cme/mcp" } }),
    make,
    "htu",
  ],
  [
    "a slash of the path encoded",
    () => make({ claims: { htu: "https://mcp.example.com/t%2Facme/mcp" } }),
    make,
    "htu",
  ],
  ["backslashes", () => make({ claims: { htu: "https:\\\\mcp.example.com\\t\\acme\\mcp" } }), make, "htu"],
  [
    "a line break in the path",
    () => make({ claims: { htu: "https://mcp.example.com/t/ac\nme/mcp" } }),
    make,
    "htu",
  ],
  ["a space before", () => make({ claims: { htu: ` ${URL_OF_ACME}` } }), make, "htu"],
  [
    "a user before the host",
    () => make({ claims: { htu: "https://mcp.example.com@mcp.example.com/t/acme/mcp" } }),
    make,
    "htu",
  ],
  [
    "a look-alike letter",
    () => make({ claims: { htu: "https://mcp.ex\u0430mple.com/t/acme/mcp" } }),
    make,
    "htu",
  ],
  ["URLs as a list", () => make({ claims: { htu: [URL_OF_ACME] } }), make, "htu"],
  ["no URL at all", () => make({ claims: { htu: "https://" } }), make, "htu"],
  ["no htu", () => make({ without: ["htu"] }), make, "htu"],
  // Time
  [
    "too old",
    () => make({ claims: { iat: NOW - 61 } }),
    () => make({ claims: { iat: NOW - 60 } }),
    "too long ago",
  ],
  [
    "of the future",
    () => make({ claims: { iat: NOW + 31 } }),
    () => make({ claims: { iat: NOW + 30 } }),
    "future",
  ],
  ["iat in milliseconds", () => make({ claims: { iat: NOW_MS } }), make, "future"],
  ["iat as text", () => make({ claims: { iat: String(NOW) } }), make, "iat"],
  [
    "iat without end",
    () => make({ rawPayload: jsonWith(claims(), '"iat":-1e999', ["iat"]) }),
    () => make({ rawPayload: jsonWith(claims(), `"iat":${NOW}`, ["iat"]) }),
    "iat",
  ],
  ["no iat", () => make({ without: ["iat"] }), make, "iat"],
  // Identifier
  ["no jti", () => make({ without: ["jti"] }), make, "jti"],
  ["an empty jti", () => make({ claims: { jti: "" } }), make, "jti"],
  [
    "a long jti",
    () => make({ claims: { jti: "j".repeat(256) } }),
    () => make({ claims: { jti: randomUUID().padStart(255, "j") } }),
    "jti",
  ],
  ["a number as jti", () => make({ claims: { jti: 7 } }), make, "jti"],
  // Token
  ["no ath", () => make({ without: ["ath"] }), make, "ath"],
  ["ath of another token", () => make({ claims: { ath: sha256("header.payload.other") } }), make, "ath"],
  ["ath with padding", () => make({ claims: { ath: `${sha256(TOKEN)}=` } }), make, "ath"],
  [
    "ath in hexadecimal",
    () => make({ claims: { ath: Buffer.from(sha256(TOKEN), "base64url").toString("hex") } }),
    make,
    "ath",
  ],
  ["the token itself as ath", () => make({ claims: { ath: TOKEN } }), make, "ath"],
  ["an empty ath", () => make({ claims: { ath: "" } }), make, "ath"],
];

test("the table holds at least forty hostile proofs", () => {
  expect(HOSTILE.length).toBeGreaterThanOrEqual(40);
});

describe("hostile proofs", () => {
  test.each(HOSTILE)("refused: %s", async (_name, hostile, control, rule) => {
    const proof = hostile();
    const answer = await check(proof);
    expect(answer).toMatchObject({ kind: "refusal", code: "dpop_proof_invalid" });
    expect(String(answer?.cause)).toContain(rule);
    for (const part of String(proof)
      .split(/[.,]/)
      .filter((one) => one.length > 8))
      expect(JSON.stringify(answer)).not.toContain(part);
    expect(await check(control())).toBeNull();
  });

  test("a nonce is not looked at: none is ever asked for", async () => {
    expect(await check(make({ claims: { nonce: ["?"] } }))).toBeNull();
  });

  test("other keys and algorithms of the list are taken, a key too weak is not", async () => {
    const ed = generateKeyPairSync("ed25519");
    const edJwk = jwkOf(ed.publicKey);
    const signEd = (input: string) => sign(null, Buffer.from(input), ed.privateKey).toString("base64url");
    for (const alg of ["EdDSA", "Ed25519"]) {
      const proof = make({ header: { alg, jwk: edJwk }, sign: signEd });
      const boundTo = sha256(JSON.stringify({ crv: edJwk.crv, kty: "OKP", x: edJwk.x }));
      expect(await check(proof, { boundTo })).toBeNull();
    }
    const ofRsa = (pair: typeof rsa) => {
      const { e, n } = jwkOf(pair.publicKey);
      return check(
        make({ header: { alg: "RS256", jwk: { kty: "RSA", n, e } }, sign: rs256(pair.privateKey) }),
        {
          boundTo: sha256(JSON.stringify({ e, kty: "RSA", n })),
        },
      );
    };
    expect(await ofRsa(rsa)).toBeNull();
    expect(await ofRsa(weakRsa)).toMatchObject({ cause: "the signature does not match" });
  });

  test("what a JWK says beside the key counts for nothing", async () => {
    const jwk = jwkOf(own.publicKey, { alg: "RS256", use: "enc", key_ops: ["encrypt"], ext: false });
    expect(await check(make({ header: { jwk } }))).toBeNull();
  });
});
